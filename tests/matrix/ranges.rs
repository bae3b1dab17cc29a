//! Ranges and conditions: the table, with every source of a recording.
//!
//! Each row states the answer to a request where the length is known, and while it is not. It is
//! sent for a recording that is new to the gateway, and for one whose metadata is known; with the
//! cache and without; where the PBX sends the length, where the length follows from the end, and
//! where the end does not come.

mod check;
mod row;
mod table;
mod upstream;

use std::collections::HashMap;

use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::tls::{Http2, Identity};
use crate::harness::{self, Call, Gateway, NAME, gateway, gateway_for, jwt, soon};
use check::{Check, Told};
use row::{Answer, HELD_AT, Row, recording};
use table::rows;

/// A recording whose name has no time.
const UNDATED: &str = "call.wav";
/// Room for all readers of one PBX at once, so that none waits for a place.
const MANY: &str = "max_downloads = 200\nidle_timeout_ms = 600000";
/// Requests always wait for the end of a recording.
const PATIENT: u32 = 60_000;
const IMPATIENT: u32 = 0;

/// The name of a row's recording, where each row has a recording of its own.
fn own_name(number: usize, row: &Row) -> String {
    if row.is_dated {
        NAME.replace(".1203-", &format!(".{number}-"))
    } else {
        format!("call-{number}.wav")
    }
}

fn shared_name(_: usize, row: &Row) -> String {
    let name = if row.is_dated { NAME } else { UNDATED };
    name.to_owned()
}

/// A PBX with the recordings of all rows.
async fn pbx(tells_length: bool, name: impl Fn(usize, &Row) -> String) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200);
    let recording = recording();
    for (number, row) in rows().iter().enumerate() {
        builder = builder.recording(name(number, row), recording.clone());
    }
    if tells_length {
        builder = builder.switch(Switch::DownloadWithLength);
    }
    builder.start().await.unwrap()
}

/// The tags of recordings, as another gateway computes them.
async fn tags(name: impl Fn(usize, &Row) -> String) -> HashMap<String, String> {
    let pbx = pbx(true, &name).await;
    let other = gateway(&pbx).start().await;
    let mut tags = HashMap::new();
    for (number, row) in rows().iter().enumerate() {
        let name = name(number, row);
        if tags.contains_key(&name) {
            continue;
        }
        let target = format!("/recordings/{name}");
        let head = other.request(Method::HEAD, &target).bearer(&jwt("alice"));
        let tag = head.send().await.header("etag").unwrap().to_owned();
        tags.insert(name, tag);
    }
    tags
}

/// A row's request.
fn call(call: Call, row: &Row, tag: &str) -> Call {
    let fields = row.fields(tag);
    let call = fields
        .iter()
        .fold(call.bearer(&jwt("alice")), |call, (name, value)| {
            call.header(name, value)
        });
    if row.is_old() { call.http10() } else { call }
}

fn ask(gateway: &Gateway, name: &str, row: &Row, tag: &str) -> Call {
    let target = format!("/recordings/{name}");
    call(gateway.request(row.method(), &target), row, tag)
}

fn tickets(pbx: &Simulator) -> u64 {
    pbx.seen().tickets_issued
}

/// Sends each row for a recording that the gateway has never seen.
async fn check_unseen(tells_length: bool, with_cache: bool) {
    let tags = tags(own_name).await;
    let pbx = pbx(tells_length, own_name).await;
    let gateway = gateway(&pbx)
        .set("range.wait_ms", PATIENT)
        .lines("[pbx]", MANY);
    let gateway = if with_cache { gateway.cache() } else { gateway };
    let gateway = gateway.start().await;
    let told = if tells_length {
        Told::Both
    } else {
        Told::Either
    };
    for (number, row) in rows().iter().enumerate() {
        let name = own_name(number, row);
        let (tag, before) = (&tags[&name], tickets(&pbx));
        let check = Check { row, told, tag };
        let answer = ask(&gateway, &name, row, tag).send().await;
        check.check(row.known, answer).await;
        let spent = tickets(&pbx) - before;
        // Without the cache the bytes that were read to learn the length are gone, so the part is
        // read again.
        let twice = !tells_length && !with_cache && row.known.has_bytes();
        assert!(spent == 1 || (twice && spent == 2), "{spent} for {row:?}");
    }
}

#[tokio::test]
async fn an_unseen_recording_of_told_length_follows_the_table() {
    check_unseen(true, true).await;
}

