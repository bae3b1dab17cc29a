//! The metadata of recordings whose bytes are gone, or that never existed.

use http::StatusCode;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{head, tickets, until_metric};
use crate::harness::{Gateway, NAME, gateway, soon};

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_recording_that_is_gone_is_forgotten_at_once() {
    let idle = "keep_s = 0\nremember_missing_ms = 0";
    let off = "max_bytes = 0\nremember_missing_ms = 0";
    for (cache, kept) in [(idle, true), (off, false)] {
        let pbx = pbx().await;
        let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
        gateway.fetch(NAME).await;
        if kept {
            until_metric(
                &gateway,
                "wavegate_cache_evictions_total{reason=\"idle\"}",
                1,
            )
            .await;
        }
        pbx.remove_recording(NAME);
        // The gateway has not asked the PBX since.
        assert_eq!(head(&gateway).await.status(), StatusCode::OK);
        assert_eq!(tickets(&pbx), 1);

        assert_eq!(gateway.problem(NAME).await.slug, "recording-not-found");

        let asked = pbx.seen().requests.get_random;
        assert_eq!(head(&gateway).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(pbx.seen().requests.get_random, asked + 1);
    }
}

#[tokio::test]
async fn a_missing_recording_is_remembered_for_the_set_time() {
    let pbx = pbx().await;
    pbx.remove_recording(NAME);
    // The longest permitted time, which is longer than this test takes.
    let patient = gateway(&pbx)
        .cache()
        .set("cache.remember_missing_ms", 10000);
    let patient = patient.start().await;
    for _ in 0..3 {
        assert_eq!(patient.problem(NAME).await.slug, "recording-not-found");
        assert_eq!(head(&patient).await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(pbx.seen().requests.get_random, 1);

    let gateway = gateway(&pbx).cache().set("cache.remember_missing_ms", 200);
    let gateway = gateway.start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "recording-not-found");
    pbx.add_recording(NAME, wav::music(3));
    soon(until_found(&gateway)).await;
    assert!(gateway.fetch(NAME).await == wav::music(3));
}

async fn until_found(gateway: &Gateway) {
    while head(gateway).await.status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_recording_that_was_replaced_gets_another_tag() {
    let (old, new) = (wav::pcm_of_size(300_000), super::changed_at(200_000));
    let new = new.slice(..300_000);
    // The same length and the same beginning: only the whole content differs.
    let new = [&old[..1_000], &new[1_000..]].concat();
    assert!(old != new);
    let ways = ["keep_s = 0", "max_bytes = 0"].map(|cache| [(cache, true), (cache, false)]);
    for (cache, tells_length) in ways.into_iter().flatten() {
        let mut pbx = Simulator::builder(Api::SSeries200).recording(NAME, old.clone());
        if tells_length {
            pbx = pbx.switch(Switch::DownloadWithLength);
        }
        let pbx = pbx.start().await.unwrap();
        let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
        gateway.fetch(NAME).await;
        let tag = head(&gateway).await.header("etag").unwrap().to_owned();
        if cache == "keep_s = 0" {
            until_metric(
                &gateway,
                "wavegate_cache_evictions_total{reason=\"idle\"}",
                1,
            )
            .await;
        }
        pbx.add_recording(NAME, new.clone());
        // An answer with the old tag breaks off before its end. Where the gateway has noticed the
        // change earlier, the answer already is the new recording.
        let answer = super::get(&gateway).await;
        let announced = answer.header("etag").map(str::to_owned);
        match answer.bytes().await {
            Ok(bytes) => assert!(bytes == new && announced.as_ref() != Some(&tag)),
            Err(_) => assert_eq!(announced.as_ref(), Some(&tag)),
        }

        assert!(gateway.fetch(NAME).await == new);
        let other = head(&gateway).await.header("etag").unwrap().to_owned();
        assert_ne!(other, tag);
    }
}
