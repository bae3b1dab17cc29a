//! A list that fails is a problem, never a short page.

use http::StatusCode;
use wavegate::simulator::{
    Api, CallKind, CallRecord, Misbehavior, ScriptedFault, Simulator, Switch,
};

use crate::harness::list::{APIS, WINDOW, page, pbx, walk};
use crate::harness::wire::Wire;
use crate::harness::{Builder, gateway, soon};

const CALLS: u32 = 200;

fn hasty(pbx: &Simulator) -> Builder {
    gateway(pbx)
        .set("pbx.retry_delay_ms", 1)
        .set("pbx.idle_timeout_ms", 300)
        .set("pbx.first_byte_timeout_ms", 2000)
}

/// The number of entries, or the slug of the problem.
async fn outcome(pbx: &Simulator, builder: Builder) -> Result<usize, String> {
    let gateway = builder.start().await;
    let query = format!("{WINDOW}&page_size=1000");
    let list = walk(&gateway, "/recordings", &query).await;
    assert!(gateway.app.shut_down().await);
    let seen = pbx.seen();
    assert_eq!(seen.cdr_tickets_refused, 0, "a ticket was shown twice");
    list.map(|entries| entries.len())
}

const TABLES: [Api; 2] = [Api::SSeries110, Api::Cloud200];

#[tokio::test]
async fn a_table_that_is_cut_once_is_read_again() {
    let (length, no_length) = (true, false);
    for api in TABLES {
        // In the head, in a row, in the last field of a row, and much later.
        for after_bytes in [0, 20, 700, 1_000, 1_150, 20_000] {
            for with_length in [length, no_length] {
                let pbx = pbx(api, CALLS).await;
                let what = Misbehavior::Cut {
                    after_bytes,
                    with_length,
                };
                pbx.inject(ScriptedFault::once(CallKind::CdrDownload, what));
                let listed = outcome(&pbx, hasty(&pbx)).await;
                assert_eq!(listed, Ok(200), "{api} {after_bytes} {with_length}");
                let tables = pbx.seen().requests.cdr_download;
                assert!((2..=3).contains(&tables), "{tables}");
            }
        }
        for what in [
            Misbehavior::Reset { after_bytes: 5_000 },
            Misbehavior::CloseBeforeAnswer,
            Misbehavior::Status(500),
            Misbehavior::Html { status: 200 },
            Misbehavior::Html { status: 504 },
            Misbehavior::Errno("20013".to_owned()),
            Misbehavior::Errno("20010".to_owned()),
        ] {
            let pbx = pbx(api, CALLS).await;
            pbx.inject(ScriptedFault::once(CallKind::CdrDownload, what.clone()));
            assert_eq!(outcome(&pbx, hasty(&pbx)).await, Ok(200), "{api} {what}");
            assert_eq!(pbx.seen().cdr_tickets_issued, 2);
        }
    }
}

#[tokio::test]
async fn a_table_that_is_cut_twice_is_a_problem() {
    for api in TABLES {
        for (what, slug) in [
            (
                Misbehavior::Cut {
                    after_bytes: 1_000,
                    with_length: true,
                },
                "pbx-unreachable",
            ),
            (
                Misbehavior::Cut {
                    after_bytes: 1_000,
                    with_length: false,
                },
                "pbx-unreachable",
            ),
            (Misbehavior::Reset { after_bytes: 1_000 }, "pbx-unreachable"),
            (Misbehavior::Stall { after_bytes: 1_000 }, "pbx-timeout"),
            (Misbehavior::Html { status: 504 }, "pbx-timeout"),
            (Misbehavior::Html { status: 503 }, "pbx-overloaded"),
            (Misbehavior::Html { status: 200 }, "pbx-protocol"),
            (Misbehavior::Status(404), "pbx-protocol"),
            (Misbehavior::Status(302), "pbx-protocol"),
            (Misbehavior::WrongJson, "pbx-protocol"),
            (Misbehavior::NotJsonGarbage, "pbx-protocol"),
            (Misbehavior::Errno("20012".to_owned()), "pbx-protocol"),
            (Misbehavior::Errno("20014".to_owned()), "pbx-protocol"),
            (Misbehavior::Errno("20004".to_owned()), "pbx-token-refused"),
            (Misbehavior::Errno("20013".to_owned()), "pbx-ticket-refused"),
            (Misbehavior::Errno("30001".to_owned()), "pbx-internal-error"),
        ] {
            let pbx = pbx(api, CALLS).await;
            pbx.inject(ScriptedFault::forever(CallKind::CdrDownload, what.clone()));
            let listed = outcome(&pbx, hasty(&pbx)).await;
            assert_eq!(listed, Err(slug.to_owned()), "{api} {what}");
            // Tokens of a Cloud PBX are exchanged, so more of them may be dead.
            assert!(pbx.seen().requests.cdr_download <= 6);
        }
    }
}