#[tokio::test]
async fn without_cache_an_unseen_told_length_follows_the_table() {
    check_unseen(true, false).await;
}

#[tokio::test]
async fn an_unseen_recording_without_length_follows_the_table() {
    check_unseen(false, true).await;
}

#[tokio::test]
async fn without_cache_an_unseen_untold_length_follows_the_table() {
    check_unseen(false, false).await;
}

/// Sends each row for a recording whose metadata is known, and expects the exact answer.
async fn check_known(
    pbx: &Simulator,
    send: impl AsyncFn(&str, &Row, &str) -> Option<harness::Answer>,
    with_cache: bool,
) {
    let tags = tags(shared_name).await;
    for (number, row) in rows().iter().enumerate() {
        let name = shared_name(number, row);
        let (tag, before) = (&tags[&name], tickets(pbx));
        let told = Told::Both;
        let check = Check { row, told, tag };
        let Some(answer) = send(&name, row, tag).await else {
            continue;
        };
        check.check(row.known, answer).await;
        let cost = u64::from(!with_cache && row.known.has_bytes());
        assert_eq!(tickets(pbx) - before, cost, "{row:?}");
    }
}

/// A gateway that has read both shared recordings completely, once.
async fn knowing(pbx: &Simulator, builder: harness::Builder) -> Gateway {
    let gateway = builder
        .set("range.wait_ms", PATIENT)
        .lines("[pbx]", MANY)
        .start()
        .await;
    for name in [NAME, UNDATED] {
        assert!(gateway.fetch(name).await == recording());
    }
    assert_eq!(tickets(pbx), 2);
    gateway
}

#[tokio::test]
async fn a_cached_recording_costs_one_ticket_for_any_request() {
    for tells_length in [true, false] {
        let pbx = pbx(tells_length, shared_name).await;
        let gateway = knowing(&pbx, gateway(&pbx).cache()).await;
        let send = async |name: &str, row: &Row, tag: &str| {
            Some(ask(&gateway, name, row, tag).send().await)
        };
        check_known(&pbx, send, true).await;
        assert_eq!(tickets(&pbx), 2);
    }
}

#[tokio::test]
async fn a_recording_on_cache_is_the_same_over_http_2() {
    let (pbx, identity) = (pbx(false, shared_name).await, Identity::new());
    let builder = gateway(&pbx).cache().tls(&identity);
    let gateway = knowing(&pbx, builder).await;
    let addr = gateway.tls_addr();
    let connection: Http2 = identity.http2(addr).await;
    let send = async |name: &str, row: &Row, tag: &str| {
        let target = format!("https://{addr}/recordings/{name}");
        let call = call(Call::new(addr, row.method(), &target), row, tag);
        let sent = (!row.is_old()).then_some(connection.send(call));
        Some(sent?.await)
    };
    check_known(&pbx, send, true).await;
}

#[tokio::test]
async fn without_cache_only_bytes_cost_a_ticket() {
    for tells_length in [true, false] {
        let pbx = pbx(tells_length, shared_name).await;
        let gateway = knowing(&pbx, gateway(&pbx)).await;
        let send = async |name: &str, row: &Row, tag: &str| {
            Some(ask(&gateway, name, row, tag).send().await)
        };
        check_known(&pbx, send, false).await;
    }
}

/// Sends each row for a recording whose end does not come, and then releases the end.
async fn check_held(with_cache: bool) -> (Simulator, Gateway) {
    let tags = tags(shared_name).await;
    let pbx = pbx(false, shared_name).await;
    let gateway = gateway(&pbx)
        .set("range.wait_ms", IMPATIENT)
        .lines("[pbx]", MANY);
    let gateway = if with_cache { gateway.cache() } else { gateway };
    let gateway = gateway.start().await;
    pbx.hold_downloads(HELD_AT);
    let (rows, mut late) = (rows(), JoinSet::new());
    for (number, row) in rows.iter().enumerate() {
        let name = shared_name(number, row);
        let (tag, before) = (&tags[&name], tickets(&pbx));
        let told = Told::Neither;
        let check = Check { row, told, tag };
        let call = ask(&gateway, &name, row, tag);
        match row.unknown {
            Answer::Late(_) => {
                late.spawn(async move { (number, call.send().await) });
                let cost = u64::from(!with_cache);
                soon(pbx.until(|seen| seen.tickets_issued == before + cost)).await;
            }
            unknown => {
                check.check(unknown, call.send().await).await;
                if !with_cache {
                    let reads = unknown.has_bytes() || matches!(unknown, Answer::NoLength);
                    assert_eq!(tickets(&pbx) - before, u64::from(reads), "{row:?}");
                }
            }
        }
    }
    // No waiting request was answered without the length, although others were answered since.
    assert!(late.try_join_next().is_none());
    let waiting = late.len();
    if with_cache {
        assert_eq!(tickets(&pbx), 2);
    }
    pbx.release_downloads();
    while let Some(answered) = soon(late.join_next()).await {
        let (number, answer) = answered.unwrap();
        let row = &rows[number];
        let tag = &tags[&shared_name(number, row)];
        let Answer::Late(expected) = row.unknown else {
            unreachable!()
        };
        let told = Told::Either;
        let check = Check { row, told, tag };
        check.check(*expected, answer).await;
    }
    assert!(waiting > 20, "{waiting}");
    (pbx, gateway)
}

