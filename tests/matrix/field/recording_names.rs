//! Names whose parties are unknown, but whose time is known.
//!
//! The PBX writes a time stamp and the call's id in front of everything else. So if a name begins
//! with 14 digits that are a time, and an epoch of nine or ten digits with a counter after `.` or
//! `_`, the start of the call and its id are known. The rest may be anything: hyphens in a number,
//! a suffix before or after the dot, too few fields or none, any extension. Then policies about
//! age, `recording-not-ready`, `Last-Modified`, lists and the PBX by `names_from` work as for any
//! other name. A name of five fields with a dot is also accepted without a time stamp, as before.
//! If the two contradict each other, the epoch is the start and the stamp chooses the PBX, as
//! before.
//!
//! Not permitted: the parties of a call. Only a name of exactly five fields has parties, so no
//! policy about parties permits more recordings. And no time counts in another place: after a
//! leading field, or in the number of a caller.

use http::StatusCode;
use wavegate::simulator::{Api, CallRecord, Simulator, wav};

use crate::harness::list::{APIS, walk};
use crate::harness::{Gateway, gateway, jwt, jwt_with};

/// 2026-01-01T00:09:00Z.
const BEGAN: u64 = 1_767_226_140;
const DATE: &str = "Thu, 01 Jan 2026 00:09:00 GMT";

/// Names of a call that began at that time, with unknown parties.
const KNOWN: &[&str] = &[
    "20260101000900-1767226140.9-+44-20-5550147-1001-Inbound.wav",
    "20260101000900-1767226140.9-1001-1003-Inbound-1.wav",
    "20260101000900-1767226140.9-1001-1003-Inbound_1.wav",
    "20260101000900-1767226140_9-1001-1003-Inbound-1.wav",
    "20260101000900-1767226140_9-+44-20-5550147-1001-Inbound.mp3",
    "20260101000900-1767226140.9-1001-0-1-Outbound.MP3",
    "20260101000900-1767226140.9-1001-1003-Internal-.yswav",
    "20260101000900-1767226140.9-1001-Internal.wav",
    "20260101000900-1767226140.9-1001--1003-Internal",
    "20260101000900-1767226140.9-1001.wav",
    "20260101000900-1767226140.9.wav",
    // The stamp has another time than the epoch.
    "20200229000900-1767226140.9-+44-20-5550147-1001-Inbound.wav",
];

/// Names without a known time.
const UNKNOWN: &[&str] = &[
    "x-20260101000900-1767226140.9-1001-1003-Internal.wav",
    "x-1767226140.9-1001-1003-Internal-1.wav",
    "20260101000900--1767226140.9-1001-1003-Internal.wav",
    "20261301000900-1767226140.9-1001-1003-Internal-1.wav",
    "20250229000900-1767226140.9-1001-1003-Internal-1.wav",
    "2026010100090-1767226140.9-1001-1003-Internal-1.wav",
    "20260101000900-17672261400.9-1001-1003-Internal-1.wav",
    "20260101000900-1767226140-1001-1003-Internal-1.wav",
    "20260101000900-1767226140.9.9-1001-1003-Internal-1.wav",
    "20260101000900-1767226140.-1001-1003-Internal-1.wav",
    "20260101000900-1001-1767226140.9-1003-Internal-1.wav",
    "exten-101-106-20260101-000900-1767226140.9.wav",
    "20260101-201-Inbound-1767226140.9.wav",
    "hello001",
];

/// The usual names, as before.
const USUAL: &[&str] = &[
    "20260101000900-1767226140.9-1001-1003-Internal.wav",
    "x-1767226140.9-1001-1003-Internal.wav",
];

async fn pbx(api: Api) -> Simulator {
    let mut builder = Simulator::builder(api);
    for name in KNOWN.iter().chain(UNKNOWN).chain(USUAL) {
        builder = builder.recording(*name, wav::pcm_of_size(2_000 + name.len()));
    }
    builder.start().await.unwrap()
}

async fn outcome(gateway: &Gateway, token: &str, name: &str) -> String {
    let answer = gateway.get(name).bearer(token).send().await;
    match answer.status() {
        StatusCode::OK => "200".to_owned(),
        _ => answer.problem().await.slug,
    }
}

#[tokio::test]
async fn the_date_of_a_recording_is_that_of_its_call() {
    let pbx = pbx(Api::SSeries200).await;
    let gateway = gateway(&pbx).cache().start().await;
    for (names, date) in [(KNOWN, Some(DATE)), (USUAL, Some(DATE)), (UNKNOWN, None)] {
        for name in names {
            // The end of a recording of unknown length must be read before it gets a date.
            assert!(gateway.fetch(name).await == pbx.recording_bytes(name).unwrap());
            let answer = gateway.get(name).bearer(&jwt("alice")).send().await;
            assert_eq!(answer.header("last-modified"), date, "{name}");
            answer.bytes().await.unwrap();
        }
    }
}

