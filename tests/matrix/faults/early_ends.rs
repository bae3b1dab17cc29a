//! A download that ends too early is repeated, twice at most, and continues at the place of the
//! break. After that the caller's transfer breaks as well, whatever the kind of end. A recording
//! that is whole is accepted even if the PBX closes without close_notify.
//!
//! MP3 has no length of its own, nor has a file whose RIFF size was never written, and a header
//! that declares more than came may be wrong. Without a length from HTTP, two orderly ends at the
//! same byte count as the end. An orderly end at another byte than the one before is a break.

use bytes::Bytes;
use wavegate::simulator::{Api, Switch, wav};

use super::Expect::{BrokenAfter, SameBytes};
use super::{LENGTH, a_clean_download_follows, check, check_mending, every, start, tight};
use crate::harness::{NAME, jwt, soon};

const API: Api = Api::SSeries200;

#[tokio::test]
async fn an_early_end_is_mended_twice_and_never_looks_whole() {
    for fault in [
        "download:cut-after=200000:with-length",
        "download:cut-after=400307:with-length",
        "download:reset-after=200000",
    ] {
        check_mending(API, &[], fault).await;
        check_mending(API, &[Switch::PlainHttp], fault).await;
    }
    for switches in [&[][..], &[Switch::PlainHttp]] {
        for fault in ["", " download:no-close-notify:times=forever"] {
            let row = |faults: &str| format!("{faults}{fault}");
            let once = row("download:cut-after=200000");
            check(switches, (&once, SameBytes, 2, 1)).await;
            let twice = row("download:cut-after=200000 download:cut-after=400307");
            check(switches, (&twice, SameBytes, 3, 1)).await;
            // The last of these ends might be the true one, so one more reading must show that it
            // is not.
            let thrice =
                row("download:cut-after=1000 download:cut-after=200000 download:cut-after=400307");
            check(switches, (&thrice, BrokenAfter, 4, 1)).await;
        }
    }
    let told = [Switch::DownloadWithLength];
    check_mending(API, &told, "download:reset-after=200000").await;
    // All bytes are there, and the RIFF header confirms that.
    for switches in [&[][..], &[Switch::PlainHttp], &told] {
        check(switches, ("download:no-close-notify", SameBytes, 1, 1)).await;
    }
}

#[tokio::test]
async fn a_stalled_download_is_mended_twice_and_never_looks_whole() {
    let stall = "download:stall-after=200000";
    let (plain, told) = ([Switch::PlainHttp], [Switch::DownloadWithLength]);
    tokio::join!(
        check_mending(API, &[], stall),
        check_mending(API, &plain, stall),
        check_mending(API, &told, stall),
    );
}

#[tokio::test]
async fn where_no_length_is_known_two_ends_that_agree_are_an_end() {
    for switch in [Switch::RiffSizeZero, Switch::RiffSizeMax, Switch::Mp3] {
        for (fault, tickets) in [
            ("", 2),
            ("download:no-close-notify", 2),
            ("download:reset-after=1000", 3),
            ("download:stall-after=1000", 3),
            ("download:cut-after=1000", 3),
            // This answer has a length.
            ("download:cut-after=1000:with-length", 2),
            // Mended twice, and then confirmed.
            ("download:reset-after=1000 download:reset-after=1000", 4),
        ] {
            check(&[switch], (fault, SameBytes, tickets, 1)).await;
        }
        for (fault, times) in [
            ("download:reset-after=1000", 3),
            ("download:cut-after=1000:with-length", 3),
        ] {
            check(&[switch], (&every(fault, times), BrokenAfter, 3, 1)).await;
        }
    }
    // The first bytes of an MP3 file identify it before there are twelve of them.
    for (fault, tickets) in [
        ("download:reset-after=5", 3),
        ("download:cut-after=5:with-length", 2),
        ("download:cut-after=5 download:no-close-notify", 3),
    ] {
        check(&[Switch::Mp3], (fault, SameBytes, tickets, 1)).await;
    }
}

#[tokio::test]
async fn without_tls_two_ends_that_agree_are_an_end_too() {
    for switch in [Switch::RiffSizeZero, Switch::RiffSizeMax, Switch::Mp3] {
        let plain = [switch, Switch::PlainHttp];
        check(&plain, ("", SameBytes, 2, 1)).await;
        check(&plain, ("download:cut-after=1000", SameBytes, 3, 1)).await;
        let told = [switch, Switch::PlainHttp, Switch::DownloadWithLength];
        check(&told, ("", SameBytes, 1, 1)).await;
    }
}

#[tokio::test]
async fn the_riff_header_decides_where_a_recording_ends() {
    let whole = wav::pcm_of_size(LENGTH);
    let with_more: Bytes = [&whole[..], &[0; 1_000]].concat().into();
    for (sent, ends_properly) in [
        (LENGTH, true),
        (LENGTH, false),
        // The recording continues after the end in its header, so the header no longer counts: two
        // ends must agree.
        (LENGTH + 500, true),
        (LENGTH + 500, false),
        // The header declares more than there is, and each reading ends at the same byte.
        (LENGTH - 1, true),
        (LENGTH - 1, false),
    ] {
        let pbx = start(&[], "").await;
        pbx.add_recording(NAME, with_more.clone());
        let cut = format!("download:cut-after={sent}:times=forever");
        pbx.inject(cut.parse().unwrap());
        if !ends_properly {
            pbx.inject("download:no-close-notify:times=forever".parse().unwrap());
        }
        let gateway = tight(&pbx).start().await;
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        let row = format!("{sent} {ends_properly}");
        assert!(answer.bytes().await.unwrap() == with_more[..sent], "{row}");
        let tickets = if sent == LENGTH { 1 } else { 2 };
        assert_eq!(pbx.seen().tickets_issued, tickets, "{row}");
        // The gateway has learned the length and announces it to the next caller. The file is now
        // longer, so that transfer breaks, and the gateway learns the new length.
        pbx.clear_faults();
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.header("content-length"), Some(&*sent.to_string()));
        assert!(answer.bytes().await.is_err(), "{row}");
        a_clean_download_follows(&pbx, &gateway, &row).await;
    }
}

#[tokio::test]
async fn a_token_that_dies_under_a_download_costs_a_login_and_no_byte() {
    let pbx = start(
        &[Switch::TokenDeathCutsDownload],
        "download:throttle=100000",
    )
    .await;
    let gateway = tight(&pbx).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), 200);
    pbx.expire_tokens();
    assert!(answer.bytes().await.unwrap() == pbx.recording_bytes(NAME).unwrap());
    let seen = pbx.seen();
    assert_eq!((seen.tickets_issued, seen.logins_ok), (2, 2));
}

#[tokio::test]
async fn tokens_that_die_under_every_pass_break_the_download() {
    let pbx = start(
        &[Switch::TokenDeathCutsDownload, Switch::DownloadWithLength],
        "download:throttle=100000:times=3",
    )
    .await;
    let gateway = tight(&pbx).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), 200);
    for pass in 1..=3 {
        soon(pbx.until(|seen| seen.downloads_started == pass)).await;
        pbx.expire_tokens();
    }
    assert!(answer.bytes().await.is_err());
    assert_eq!(pbx.seen().tickets_issued, 3);
    a_clean_download_follows(&pbx, &gateway, "after the tokens' death").await;
}
