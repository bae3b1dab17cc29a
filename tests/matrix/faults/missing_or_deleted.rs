//! Numbers 20012 and 20014, on which the vendor's tables differ. In API 1.0.1 20012 means that a
//! recording does not exist; in the guide of the S1000 (1.1.0) it means that a ticket is not valid.
//! 20014 means that a recording has been deleted in the former, and that it does not exist in the
//! latter.
//!
//! The outcomes here are right for both tables. The table in `dialects` has a case for a simulator
//! with the numbers of the S1000.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use wavegate::simulator::{Api, Simulator, wav};

use super::Expect::{self, Problem, SameBytes};
use crate::harness::{NAME, gateway_for};

/// A call that has just begun, or one of long ago.
#[derive(Clone, Copy, Debug)]
enum CallAge {
    Young,
    Old,
}

/// The age of the call, the fault, the outcome, and the number of requests for a ticket.
type AgeRow = (CallAge, &'static str, Expect, u64);

use CallAge::{Old, Young};

/// For every API: a recording of an old call, and 20012.
const EVERYWHERE: &[AgeRow] = &[
    (
        Old,
        "get-random:errno=20014",
        Problem("recording-deleted"),
        1,
    ),
    (Old, "download:errno=20014", Problem("recording-deleted"), 1),
    (
        Old,
        "get-random:errno=20012",
        Problem("recording-not-found"),
        1,
    ),
    (Old, "download:errno=20012", SameBytes, 2),
    (
        Old,
        "download:errno=20012:times=2",
        Problem("recording-not-found"),
        2,
    ),
    (Young, "get-random:errno=20012:times=2", SameBytes, 3),
    (
        Young,
        "get-random:errno=20012:times=3",
        Problem("recording-not-ready"),
        3,
    ),
];

/// API 1.0.1, where a deleted recording did exist before.
const OLDEST: &[AgeRow] = &[
    (
        Young,
        "get-random:errno=20014",
        Problem("recording-deleted"),
        1,
    ),
    (
        Young,
        "download:errno=20014",
        Problem("recording-deleted"),
        1,
    ),
];

/// API 1.1.0 and later, where the recording may not exist yet.
const NEWER: &[AgeRow] = &[
    (Young, "get-random:errno=20014:times=2", SameBytes, 3),
    (
        Young,
        "get-random:errno=20014:times=3",
        Problem("recording-not-ready"),
        3,
    ),
    (Young, "download:errno=20014:times=2", SameBytes, 3),
    (
        Young,
        "download:errno=20014:times=3",
        Problem("recording-not-ready"),
        3,
    ),
];

async fn check(api: Api, (age, fault, expected, requests): AgeRow) {
    let row = format!("{api} {age:?} {fault}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let name = match age {
        Young => format!("20260302091407-{}.7-1001-1003-Internal.wav", now.as_secs()),
        Old => NAME.to_owned(),
    };
    let pbx = Simulator::builder(api)
        .recording(&name, wav::music(1))
        .fault(fault.parse().unwrap());
    let pbx = pbx.start().await.unwrap();
    let gateway = gateway_for(&pbx, api).set("pbx.not_ready_retry_ms", json!([1, 1]));
    let gateway = gateway.start().await;
    match expected {
        Problem(slug) => {
            let problem = gateway.problem(&name).await;
            assert_eq!(problem.slug, slug, "{row}");
            let later = problem.headers.contains_key("retry-after");
            assert_eq!(later, slug == "recording-not-ready", "{row}");
        }
        _ => assert!(gateway.fetch(&name).await == wav::music(1), "{row}"),
    }
    assert_eq!(pbx.seen().requests.get_random, requests, "{row}");
}

#[tokio::test]
async fn api_110_waits_for_a_young_recording_said_to_be_deleted() {
    for (api, rows) in [
        (Api::SSeries101, OLDEST),
        (Api::SSeries110, NEWER),
        (Api::SSeries200, NEWER),
        (Api::Cloud110, NEWER),
        (Api::Cloud200, NEWER),
    ] {
        for row in EVERYWHERE.iter().chain(rows) {
            check(api, *row).await;
        }
    }
}
