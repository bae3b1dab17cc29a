//! A connection that the PBX leaves open carries the next download. A connection that the PBX has
//! closed costs a new ticket; the old ticket is never used again.

use wavegate::simulator::Switch;

use super::{NAME, start, tight};
use crate::harness::jwt;

#[tokio::test]
async fn a_connection_left_open_is_used_again() {
    for switches in [
        &[Switch::KeepAlive][..],
        &[Switch::KeepAlive, Switch::PlainHttp],
    ] {
        let pbx = start(switches, "").await;
        let gateway = tight(&pbx).start().await;
        for _ in 0..3 {
            assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
        }
        let seen = pbx.seen();
        // One connection for the JSON calls, one for the audio.
        assert_eq!(
            (seen.connections, seen.tickets_used),
            (2, 3),
            "{switches:?}"
        );
        assert_eq!((seen.requests.login, seen.requests.get_random), (1, 3));
    }
}

#[tokio::test]
async fn a_closed_connection_costs_a_new_ticket_and_no_replay() {
    // Closed without notice: after the first answer, later, and in the middle of the next exchange.
    for (switches, first, second) in [
        (
            &[Switch::KeepAlive, Switch::CloseUnannounced][..],
            "download:no-close-notify",
            "",
        ),
        (&[Switch::KeepAlive], "", "download:close-before-answer"),
        (&[Switch::KeepAlive], "", "download:reset-after=0"),
        (
            &[Switch::KeepAlive, Switch::PlainHttp],
            "",
            "download:close-before-answer",
        ),
    ] {
        let pbx = start(switches, first).await;
        let gateway = tight(&pbx).start().await;
        for round in 0..4 {
            if round == 1 && !second.is_empty() {
                pbx.inject(second.parse().unwrap());
            }
            assert!(
                gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap(),
                "{first} {second} {round}"
            );
        }
        let seen = pbx.seen();
        assert!(
            seen.tickets_issued <= 5,
            "{first} {second}: one more than needed"
        );
        assert_eq!((seen.tickets_used_twice, seen.tickets_refused), (0, 0));
        assert_eq!(seen.requests.login, 1);
    }
}

#[tokio::test]
async fn a_download_that_broke_leaves_no_connection_behind() {
    for (cuts, broken, after) in [(1, 3, 3), (3, 4, 5)] {
        let cut = format!("download:cut-after=200000:with-length:times={cuts}");
        let pbx = start(&[Switch::KeepAlive], &cut).await;
        let gateway = tight(&pbx).start().await;
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.bytes().await.is_ok(), cuts < 3);
        // One connection for the login, and one for each reading.
        assert_eq!(pbx.seen().connections, broken);
        assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
        assert_eq!(pbx.seen().connections, after, "the last one was whole");
    }
}

#[tokio::test]
async fn after_a_break_tickets_and_downloads_use_own_connections() {
    let pbx = start(&[Switch::KeepAlive], "download:close-before-answer").await;
    let gateway = tight(&pbx).start().await;
    // One connection for the login and three for the first recording; the second one needs one
    // more.
    for connections in [1 + 3, 1 + 3 + 1] {
        assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
        assert_eq!(pbx.seen().connections, connections);
    }
}

#[tokio::test]
async fn an_unannounced_close_after_the_ticket_costs_no_download() {
    let switches = [Switch::CloseUnannounced, Switch::JsonWithLength];
    let pbx = start(&switches, "").await;
    let gateway = tight(&pbx).start().await;
    for _ in 0..30 {
        assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
    }
    // After the first break the gateway opens a connection for each download.
    let seen = pbx.seen();
    assert!(
        (30..=31).contains(&seen.tickets_issued),
        "{}",
        seen.tickets_issued
    );
    assert_eq!(seen.tickets_refused, 0);
}
