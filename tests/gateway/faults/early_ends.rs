//! A recording that ends too early breaks the caller's transfer as well, wherever and however it ends; one that is
//! whole is whole even where the PBX leaves without a word.
//!
//! MP3 has no length of its own: without one from HTTP a proper end has to do, wherever it comes. TLS has such an end;
//! plain HTTP has none.

use bytes::Bytes;
use wavegate::simulator::{Switch, wav};

use super::Expect::{BrokenAfter, SameBytes};
use super::{LENGTH, a_clean_download_follows, check, start, tight};
use crate::harness::{NAME, jwt};

#[tokio::test]
async fn a_recording_that_ends_early_never_looks_whole() {
    for row in [
        ("download:cut-after=200000", BrokenAfter, 1, 1),
        ("download:cut-after=200000:with-length", BrokenAfter, 1, 1),
        ("download:cut-after=400307", BrokenAfter, 1, 1),
        (
            "download:cut-after=200000 download:no-close-notify",
            BrokenAfter,
            1,
            1,
        ),
        ("download:reset-after=200000", BrokenAfter, 1, 1),
        ("download:stall-after=200000", BrokenAfter, 1, 1),
        // All of it is there, and the RIFF header says so.
        ("download:no-close-notify", SameBytes, 1, 1),
    ] {
        check(&[], row).await;
        check(&[Switch::PlainHttp], row).await;
    }
    let told = [Switch::DownloadWithLength];
    check(&told, ("download:reset-after=200000", BrokenAfter, 1, 1)).await;
    check(&told, ("download:no-close-notify", SameBytes, 1, 1)).await;
}

#[tokio::test]
async fn where_no_length_is_known_only_a_proper_end_is_an_end() {
    for switch in [Switch::RiffSizeZero, Switch::RiffSizeMax, Switch::Mp3] {
        check(&[switch], ("", SameBytes, 1, 1)).await;
        for fault in [
            "download:no-close-notify",
            "download:reset-after=1000",
            "download:stall-after=1000",
            "download:cut-after=1000:with-length",
        ] {
            check(&[switch], (fault, BrokenAfter, 1, 1)).await;
        }
    }
    // The first bytes of an MP3 file tell what it is before there are twelve of them.
    for fault in [
        "download:reset-after=5",
        "download:cut-after=5:with-length",
        "download:cut-after=5 download:no-close-notify",
    ] {
        check(&[Switch::Mp3], (fault, BrokenAfter, 1, 1)).await;
    }
}

#[tokio::test]
async fn without_length_and_tls_nothing_tells_that_a_recording_is_whole() {
    for switch in [Switch::RiffSizeZero, Switch::RiffSizeMax, Switch::Mp3] {
        let pbx = start(&[switch, Switch::PlainHttp], "").await;
        let gateway = tight(&pbx).start().await;
        let answer = gateway.get(NAME).bearer(&jwt("alice")).try_send().await;
        if let Ok(answer) = answer {
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.is_err(), "{switch}");
        }
        check(
            &[switch, Switch::PlainHttp, Switch::DownloadWithLength],
            ("", SameBytes, 1, 1),
        )
        .await;
    }
}

#[tokio::test]
async fn the_riff_header_decides_where_a_recording_ends() {
    let whole = wav::pcm_of_size(LENGTH);
    let with_more: Bytes = [&whole[..], &[0; 1_000]].concat().into();
    for (sent, ends_properly, is_whole) in [
        (LENGTH, true, true),
        (LENGTH, false, true),
        // Behind the end that the header tells, the header tells nothing any more.
        (LENGTH + 500, true, true),
        (LENGTH + 500, false, false),
        (LENGTH - 1, true, false),
        (LENGTH - 1, false, false),
    ] {
        let pbx = start(&[], "").await;
        pbx.add_recording(NAME, with_more.clone());
        pbx.inject(format!("download:cut-after={sent}").parse().unwrap());
        if !ends_properly {
            pbx.inject("download:no-close-notify".parse().unwrap());
        }
        let gateway = tight(&pbx).start().await;
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        let row = format!("{sent} {ends_properly}");
        match answer.bytes().await {
            Ok(bytes) => assert!(is_whole && bytes == with_more[..sent], "{row}"),
            Err(_) => assert!(!is_whole, "{row}"),
        }
        a_clean_download_follows(&pbx, &gateway, &row).await;
    }
}

#[tokio::test]
async fn a_token_that_dies_under_a_download_breaks_it() {
    let pbx = start(
        &[Switch::TokenDeathCutsDownload],
        "download:throttle=1000000",
    )
    .await;
    let gateway = tight(&pbx).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), 200);
    pbx.expire_tokens();
    assert!(answer.bytes().await.is_err());
    a_clean_download_follows(&pbx, &gateway, "after the token's death").await;
}