#[tokio::test]
async fn a_length_that_does_not_come_is_not_made_up() {
    let (pbx, gateway) = check_held(true).await;
    // Once the end has come, all answers are exact.
    for name in [NAME, UNDATED] {
        assert!(gateway.fetch(name).await == recording());
    }
    let send =
        async |name: &str, row: &Row, tag: &str| Some(ask(&gateway, name, row, tag).send().await);
    check_known(&pbx, send, true).await;
    assert_eq!(tickets(&pbx), 2);
}

#[tokio::test]
async fn a_length_that_does_not_come_is_not_made_up_without_cache() {
    check_held(false).await;
}

#[tokio::test]
async fn a_condition_waits_for_the_tag_it_is_about() {
    for with_cache in [true, false] {
        let tags = tags(shared_name).await;
        let pbx = pbx(false, shared_name).await;
        let gateway = gateway(&pbx)
            .set("range.wait_ms", PATIENT)
            .lines("[pbx]", MANY);
        let gateway = if with_cache { gateway.cache() } else { gateway };
        let gateway = gateway.start().await;
        pbx.hold_downloads(HELD_AT);
        // Parts of the recording are known, but neither its length nor its tag.
        let first = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        let mut late = JoinSet::new();
        let rows = [
            row::get("If-Match: {tag}", Answer::Whole, Answer::Whole),
            row::get("If-None-Match: {tag}", Answer::NotModified, Answer::Whole),
            row::head("If-None-Match: {tag}", Answer::NotModified, Answer::Head),
            row::get(
                "Range: bytes=5-9\nIf-Range: {tag}",
                Answer::Part(5, 9),
                Answer::Whole,
            ),
        ];
        for (number, row) in rows.iter().enumerate() {
            let call = ask(&gateway, NAME, row, &tags[NAME]);
            late.spawn(async move { (number, call.send().await) });
        }
        let other = row::head("If-None-Match: *", Answer::NotModified, Answer::NotModified);
        for _ in 0..20 {
            let answer = ask(&gateway, NAME, &other, "").send().await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        }
        assert!(late.try_join_next().is_none());
        pbx.release_downloads();
        while let Some(answered) = soon(late.join_next()).await {
            let (number, answer) = answered.unwrap();
            let (row, tag) = (&rows[number], tags[NAME].as_str());
            let told = Told::Both;
            let check = Check { row, told, tag };
            check.check(row.known, answer).await;
        }
        assert!(first.bytes().await.unwrap() == recording());
    }
}

#[tokio::test]
async fn a_length_is_learned_once_per_request_without_memory() {
    let pbx = pbx(false, shared_name).await;
    let gateway = gateway(&pbx)
        .cache()
        .set("cache.max_bytes", 0)
        .set("cache.remember_s", 0)
        .set("range.wait_ms", PATIENT)
        .start()
        .await;
    let tags = tags(shared_name).await;
    let rows = rows();
    let rows = rows
        .iter()
        .filter(|row| row.is_dated && row.known.has_bytes());
    for row in rows {
        let (tag, before) = (tags[NAME].as_str(), tickets(&pbx));
        let told = Told::Either;
        let check = Check { row, told, tag };
        let answer = ask(&gateway, NAME, row, tag).send().await;
        check.check(row.known, answer).await;
        assert!(tickets(&pbx) - before <= 2, "{row:?}");
    }
}
