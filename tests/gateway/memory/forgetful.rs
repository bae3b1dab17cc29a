//! Where nothing is kept and nothing remembered, a request still comes to an end, and asks the PBX no more often than it
//! needs to: once to learn the length, and once more for the bytes.

use http::StatusCode;

use super::{pbx, recording};
use crate::harness::{NAME, gateway, jwt};

#[tokio::test]
async fn a_range_of_unknown_length_costs_two_tickets_at_most() {
    let bytes = recording(0, 100_000);
    for wait in ["wait_ms = 0", "wait_ms = 60000"] {
        for (range, first) in [
            ("bytes=-1000", Some(99_000)),
            ("bytes=50000-", Some(50_000)),
            ("bytes=100000-", None),
        ] {
            let pbx = pbx(&[(NAME.to_owned(), bytes.clone())], &[]).await;
            // So that a short wait is over before the end comes.
            let slowly = "download:throttle=1000000:times=forever";
            pbx.inject(slowly.parse().unwrap());
            let gateway = gateway(&pbx)
                .tape("max_bytes = 0\nremember_s = 0")
                .range(wait)
                .start()
                .await;
            let call = gateway.get(NAME).bearer(&jwt("alice"));
            let answer = call.header("range", range).send().await;
            let expected = match first {
                Some(_) => StatusCode::PARTIAL_CONTENT,
                None => StatusCode::RANGE_NOT_SATISFIABLE,
            };
            assert_eq!(answer.status(), expected, "{range}");
            let part = answer.bytes().await.expect("whole");
            if let Some(first) = first {
                assert!(
                    !part.is_empty() && bytes[first..].starts_with(&part),
                    "{range}"
                );
            }
            let tickets = pbx.seen().tickets_issued;
            assert!(tickets <= 2, "{range} with {wait}: {tickets} tickets");
        }
    }
}
