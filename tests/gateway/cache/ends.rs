//! The end of a cache entry: deleted by the operator, changed by a reload, too old, or idle for too
//! long.

use std::time::{Duration, SystemTime};

use http::Method;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::dates::recording_since;
use super::{
    LENGTH, READ, begin, changed_at, get, head, held, tickets, until_let_go, until_metric,
    until_streams,
};
use crate::harness::admin::{ask, number};
use crate::harness::{Gateway, NAME, PBX, gateway, soon, write_secret};

const TOKEN: &str = "a-token-of-the-tests-for-the-admin-listener";

async fn guarded(pbx: &Simulator, cache: &str) -> Gateway {
    let builder = gateway(pbx).set("admin.token_file", "admin-token");
    write_secret(&builder.folder().join("admin-token"), TOKEN);
    builder.cache().lines("[cache]", cache).start().await
}

async fn delete(gateway: &Gateway) {
    let (addr, path) = (gateway.app.admin_address(), format!("/cache/{PBX}/{NAME}"));
    let token = format!("Bearer {TOKEN}");
    let reply = ask(addr, Method::DELETE, &path, &[&token]).await.unwrap();
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn a_deleted_recording_ends_for_its_listeners_at_once() {
    let pbx = held(true).await;
    let gateway = guarded(&pbx, "").await;
    let listeners = [begin(&gateway).await, begin(&gateway).await];
    assert_eq!(tickets(&pbx), 1);

    delete(&gateway).await;

    for listener in listeners {
        assert!(listener.bytes().await.is_err(), "it is gone");
    }
    until_let_go(&pbx).await;
    pbx.release_downloads();
    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    assert_eq!(tickets(&pbx), 2);
    // The delete also removes the metadata of the recording.
    delete(&gateway).await;
    head(&gateway).await;
    assert_eq!(tickets(&pbx), 3);
}

#[tokio::test]
async fn a_reload_that_leaves_a_pbx_as_it_is_keeps_its_recordings() {
    let pbx = held(true).await;
    let gateway = guarded(&pbx, "").await;
    let listener = begin(&gateway).await;
    gateway.reload().unwrap();
    pbx.release_downloads();
    listener.bytes().await.expect("it goes on");
    gateway.reload().unwrap();
    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    assert_eq!(tickets(&pbx), 1);
}

#[tokio::test]
async fn a_changed_pbx_gets_a_new_cache_and_listeners_finish() {
    let pbx = held(true).await;
    let gateway = gateway(&pbx).cache().set("pbx.answer_timeout_ms", 15000);
    let gateway = gateway.start().await;
    let listener = begin(&gateway).await;
    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let change = |timeout| {
        let other = text.replace("= 15000", timeout);
        assert_ne!(text, other);
        std::fs::write(&file, other).unwrap();
        gateway.reload().unwrap();
    };
    change("= 15001");

    pbx.release_downloads();
    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    listener.bytes().await.expect("it goes on");
    assert_eq!(tickets(&pbx), 2);
    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    assert_eq!(tickets(&pbx), 2);

    // The last listener has gone, so the old entries are freed.
    change("= 15002");
    soon(until_settled(&gateway)).await;
}

#[tokio::test]
async fn an_idle_recording_is_evicted_after_keep_s() {
    let pbx = held(true).await;
    pbx.release_downloads();
    let gateway = guarded(&pbx, "keep_s = 1").await;
    gateway.fetch(NAME).await;
    until_metric(
        &gateway,
        "wavegate_cache_evictions_total{reason=\"idle\"}",
        1,
    )
    .await;
    // The metadata of the recording remains.
    assert!(head(&gateway).await.header("etag").is_some());
    assert_eq!(tickets(&pbx), 1);
    gateway.fetch(NAME).await;
    assert_eq!(tickets(&pbx), 2);
}

#[tokio::test]
async fn max_age_s_ends_a_recording_despite_its_listeners() {
    let pbx = held(true).await;
    let gateway = guarded(&pbx, "max_age_s = 1").await;
    let listener = begin(&gateway).await;
    assert!(listener.bytes().await.is_err(), "it is too old");
    until_let_go(&pbx).await;
    pbx.release_downloads();
    gateway.fetch(NAME).await;
    assert_eq!(tickets(&pbx), 2);
}

#[tokio::test]
async fn a_recording_still_being_written_is_served_and_not_kept() {
    // Without a length, two readings must agree on the end.
    for (length, tickets_each) in [(Some(Switch::DownloadWithLength), 1), (None, 2)] {
        for size in [Switch::RiffSizeZero, Switch::RiffSizeMax] {
            let name = recording_since(SystemTime::now());
            let mut builder = Simulator::builder(Api::SSeries200)
                .recording(&name, wav::music(3))
                .switch(size);
            if let Some(length) = length {
                builder = builder.switch(length);
            }
            let pbx = builder.start().await.unwrap();
            let gateway = guarded(&pbx, "").await;
            for times in 1..=2 {
                let written = pbx.recording_bytes(&name).unwrap();
                assert!(gateway.fetch(&name).await == written);
                soon(until_settled(&gateway)).await;
                assert_eq!(tickets(&pbx), times * tickets_each);
                // Before the next request the PBX writes more of the recording.
                let longer = wav::music(3 + u32::try_from(times).unwrap());
                pbx.add_recording(&name, longer);
            }
        }
    }
}

/// Waits until the cache holds no bytes.
async fn until_settled(gateway: &Gateway) {
    let addr = gateway.app.admin_address();
    loop {
        let metrics = ask(addr, Method::GET, "/metrics", &[]).await.unwrap().text;
        if metrics.contains("wavegate_cache_bytes 0\n") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_recording_of_long_ago_is_kept_whatever_its_header_says() {
    for size in [Switch::RiffSizeZero, Switch::RiffSizeMax] {
        let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
        let pbx = builder.switch(size).start().await.unwrap();
        let gateway = guarded(&pbx, "").await;
        for _ in 0..2 {
            assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
        }
        assert_eq!(tickets(&pbx), 2);
    }
}

const MIB: u64 = 1 << 20;

fn max_bytes(mebibytes: u64) -> String {
    format!("max_bytes = {}", mebibytes * MIB)
}

/// Reloads the configuration with another size for the whole cache.
fn reload(gateway: &Gateway, from: u64, to: u64) {
    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace(&max_bytes(from), &max_bytes(to));
    assert_ne!(text, other);
    std::fs::write(&file, other).unwrap();
    gateway.reload().unwrap();
}

#[tokio::test]
async fn a_smaller_bound_evicts_idle_recordings_at_once() {
    const OTHERS: [&str; 2] = ["second.wav", "third.wav"];
    let evicted = "wavegate_cache_evictions_total{reason=\"room\"}";
    let pbx = held(true).await;
    pbx.release_downloads();
    let gateway = guarded(&pbx, &max_bytes(64)).await;
    gateway.fetch(NAME).await;
    for name in OTHERS {
        pbx.add_recording(name, wav::pcm_of_size(LENGTH));
        gateway.fetch(name).await;
    }
    until_streams(&gateway, 0).await;
    let admin = gateway.app.admin_address();
    let held = async || number(admin, "wavegate_cache_bytes").await;
    assert!(held().await >= 3 * LENGTH as u64);

    // The longest idle entry is evicted, and the other two fit.
    reload(&gateway, 64, 8);
    assert!((2 * LENGTH as u64..=8 * MIB).contains(&held().await));
    assert_eq!(number(admin, evicted).await, 1);
    for name in OTHERS {
        gateway.fetch(name).await;
    }
    assert_eq!(tickets(&pbx), 3);
    until_streams(&gateway, 0).await;

    reload(&gateway, 8, 0);
    assert_eq!(held().await, 0);
    assert_eq!(number(admin, evicted).await, 3);
    gateway.fetch(OTHERS[1]).await;
    assert_eq!(tickets(&pbx), 4);
    assert_eq!(held().await, 0);
}

#[tokio::test]
async fn a_cache_turned_off_serves_only_its_present_readers() {
    let pbx = held(true).await;
    let gateway = guarded(&pbx, &max_bytes(64)).await;
    let listener = begin(&gateway).await;
    reload(&gateway, 64, 0);

    let other = begin(&gateway).await;
    assert_eq!(tickets(&pbx), 2);
    pbx.release_downloads();
    for answer in [listener, other] {
        assert!(answer.bytes().await.unwrap() == wav::pcm_of_size(LENGTH)[READ..]);
    }
    soon(until_settled(&gateway)).await;
}

#[tokio::test]
async fn no_tag_comes_again_for_another_content_whatever_is_forgotten() {
    let pbx = held(true).await;
    pbx.release_downloads();
    let gateway = guarded(&pbx, "max_bytes = 0\nremember_missing_ms = 0").await;
    let tag = async || head(&gateway).await.header("etag").unwrap().to_owned();
    gateway.fetch(NAME).await;
    let first = tag().await;
    // The same length and the same beginning: the change shows at the end only.
    let other = changed_at(600_000);
    pbx.add_recording(NAME, other.clone());
    assert!(get(&gateway).await.bytes().await.is_err());
    let second = tag().await;
    assert_ne!(second, first);

    delete(&gateway).await;
    assert_eq!(tag().await, second);
    assert!(gateway.fetch(NAME).await == other);

    // The tag also stays the same when the PBX is configured anew and all metadata is forgotten.
    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[pbx.tls]", "answer_timeout_ms = 15001\n[pbx.tls]");
    std::fs::write(&file, text).unwrap();
    gateway.reload().unwrap();
    let spent = tickets(&pbx);
    assert_eq!(tag().await, second);
    assert_eq!(tickets(&pbx), spent + 1, "it was forgotten");
}
