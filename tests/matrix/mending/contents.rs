//! A PBX that sends another content after a break: the transfer breaks, and the next one has the
//! new content with another tag.

use bytes::Bytes;
use http::{Method, StatusCode};
use wavegate::simulator::{Simulator, Switch, wav};

use super::{CACHES, LENGTH, OTHER, altered, ask, etag, inject, mp3, start, tight};
use crate::harness::metrics::Numbers;
use crate::harness::{Gateway, NAME, gateway, jwt, soon};

/// The byte at which the connections break.
const BREAK: usize = 200_000;
/// A byte after the beginning by which a recording is recognised.
const LATE: usize = 1_000;

/// The tag of the recording that the PBX has now. Every gateway computes the same.
async fn tag_of(pbx: &Simulator) -> Option<String> {
    let gateway = gateway(pbx).start().await;
    gateway.fetch(NAME).await;
    etag(&gateway).await
}

/// A download that breaks off, and continues with another content.
async fn check(switches: &[Switch], old: &Bytes, new: &Bytes, row: &str) {
    let told = switches.contains(&Switch::DownloadWithLength);
    for cache in CACHES {
        let row = format!("{row} {switches:?} {cache}");
        let pbx = start(switches, old).await;
        let old_tag = tag_of(&pbx).await;
        let gateway = tight(&pbx, cache).start().await;
        let cut = if told { ":with-length" } else { "" };
        inject(&pbx, &format!("download:cut-after={BREAK}{cut}"));
        pbx.replace_after_download(NAME, new.clone());
        let before = pbx.seen().tickets_issued;

        let answer = ask(&gateway, NAME).await;
        assert_eq!(answer.status(), StatusCode::OK, "{row}");
        assert_eq!(
            answer.header("etag"),
            old_tag.as_deref().filter(|_| told),
            "{row}"
        );
        match answer.bytes().await {
            Ok(bytes) => panic!("{row}: {} bytes look whole", bytes.len()),
            Err(broken) => assert!(
                old[..BREAK].starts_with(&broken.received),
                "{row}: {} bytes came",
                broken.received.len()
            ),
        }
        assert_eq!(pbx.seen().tickets_issued - before, 2, "{row}");
        let differs = Numbers::of(&gateway).await;
        assert_eq!(differs.at("mends_total{outcome=\"differs\"}"), 1, "{row}");

        assert!(gateway.fetch(NAME).await == *new, "{row}: afterwards");
        let new_tag = etag(&gateway).await;
        assert!(
            new_tag.is_some() && new_tag != old_tag,
            "{row}: {new_tag:?}"
        );
    }
}

#[tokio::test]
async fn another_content_breaks_the_transfer_then_comes_whole() {
    let old = wav::pcm_of_size(LENGTH);
    let (longer, shorter) = (wav::pcm_of_size(LENGTH + 2), wav::pcm_of_size(LENGTH - 2));
    let much_shorter = wav::pcm_of_size(BREAK / 2);
    for switches in [&[][..], &[Switch::DownloadWithLength]] {
        check(switches, &old, &altered(&old, LATE), "late").await;
        check(switches, &old, &altered(&old, BREAK - 1), "at the break").await;
        check(switches, &old, &altered(&old, 50), "early").await;
        check(switches, &old, &longer, "longer").await;
        check(switches, &old, &shorter, "shorter").await;
        check(switches, &old, &much_shorter, "ends before the break").await;
        check(switches, &old, &mp3(), "of another type").await;
    }
    let told = [Switch::DownloadWithLength, Switch::PlainHttp];
    let old = mp3();
    check(&told, &old, &altered(&old, LATE), "MP3").await;
    check(&told, &old, &old.slice(..LENGTH / 2), "shorter MP3").await;
    check(&told, &old, &old.slice(..BREAK - 1), "MP3 before the break").await;
    check(&told, &old.slice(..LENGTH / 2 + 1), &old, "longer MP3").await;
}

#[tokio::test]
async fn another_content_at_the_third_pass_breaks_the_transfer() {
    let old = wav::pcm_of_size(LENGTH);
    let new = altered(&old, LATE);
    for cache in CACHES {
        // The second reading agrees, and breaks off earlier, at the same byte, or later.
        for second in [BREAK / 2, BREAK, LENGTH - 1] {
            let pbx = start(&[], &old).await;
            let gateway = tight(&pbx, cache).start().await;
            inject(
                &pbx,
                &format!("download:cut-after={BREAK} download:cut-after={second}:with-length"),
            );
            pbx.replace_after_download(NAME, old.clone());
            pbx.replace_after_download(NAME, new.clone());
            match ask(&gateway, NAME).await.bytes().await {
                Ok(bytes) => panic!("{cache} {second}: {} bytes look whole", bytes.len()),
                Err(broken) => assert!(old.starts_with(&broken.received), "{cache} {second}"),
            }
            assert!(gateway.fetch(NAME).await == new, "{cache} {second}");
        }
    }
}