#[tokio::test]
async fn names_without_parties_still_have_a_date_for_policies() {
    let pbx = pbx(Api::SSeries110).await;
    let start = |gateway: crate::harness::Builder, condition: &str| {
        let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
        gateway.policies(&policy).start()
    };
    let recent = "resource has start && resource.start >= datetime(\"2026-01-01T00:09:00Z\")";
    let recent = start(gateway(&pbx), recent).await;
    let old = "resource has start && resource.start < datetime(\"2026-01-01T00:09:00Z\")";
    let old = start(gateway(&pbx), old).await;
    let parties = "resource has caller || resource has callee || resource has direction || \
                   principal.extensions.containsAny(resource.internal_parties)";
    let parties = start(
        gateway(&pbx).set("auth.issuer.extensions_claim", "extensions"),
        parties,
    )
    .await;
    let all = [
        "office/1001",
        "office/1003",
        "office/1",
        "office/20",
        "office/5550147",
    ];
    let token = jwt_with("alice", serde_json::json!({"extensions": all}));
    for (names, by_age, by_parties) in [
        (KNOWN, "200", "recording-denied"),
        (USUAL, "200", "200"),
        (UNKNOWN, "recording-denied", "recording-denied"),
    ] {
        for name in names {
            assert_eq!(outcome(&recent, &token, name).await, by_age, "{name}");
            assert_eq!(
                outcome(&old, &token, name).await,
                "recording-denied",
                "{name}"
            );
            assert_eq!(outcome(&parties, &token, name).await, by_parties, "{name}");
        }
    }
}

#[tokio::test]
async fn a_counter_in_the_name_does_not_hide_its_parties() {
    let name = "20260101000900-1767226140_9-1001-0205550147-Outbound.wav";
    let builder = Simulator::builder(Api::PSeries).recording(name, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let policy = "permit(principal, action, resource) when { resource has start && \
                  resource.start == datetime(\"2026-01-01T00:09:00Z\") && \
                  resource.internal_parties == [\"office/1001\"] };";
    let gateway = gateway(&pbx).policies(policy).start().await;
    assert_eq!(outcome(&gateway, &jwt("alice"), name).await, "200");
}

#[tokio::test]
async fn a_young_call_is_on_its_way_and_an_old_one_is_missing() {
    let now = jiff::Timestamp::now();
    let (stamp, epoch) = (now.strftime("%Y%m%d%H%M%S"), now.as_second());
    let young = |rest: &str| format!("{stamp}-{epoch}{rest}");
    for api in [
        Api::SSeries101,
        Api::SSeries110,
        Api::SSeries200,
        Api::Cloud110,
        Api::Cloud200,
        Api::PSeries,
    ] {
        let pbx = Simulator::builder(api).start().await.unwrap();
        let gateway = gateway(&pbx)
            .lines("[pbx]", "not_ready_retry_ms = []")
            .start()
            .await;
        for rest in [
            ".9-+44-20-5550147-1001-Inbound.wav",
            ".9-1001-1003-Inbound-1.wav",
            "_9-1001-1003-Inbound.wav",
            ".9.wav",
        ] {
            let problem = gateway.problem(&young(rest)).await;
            assert_eq!(problem.slug, "recording-not-ready", "{api:?} {rest}");
            assert!(problem.headers.contains_key("retry-after"));
            let old = format!("20260101000900-{BEGAN}{rest}");
            let problem = gateway.problem(&old).await;
            assert_eq!(problem.slug, "recording-not-found", "{api:?} {rest}");
        }
        let unknown = format!("x-{}", young(".9-1001-1003-Internal.wav"));
        let problem = gateway.problem(&unknown).await;
        assert_eq!(problem.slug, "recording-not-found", "{api:?}");
    }
}

#[tokio::test]
async fn a_bare_name_means_the_pbx_of_its_time_stamp() {
    let (first, second) = (pbx(Api::SSeries110).await, pbx(Api::PSeries).await);
    let gateway = gateway(&first)
        .set("pbx.names_until", "2026-01-01")
        .beside("new", &second)
        .set("pbx[1].names_from", "2026-01-01")
        .start()
        .await;
    let downloads = |pbx: &Simulator| pbx.seen().downloads_complete;
    for name in KNOWN {
        let before = (downloads(&first), downloads(&second));
        assert!(gateway.fetch(name).await == first.recording_bytes(name).unwrap());
        let is_old = name.starts_with("2020");
        let (old, new) = (u64::from(is_old), u64::from(!is_old));
        let expected = (before.0 + old, before.1 + new);
        first
            .until(|seen| seen.downloads_complete == expected.0)
            .await;
        second
            .until(|seen| seen.downloads_complete == expected.1)
            .await;
    }
}

#[tokio::test]
async fn a_list_tells_the_start_and_the_id_of_the_call() {
    for api in APIS {
        for name in KNOWN {
            // The row has another time. The time in the name takes precedence.
            let call = CallRecord {
                recording: (*name).to_owned(),
                ..CallRecord::numbered(20, 0)
            };
            let pbx = Simulator::builder(api).calls([call]).start().await.unwrap();
            let gateway = gateway(&pbx).start().await;
            let listed = walk(&gateway, "/recordings", "from=2026-01-01&to=2026-01-02");
            let listed = listed.await.unwrap();
            assert_eq!(listed.len(), 1, "{api:?} {name}");
            let started = listed[0]["started_at"].as_str().unwrap();
            assert!(
                started.starts_with("2026-01-01T00:09:00"),
                "{api:?} {name} {started}"
            );
            if api == Api::PSeries {
                assert_eq!(listed[0]["call_id"], "1767226140.9", "{name}");
            }
        }
    }
}
