//! Where neither bytes nor metadata are kept, a request still ends, and asks the PBX no more often
//! than necessary: once to learn the length, and once more for the bytes. It does not block itself
//! meanwhile.

use bytes::Bytes;
use http::StatusCode;

use super::{pbx, recording};
use crate::harness::{Answer, Gateway, NAME, gateway, jwt};

const OFF: &str = "max_bytes = 0\nremember_s = 0";

async fn get(gateway: &Gateway, range: &str) -> Answer {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    call.header("range", range).send().await
}

async fn part(answer: Answer) -> Bytes {
    answer.bytes().await.expect("whole")
}

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
            // Slow enough for a short wait to be over before the end comes.
            let slowly = "download:throttle=1000000:times=forever";
            pbx.inject(slowly.parse().unwrap());
            let gateway = gateway(&pbx)
                .cache()
                .lines("[cache]", OFF)
                .lines("[range]", wait)
                .start()
                .await;
            let answer = get(&gateway, range).await;
            let expected = match first {
                Some(_) => StatusCode::PARTIAL_CONTENT,
                None => StatusCode::RANGE_NOT_SATISFIABLE,
            };
            assert_eq!(answer.status(), expected, "{range}");
            let part = part(answer).await;
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

#[tokio::test]
async fn a_request_does_not_wait_for_its_own_download_place() {
    let bytes = recording(0, 100_000);
    for (wait, range, first) in [
        ("wait_ms = 60000", "bytes=50000-", 50_000),
        ("wait_ms = 60000", "bytes=50000-99998", 50_000),
        ("wait_ms = 60000", "bytes=-1000", 99_000),
        ("wait_ms = 0", "bytes=-1000", 99_000),
    ] {
        let pbx = pbx(&[(NAME.to_owned(), bytes.clone())], &[]).await;
        let gateway = gateway(&pbx)
            .cache()
            .lines("[cache]", OFF)
            .lines("[range]", wait)
            .set("pbx.max_downloads", 1)
            .set("pbx.queue_timeout_ms", 500)
            .start()
            .await;
        let answer = get(&gateway, range).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let part = part(answer).await;
        assert!(!part.is_empty() && bytes[first..].starts_with(&part));
        assert_eq!(pbx.seen().tickets_issued, 2, "{range} with {wait}");
    }
}