#[tokio::test]
async fn a_changed_content_breaks_the_transfer_of_every_listener() {
    let (old, switches) = (wav::pcm_of_size(LENGTH), [Switch::DownloadWithLength]);
    let new = altered(&old, LATE);
    let pbx = start(&switches, &old).await;
    let gateway = tight(&pbx, "").start().await;
    inject(&pbx, &format!("download:stall-after={BREAK}"));
    pbx.replace_after_download(NAME, new.clone());
    let (one, two) = (ask(&gateway, NAME).await, ask(&gateway, NAME).await);
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let part = call.header("range", "bytes=300000-").send().await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    for answer in [one, two] {
        let broken = answer.bytes().await.map(|bytes| bytes.len());
        assert!(old.starts_with(&broken.unwrap_err().received));
    }
    let broken = part.bytes().await.map(|bytes| bytes.len());
    assert!(
        broken.unwrap_err().received.is_empty(),
        "nothing of it was read"
    );
    assert!(gateway.fetch(NAME).await == new);
}

#[tokio::test]
async fn a_content_that_changed_between_two_downloads_has_another_tag() {
    // Of the earlier content the length is known, and the first bytes are the same.
    let old = mp3();
    let rows: [(Bytes, &[Switch]); 4] = [
        (altered(&old, LATE), &[]),
        (altered(&old, LATE), &[Switch::DownloadWithLength]),
        (old.slice(..BREAK), &[]),
        ([&old[..], &old[..BREAK]].concat().into(), &[]),
    ];
    for (new, switches) in rows {
        for cache in ["max_bytes = 0", "keep_s = 0"] {
            let row = format!("{} bytes {switches:?} {cache}", new.len());
            let pbx = start(switches, &old).await;
            let gateway = tight(&pbx, cache).start().await;
            assert!(gateway.fetch(NAME).await == old);
            let old_tag = etag(&gateway).await;
            nothing_held(&gateway).await;
            pbx.add_recording(NAME, new.clone());
            // Slow enough for the last bytes to arrive a while before the end.
            inject(&pbx, "download:throttle=2000000");
            // The answer already has the old length and tag when the gateway notices the change.
            let answer = ask(&gateway, NAME).await;
            assert_eq!(answer.header("etag"), old_tag.as_deref(), "{row}");
            match answer.bytes().await {
                Ok(bytes) => panic!("{row}: {} bytes look whole", bytes.len()),
                Err(broken) => assert!(new.starts_with(&broken.received), "{row}"),
            }
            assert!(gateway.fetch(NAME).await == new, "{row}");
            assert_ne!(etag(&gateway).await, old_tag, "{row}");
        }
    }
}

async fn nothing_held(gateway: &Gateway) {
    soon(async {
        while Numbers::of(gateway).await.at("cache_bytes") > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_recording_gone_at_the_mend_breaks_off_and_is_forgotten() {
    for (cache, asked_again) in [("max_bytes = 0\nremember_missing_ms = 0", 2), ("", 0)] {
        let pbx = start(&[Switch::DownloadWithLength], &wav::pcm_of_size(LENGTH)).await;
        pbx.add_recording(OTHER, wav::music(1));
        let gateway = tight(&pbx, cache).start().await;
        inject(&pbx, &format!("download:stall-after={BREAK}"));
        let answer = ask(&gateway, NAME).await;
        let tag = etag(&gateway).await.expect("known by now");
        pbx.remove_recording(NAME);
        let broken = answer.bytes().await.map(|bytes| bytes.len());
        let received = broken.unwrap_err().received;
        assert!(received.len() <= BREAK, "{} bytes", received.len());
        let failed = Numbers::of(&gateway)
            .await
            .at("mends_total{outcome=\"failed\"}");
        assert_eq!(failed, 1);

        let asked = pbx.seen().requests.get_random;
        let target = format!("/recordings/{NAME}");
        for method in [Method::HEAD, Method::GET] {
            let call = gateway.request(method, &target).bearer(&jwt("alice"));
            let answer = call.header("if-none-match", &tag).send().await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{cache}");
        }
        assert_eq!(
            pbx.seen().requests.get_random - asked,
            asked_again,
            "{cache}"
        );
        // Its place at the PBX is free.
        assert!(gateway.fetch(OTHER).await == wav::music(1));
        soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    }
}
