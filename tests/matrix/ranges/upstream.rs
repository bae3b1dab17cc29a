//! A PBX that is configured to serve ranges is asked for the range alone. Its answer is used if it
//! is exactly that range.

use super::{
    Api, Gateway, MANY, NAME, PATIENT, Row, Simulator, StatusCode, Switch, UNDATED, ask,
    check_known, gateway, gateway_for, jwt, recording, tickets, wav,
};
use crate::harness::{Answer, Builder};

const TRUST: &str = "trust";
const BYTES: usize = 4_000_000;
/// A range whose bounds are not round numbers.
const PART: (usize, usize) = (2_345_678, 2_445_677);

/// A PBX with one long recording.
async fn giving(api: Api, switches: &[Switch]) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::pcm_of_size(BYTES));
    let switched = switches
        .iter()
        .fold(builder, |builder, switch| builder.switch(*switch));
    switched.start().await.unwrap()
}

/// A gateway without the cache that knows the metadata of the recording.
async fn knowing_one(pbx: &Simulator, builder: Builder) -> Gateway {
    let gateway = builder.start().await;
    assert_eq!(gateway.fetch(NAME).await.len(), BYTES);
    assert_eq!((tickets(pbx), pbx.seen().range_headers_seen), (1, 0));
    gateway
}

async fn get_part(gateway: &Gateway, (first, last): (usize, usize)) -> Answer {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let range = format!("bytes={first}-{last}");
    call.header("range", &range).send().await
}

/// Gets a range, which must be that of `recording`, byte by byte.
async fn check_part(gateway: &Gateway, (first, last): (usize, usize), recording: &[u8]) {
    let answer = get_part(gateway, (first, last)).await;
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    let range = format!("bytes {first}-{last}/{}", recording.len());
    assert_eq!(answer.header("content-range"), Some(&*range));
    assert!(answer.bytes().await.expect("whole") == recording[first..=last]);
}

#[tokio::test]
async fn every_generation_is_asked_for_no_more_than_the_part() {
    for &api in Api::ALL {
        let pbx = giving(api, &[Switch::HonoursRange]).await;
        let gateway = knowing_one(
            &pbx,
            gateway_for(&pbx, api).set("pbx.upstream_ranges", TRUST),
        )
        .await;
        let before = pbx.seen().bytes_sent;
        check_part(&gateway, PART, &wav::pcm_of_size(BYTES)).await;
        assert_eq!((tickets(&pbx), pbx.seen().range_headers_seen), (2, 1));
        assert_eq!(pbx.seen().bytes_sent - before, 100_000, "{api:?}");
    }
}

#[tokio::test]
async fn a_pbx_is_asked_for_a_part_only_if_trusted() {
    let pbx = giving(Api::SSeries200, &[Switch::HonoursRange]).await;
    let gateway = knowing_one(&pbx, gateway(&pbx)).await;
    check_part(&gateway, PART, &wav::pcm_of_size(BYTES)).await;
    assert_eq!((tickets(&pbx), pbx.seen().range_headers_seen), (2, 0));
}

#[tokio::test]
async fn the_table_holds_for_a_pbx_that_honors_ranges_or_ignores_them() {
    for gives_parts in [true, false] {
        let mut builder = Simulator::builder(Api::SSeries200);
        for name in [NAME, UNDATED] {
            builder = builder.recording(name, recording());
        }
        if gives_parts {
            builder = builder.switch(Switch::HonoursRange);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx)
            .set("range.wait_ms", PATIENT)
            .lines("[pbx]", MANY)
            .set("pbx.upstream_ranges", TRUST);
        let gateway = gateway.start().await;
        for name in [NAME, UNDATED] {
            assert!(gateway.fetch(name).await == recording());
        }
        let send = async |name: &str, row: &Row, tag: &str| {
            Some(ask(&gateway, name, row, tag).send().await)
        };
        check_known(&pbx, send, false).await;
        assert!(pbx.seen().range_headers_seen > 20);
    }
}

#[tokio::test]
async fn a_wrong_part_from_the_pbx_ends_its_range_requests() {
    let pbx = giving(Api::SSeries200, &[Switch::HonoursRange]).await;
    pbx.inject("download:other-range:times=forever".parse().unwrap());
    let gateway = knowing_one(&pbx, gateway(&pbx).set("pbx.upstream_ranges", TRUST)).await;
    check_part(&gateway, PART, &wav::pcm_of_size(BYTES)).await;
    assert_eq!((tickets(&pbx), pbx.seen().range_headers_seen), (3, 1));
    check_part(&gateway, PART, &wav::pcm_of_size(BYTES)).await;
    assert_eq!((tickets(&pbx), pbx.seen().range_headers_seen), (4, 1));
}

#[tokio::test]
async fn a_range_of_a_changed_recording_comes_from_the_new_content() {
    // A recording that is too short for the range (416), and a longer one (the answer has another
    // total length).
    for bytes in [2_400_000, 5_000_000] {
        let pbx = giving(
            Api::SSeries200,
            &[Switch::HonoursRange, Switch::DownloadWithLength],
        )
        .await;
        let gateway = knowing_one(&pbx, gateway(&pbx).set("pbx.upstream_ranges", TRUST)).await;
        let new = wav::pcm_of_size(bytes);
        pbx.add_recording(NAME, new.clone());
        let part = (PART.0, PART.1.min(bytes - 1));
        check_part(&gateway, part, &new).await;
        assert_eq!(tickets(&pbx), 3);
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_is_mended_with_the_rest_of_that_part() {
    let pbx = giving(Api::SSeries200, &[Switch::HonoursRange]).await;
    let gateway = knowing_one(&pbx, gateway(&pbx).set("pbx.upstream_ranges", TRUST)).await;
    for fault in ["cut-after=30000:with-length", "reset-after=50001"] {
        let before = (tickets(&pbx), pbx.seen().bytes_sent);
        pbx.inject(format!("download:{fault}").parse().unwrap());
        check_part(&gateway, PART, &wav::pcm_of_size(BYTES)).await;
        assert_eq!(tickets(&pbx) - before.0, 2);
        assert!(pbx.seen().bytes_sent - before.1 < 200_000);
    }
}

#[tokio::test]
async fn a_part_that_continues_with_another_content_breaks() {
    let pbx = giving(Api::SSeries200, &[Switch::HonoursRange]).await;
    let gateway = knowing_one(&pbx, gateway(&pbx).set("pbx.upstream_ranges", TRUST)).await;
    let old = wav::pcm_of_size(BYTES);
    let mut new = old.to_vec();
    new[PART.0 + 10] ^= 1;
    pbx.replace_after_download(NAME, new.clone());
    pbx.inject("download:cut-after=30000:with-length".parse().unwrap());
    let answer = get_part(&gateway, PART).await;
    let broken = answer.bytes().await.expect_err("two contents");
    assert!(broken.received == old[PART.0..][..broken.received.len()]);
}