#[tokio::test]
async fn an_unannounced_end_is_proved_by_another_reading() {
    for switch in [Switch::NoCloseNotify, Switch::PlainHttp] {
        let calls = (0..CALLS).map(|number| CallRecord::numbered(number, 0));
        let pbx = Simulator::builder(Api::SSeries200)
            .switch(switch)
            .calls(calls);
        let pbx = pbx.start().await.unwrap();
        assert_eq!(outcome(&pbx, hasty(&pbx)).await, Ok(200));
        assert_eq!(pbx.seen().requests.cdr_download, 2);
    }
}

/// The ends of the table's rows, as a PBX without TLS sends it.
fn row_ends(said: &[u8]) -> Vec<u64> {
    let start = said
        .windows(7)
        .position(|bytes| bytes == b"callid,")
        .unwrap();
    let table = &said[start..];
    let ends = table.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(index, _)| index as u64 + 1).collect()
}

#[tokio::test]
async fn a_table_cut_over_plain_http_is_never_a_short_list() {
    let calls = (0..CALLS).map(|number| CallRecord::numbered(number, 0));
    let pbx = Simulator::builder(Api::SSeries200)
        .switch(Switch::PlainHttp)
        .calls(calls);
    let pbx = pbx.start().await.unwrap();
    let wire = Wire::to(&pbx).await;
    let through_wire = || hasty(&pbx).pbx_url(wire.url());
    assert_eq!(outcome(&pbx, through_wire()).await, Ok(200));
    let ends = row_ends(&wire.said());
    let cut_behind = |row: usize| {
        let (after_bytes, with_length) = (ends[row], false);
        let what = Misbehavior::Cut {
            after_bytes,
            with_length,
        };
        pbx.inject(ScriptedFault::once(CallKind::CdrDownload, what));
    };
    cut_behind(20);
    assert_eq!(outcome(&pbx, through_wire()).await, Ok(200));
    assert_eq!(pbx.seen().requests.cdr_download, 2 + 3);
    [20, 50, 90].into_iter().for_each(cut_behind);
    let listed = outcome(&pbx, through_wire()).await;
    assert_eq!(listed, Err("pbx-unreachable".to_owned()));
}

#[tokio::test]
async fn a_token_that_dies_between_ticket_and_table_is_renewed() {
    for api in TABLES {
        let pbx = pbx(api, CALLS).await;
        let what = Misbehavior::DeadTokenAfterTicket;
        pbx.inject(ScriptedFault::once(CallKind::CdrRandom, what));
        assert_eq!(outcome(&pbx, hasty(&pbx)).await, Ok(200), "{api}");
        assert_eq!(pbx.seen().cdr_tickets_issued, 2);
    }
}

#[tokio::test]
async fn a_dead_token_costs_a_list_nothing_but_a_new_one() {
    for api in APIS {
        let pbx = pbx(api, 10).await;
        let gateway = hasty(&pbx).start().await;
        for _ in 0..2 {
            let list = walk(&gateway, "/recordings", WINDOW).await.unwrap();
            assert_eq!(list.len(), 10);
            pbx.expire_tokens();
        }
        let seen = pbx.seen();
        assert_eq!(seen.logins_ok + seen.refreshes, 2, "{api}");
    }
}

#[tokio::test]
async fn after_a_break_tickets_and_tables_use_own_connections() {
    let calls = (0..10).map(|number| CallRecord::numbered(number, 0));
    let builder = Simulator::builder(Api::SSeries200).calls(calls);
    let pbx = builder.switch(Switch::KeepAlive).start().await.unwrap();
    let what = Misbehavior::CloseBeforeAnswer;
    pbx.inject(ScriptedFault::once(CallKind::CdrDownload, what));
    let gateway = hasty(&pbx).start().await;
    // The login's connection, and those of the lists.
    for connections in [1 + 3, 1 + 3 + 2] {
        let list = walk(&gateway, "/recordings", WINDOW).await;
        assert_eq!(list.map(|entries| entries.len()), Ok(10));
        assert_eq!(pbx.seen().connections, connections);
    }
}

