//! Cache hits: a request that cost no read is counted once, by its source. A request that cost a
//! read, or was refused, is not counted.

use http::{Method, StatusCode};

use super::{READ, begin, head, held, stopped, tickets, until_let_go};
use crate::harness::metrics::Numbers;
use crate::harness::{Answer, Gateway, NAME, gateway, jwt};

/// The hits so far: from memory, by joining a read, and from metadata.
pub(super) async fn hits(gateway: &Gateway) -> [u64; 3] {
    let numbers = Numbers::of(gateway).await;
    ["cache", "joined", "known"]
        .map(|kind| numbers.at(&format!("cache_hits_total{{kind=\"{kind}\"}}")))
}

async fn with(gateway: &Gateway, method: Method, field: (&str, &str)) -> Answer {
    let call = gateway.request(method, &format!("/recordings/{NAME}"));
    let (name, value) = field;
    let call = call.bearer(&jwt("alice")).header(name, value);
    call.send().await
}

async fn range(gateway: &Gateway, range: &str) -> StatusCode {
    let answer = with(gateway, Method::GET, ("range", range)).await;
    let status = answer.status();
    answer.bytes().await.unwrap();
    status
}

/// Sends requests that the gateway answers from metadata, and returns their number.
async fn ask_what_is_known(gateway: &Gateway) -> u64 {
    let etag = head(gateway).await.header("etag").unwrap().to_owned();
    for (method, field, status) in [
        (Method::GET, ("if-none-match", &*etag), 304),
        (Method::HEAD, ("if-none-match", &etag), 304),
        (Method::GET, ("if-match", "\"other\""), 412),
        (Method::GET, ("range", "bytes=4000000-"), 416),
    ] {
        let answer = with(gateway, method, field).await;
        assert_eq!(answer.status().as_u16(), status, "{field:?}");
    }
    5
}

#[tokio::test]
async fn a_request_counts_as_at_most_one_kind_of_hit() {
    let pbx = held(true).await;
    let gateway = gateway(&pbx).cache().start().await;
    let first = begin(&gateway).await;
    assert_eq!(hits(&gateway).await, [0, 0, 0], "it cost a read");
    let second = begin(&gateway).await;
    assert_eq!(range(&gateway, "bytes=0-99").await, 206);
    assert_eq!(hits(&gateway).await, [0, 2, 0]);
    let known = ask_what_is_known(&gateway).await;
    assert_eq!(hits(&gateway).await, [0, 2, known]);

    pbx.release_downloads();
    for answer in [first, second] {
        answer.bytes().await.unwrap();
    }
    assert_eq!(range(&gateway, "bytes=3999999-").await, 206);
    gateway.fetch(NAME).await;
    assert_eq!(hits(&gateway).await, [2, 2, known]);
    let known = known + ask_what_is_known(&gateway).await;
    assert_eq!(hits(&gateway).await, [2, 2, known]);
    assert_eq!(tickets(&pbx), 1);
}

#[tokio::test]
async fn a_request_that_restarts_a_stopped_download_is_no_hit() {
    let pbx = held(true).await;
    let gateway = stopped(&pbx, "").await;
    assert_eq!(range(&gateway, &format!("bytes=0-{}", READ - 1)).await, 206);
    assert_eq!(hits(&gateway).await, [1, 0, 0]);
    assert_eq!(range(&gateway, &format!("bytes={READ}-")).await, 206);
    assert_eq!(hits(&gateway).await, [1, 0, 0]);
    assert_eq!(tickets(&pbx), 2);
    assert_eq!(range(&gateway, &format!("bytes={READ}-")).await, 206);
    assert_eq!(hits(&gateway).await, [2, 0, 0]);
}

#[tokio::test]
async fn a_wait_for_the_length_counts_as_one_hit_or_none() {
    let pbx = held(false).await;
    let gateway = stopped(&pbx, "wait_ms = 60000").await;
    // The range must be read to the end of the recording.
    assert_eq!(range(&gateway, "bytes=5-").await, 206);
    assert_eq!((hits(&gateway).await, tickets(&pbx)), ([0, 0, 0], 2));
    assert_eq!(range(&gateway, "bytes=-9").await, 206);
    assert_eq!((hits(&gateway).await, tickets(&pbx)), ([1, 0, 0], 2));
}

#[tokio::test]
async fn without_a_cache_only_known_metadata_is_a_hit() {
    let pbx = held(true).await;
    pbx.release_downloads();
    let gateway = gateway(&pbx).start().await;
    for _ in 0..2 {
        gateway.fetch(NAME).await;
    }
    assert_eq!(range(&gateway, "bytes=5-9").await, 206);
    assert_eq!(hits(&gateway).await, [0, 0, 0]);
    let known = ask_what_is_known(&gateway).await;
    assert_eq!(hits(&gateway).await, [0, 0, known]);
}

#[tokio::test]
async fn a_request_refused_by_the_read_limit_is_no_hit() {
    let pbx = held(true).await;
    let gateway = gateway(&pbx)
        .cache()
        .set("cache.linger_ms", 0)
        .set("relay.max_reads_per_minute", 1)
        .start()
        .await;
    drop(begin(&gateway).await);
    until_let_go(&pbx).await;
    let beyond = format!("bytes={READ}-");
    assert_eq!(range(&gateway, &beyond).await, 429);
    assert_eq!(hits(&gateway).await, [0, 0, 0]);
}