#[tokio::test]
async fn a_ticket_for_a_table_fails_as_one_for_a_recording_does() {
    for (what, slug) in [
        (
            Misbehavior::Errno("10003".to_owned()),
            "pbx-api-unsupported",
        ),
        (Misbehavior::Errno("20010".to_owned()), "pbx-internal-error"),
        (Misbehavior::Errno("20012".to_owned()), "pbx-protocol"),
        (Misbehavior::Html { status: 504 }, "pbx-timeout"),
        (Misbehavior::WrongJson, "pbx-protocol"),
        (Misbehavior::HugeJson, "pbx-protocol"),
        (Misbehavior::CloseBeforeAnswer, "pbx-unreachable"),
    ] {
        let pbx = pbx(Api::SSeries200, 1).await;
        pbx.inject(ScriptedFault::forever(CallKind::CdrRandom, what.clone()));
        assert_eq!(
            outcome(&pbx, hasty(&pbx)).await,
            Err(slug.to_owned()),
            "{what}"
        );
        assert!(pbx.seen().requests.cdr_random <= 2);
    }
}

#[tokio::test]
async fn a_page_of_a_p_series_fails_clearly_or_is_asked_for_again() {
    for (what, once, always) in [
        (
            Misbehavior::Errno("-2".to_owned()),
            Ok(200),
            "pbx-internal-error",
        ),
        (
            Misbehavior::Errno("2".to_owned()),
            Ok(200),
            "pbx-overloaded",
        ),
        (
            Misbehavior::Errno("10004".to_owned()),
            Ok(200),
            "pbx-token-refused",
        ),
        (Misbehavior::Html { status: 200 }, Ok(200), "pbx-protocol"),
        (Misbehavior::Html { status: 503 }, Ok(200), "pbx-overloaded"),
        (Misbehavior::Html { status: 504 }, Ok(200), "pbx-timeout"),
        (Misbehavior::CloseBeforeAnswer, Ok(200), "pbx-unreachable"),
        // An empty list has the same answer, so the gateway accepts it when it comes twice.
        (Misbehavior::Errno("60001".to_owned()), Ok(200), ""),
        (
            Misbehavior::Errno("40002".to_owned()),
            Err("pbx-request-refused"),
            "pbx-request-refused",
        ),
        (Misbehavior::WrongJson, Err("pbx-protocol"), "pbx-protocol"),
        (Misbehavior::HugeJson, Err("pbx-protocol"), "pbx-protocol"),
        (
            Misbehavior::Cut {
                after_bytes: 1_000,
                with_length: false,
            },
            Err("pbx-protocol"),
            "pbx-protocol",
        ),
    ] {
        let pbx = pbx(Api::PSeries, CALLS).await;
        pbx.inject(ScriptedFault::once(CallKind::List, what.clone()));
        let listed = outcome(&pbx, hasty(&pbx)).await;
        assert_eq!(listed, once.map_err(str::to_owned), "{what}");
        if !always.is_empty() {
            pbx.clear_faults();
            pbx.inject(ScriptedFault::forever(CallKind::List, what.clone()));
            let listed = outcome(&pbx, hasty(&pbx)).await;
            assert_eq!(listed, Err(always.to_owned()), "{what}");
        }
    }
}

#[tokio::test]
async fn a_pbx_reads_two_lists_at_once_and_downloads_do_not_wait() {
    let name = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(name, wavegate::simulator::wav::music(1))
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx).set("pbx.queue_timeout_ms", 50).start().await;
    let what = Misbehavior::Stall { after_bytes: 10 };
    pbx.inject(ScriptedFault::forever(CallKind::CdrDownload, what));
    let target = format!("/recordings?{WINDOW}");
    let stalled = async { tokio::join!(page(&gateway, &target), page(&gateway, &target)) };
    let third = async {
        soon(pbx.until(|seen| seen.requests.cdr_download == 2)).await;
        let problem = page(&gateway, &target).await.err().unwrap();
        let answer = (problem.status, &*problem.slug);
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "saturated"));
        gateway.fetch(name).await
    };
    tokio::select! {
        _ = stalled => panic!("a table that stalls has no end"),
        bytes = third => assert_eq!(Some(bytes), pbx.recording_bytes(name)),
    }
}

#[tokio::test]
async fn a_list_in_pages_that_goes_wrong_midway_never_looks_whole() {
    for order in ["asc", "desc"] {
        let pbx = pbx(Api::PSeries, CALLS).await;
        let gateway = hasty(&pbx).start().await;
        let target = format!("/recordings?{WINDOW}&order={order}");
        let first = page(&gateway, &target).await.unwrap();
        assert_eq!(first.entries.len(), 100);
        let next = format!("{target}&cursor={}", first.next.unwrap());
        let what = Misbehavior::Errno("60001".to_owned());
        pbx.inject(ScriptedFault::once(CallKind::List, what.clone()));
        assert_eq!(page(&gateway, &next).await.unwrap().entries.len(), 100);
        pbx.inject(ScriptedFault::forever(CallKind::List, what));
        let problem = page(&gateway, &next).await.err().unwrap();
        assert_eq!(problem.slug, "pbx-protocol", "{order}");
    }
}
