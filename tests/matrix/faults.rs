//! Faults of the PBX: the caller gets the whole recording, the right problem, or a transfer that
//! visibly breaks. Never a short file that looks whole, never a hang.
//!
//! Each row also states its cost at the PBX. Every gateway here has room for one download only, and
//! after each row a clean download must succeed, which shows that no place was lost.

use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::{self, Broken, Gateway, NAME, gateway, jwt};

mod early_ends;
mod generations;
mod kept;
mod missing_or_deleted;
mod readers;

/// The bytes of the recording. Faults occur at byte 5, before the content can be recognised as
/// audio, and in the middle.
const LENGTH: usize = 400_308;
/// Room for one download, and short limits. A second is long for a handshake on a busy machine and
/// short for a test.
const LIMITS: &str = "max_downloads = 1\nqueue_timeout_ms = 5000\nanswer_timeout_ms = 1000\n\
                      first_byte_timeout_ms = 1000\nidle_timeout_ms = 1000\nretry_delay_ms = 10";

/// The caller's result.
#[derive(Clone, Copy, Debug)]
enum Expect {
    SameBytes,
    Problem(&'static str),
    /// Status 200, perhaps some bytes of the recording, and no proper end.
    BrokenAfter,
}

use Expect::{BrokenAfter, Problem, SameBytes};

/// Faults as on the simulator's command line, separated by spaces; the caller's result; the number
/// of tickets that the PBX issued, and the number of logins.
type Row<'a> = (&'a str, Expect, u64, u64);

async fn check(switches: &[Switch], row: Row<'_>) {
    check_at(Api::SSeries200, switches, row).await;
}

async fn check_at(api: Api, switches: &[Switch], (faults, expected, tickets, logins): Row<'_>) {
    let row = format!("{api} {switches:?} {faults}");
    let pbx = start_at(api, switches, faults).await;
    let gateway = tight(&pbx).start().await;

    let answer = gateway.get(NAME).bearer(&jwt("alice")).try_send().await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    match (expected, answer) {
        (_, Err(error)) => panic!("{row}: {error}"),
        (Problem(slug), Ok(answer)) => assert_eq!(answer.problem().await.slug, slug, "{row}"),
        (SameBytes | BrokenAfter, Ok(answer)) => {
            assert_eq!(answer.status(), 200, "{row}");
            match (expected, answer.bytes().await) {
                (SameBytes, Ok(bytes)) => assert!(bytes == recording, "{row}"),
                (BrokenAfter, Err(Broken { received })) => {
                    assert!(recording.starts_with(&received), "{row}");
                }
                (_, other) => panic!("{row}: {:?} bytes", other.map(|bytes| bytes.len())),
            }
        }
    }
    let seen = pbx.seen();
    assert_eq!(
        (seen.tickets_issued, seen.requests.login),
        (tickets, logins),
        "{row}: tickets and logins"
    );
    // A download that breaks after its first byte is repeated twice at most. The file address of a
    // P-Series is not a ticket: the gateway may take several, and its renewals of dead tokens limit
    // them.
    let passes = if matches!(expected, Problem(_)) { 1 } else { 3 };
    let most = if api == Api::PSeries { 6 } else { 2 * passes };
    assert!(tickets <= most, "{row}: never more than two tickets a pass");

    a_clean_download_follows(&pbx, &gateway, &row).await;
}

/// Checks that a break is mended once and twice, and that a third break reaches the caller.
async fn check_mending(api: Api, switches: &[Switch], faults: &str) {
    for (times, expected) in [(1, SameBytes), (2, SameBytes), (3, BrokenAfter)] {
        let faults = every(faults, times);
        let tickets = if times == 1 { 2 } else { 3 };
        check_at(api, switches, (&faults, expected, tickets, 1)).await;
    }
}

/// The same faults, each this many times.
fn every(faults: &str, times: u32) -> String {
    let faults = faults.split_whitespace();
    let faults: Vec<_> = faults
        .map(|fault| format!("{fault}:times={times}"))
        .collect();
    faults.join(" ")
}

async fn start(switches: &[Switch], faults: &str) -> Simulator {
    start_at(Api::SSeries200, switches, faults).await
}

async fn start_at(api: Api, switches: &[Switch], faults: &str) -> Simulator {
    let mut builder = Simulator::builder(api).recording(NAME, wav::pcm_of_size(LENGTH));
    for switch in switches {
        builder = builder.switch(*switch);
    }
    for fault in faults.split_whitespace() {
        builder = builder.fault(fault.parse().unwrap());
    }
    builder.start().await.unwrap()
}

/// A gateway with room for one stream and one download.
fn tight(pbx: &Simulator) -> harness::Builder {
    gateway(pbx)
        .set("relay.max_streams", 1)
        .lines("[pbx]", LIMITS)
}

async fn a_clean_download_follows(pbx: &Simulator, gateway: &Gateway, row: &str) {
    pbx.clear_faults();
    // A reload permits a login again where logins are held off.
    gateway.reload().unwrap();
    let bytes = gateway.fetch(NAME).await;
    assert!(bytes == pbx.recording_bytes(NAME).unwrap(), "{row}: after");
    harness::soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    assert_eq!(pbx.seen().tickets_used_twice, 0, "{row}");
}

#[tokio::test]
async fn a_fault_at_the_login_is_a_problem_and_costs_one_login() {
    for row in [
        ("login:html=200", Problem("pbx-protocol"), 0, 1),
        ("login:html=404", Problem("pbx-protocol"), 0, 1),
        ("login:html=503", Problem("pbx-overloaded"), 0, 1),
        ("login:status=200", Problem("pbx-protocol"), 0, 1),
        ("login:status=302", Problem("pbx-protocol"), 0, 1),
        ("login:status=500", Problem("pbx-protocol"), 0, 1),
        ("login:wrong-json", Problem("pbx-protocol"), 0, 1),
        ("login:garbage", Problem("pbx-protocol"), 0, 1),
        ("login:huge-json", Problem("pbx-protocol"), 0, 1),
        ("login:cut-after=10", Problem("pbx-protocol"), 0, 1),
        (
            "login:close-before-answer",
            Problem("pbx-unreachable"),
            0,
            1,
        ),
        ("login:reset-after=0", Problem("pbx-unreachable"), 0, 1),
        ("login:stall-after=0", Problem("pbx-timeout"), 0, 1),
        ("login:stall-after=10", Problem("pbx-timeout"), 0, 1),
        ("login:errno=10003", Problem("pbx-api-unsupported"), 0, 1),
        ("login:errno=20002", Problem("pbx-held-off"), 0, 1),
        ("login:errno=20003", Problem("pbx-login-refused"), 0, 1),
        ("login:errno=20008", Problem("pbx-request-refused"), 0, 1),
        ("login:errno=20010", Problem("pbx-internal-error"), 0, 1),
        ("login:errno=99999", Problem("pbx-protocol"), 0, 1),
        ("login:no-close-notify", SameBytes, 1, 1),
        ("any:slow=20ms:times=forever", SameBytes, 1, 1),
    ] {
        check(&[], row).await;
    }
}

#[tokio::test]
async fn a_fault_at_the_ticket_is_tried_once_more_where_that_can_help() {
    for row in [
        ("get-random:html=200", SameBytes, 1, 1),
        ("get-random:html=500", SameBytes, 1, 1),
        ("get-random:status=502", SameBytes, 1, 1),
        ("get-random:html=200:times=2", Problem("pbx-protocol"), 0, 1),
        ("get-random:status=200", Problem("pbx-protocol"), 0, 1),
        ("get-random:status=302", Problem("pbx-protocol"), 0, 1),
        ("get-random:wrong-json", Problem("pbx-protocol"), 0, 1),
        ("get-random:garbage", Problem("pbx-protocol"), 0, 1),
        ("get-random:huge-json", Problem("pbx-protocol"), 0, 1),
        ("get-random:close-before-answer", SameBytes, 1, 1),
        ("get-random:reset-after=0", SameBytes, 2, 1),
        (
            "get-random:close-before-answer:times=forever",
            Problem("pbx-unreachable"),
            0,
            1,
        ),
        ("get-random:stall-after=0", Problem("pbx-timeout"), 1, 1),
        (
            "get-random:errno=20012",
            Problem("recording-not-found"),
            0,
            1,
        ),
        ("get-random:errno=20014", Problem("recording-deleted"), 0, 1),
        ("get-random:status=503", SameBytes, 1, 1),
        (
            "get-random:status=503:times=2",
            Problem("pbx-overloaded"),
            0,
            1,
        ),
        ("get-random:errno=20010", SameBytes, 1, 1),
        (
            "get-random:errno=20010:times=forever",
            Problem("pbx-internal-error"),
            0,
            1,
        ),
        ("get-random:errno=20004", SameBytes, 1, 2),
        (
            "get-random:errno=20006:times=forever",
            Problem("pbx-token-refused"),
            0,
            2,
        ),
        ("get-random:dead-token-after-ticket", SameBytes, 2, 2),
        (
            "get-random:dead-token-after-ticket:times=forever",
            Problem("pbx-token-refused"),
            2,
            2,
        ),
        ("get-random:no-close-notify", SameBytes, 1, 1),
    ] {
        check(&[], row).await;
    }
}

#[tokio::test]
async fn a_fault_in_place_of_the_audio_costs_one_more_ticket_at_most() {
    for (fault, forever, tickets, logins) in [
        ("errno=20013", "pbx-ticket-refused", 2, 1),
        ("errno=20004", "pbx-token-refused", 2, 2),
        ("errno=20010", "pbx-internal-error", 2, 1),
        ("errno=20012", "recording-not-found", 2, 1),
        ("html=200", "pbx-protocol", 2, 1),
        ("html=403", "pbx-ticket-refused", 2, 1),
        ("html=404", "recording-not-found", 2, 1),
        ("html=503", "pbx-overloaded", 2, 1),
        ("status=200", "pbx-protocol", 2, 1),
        ("status=500", "pbx-protocol", 2, 1),
        ("wrong-json", "pbx-protocol", 2, 1),
        ("garbage", "pbx-protocol", 2, 1),
        ("close-before-answer", "pbx-unreachable", 2, 1),
        ("reset-after=0", "pbx-unreachable", 2, 1),
        ("cut-after=0", "pbx-protocol", 2, 1),
        ("cut-after=5", "pbx-protocol", 2, 1),
        ("cut-after=5:with-length", "pbx-protocol", 2, 1),
    ] {
        let once = format!("download:{fault}");
        check(&[], (&once, SameBytes, tickets, logins)).await;
        let always = format!("{once}:times=forever");
        check(&[], (&always, Problem(forever), tickets, logins)).await;
    }
    // Where a second ticket cannot help, the gateway takes none.
    for row in [
        ("download:errno=20014", Problem("recording-deleted"), 1, 1),
        ("download:status=302", Problem("pbx-protocol"), 1, 1),
        ("download:huge-json", Problem("pbx-protocol"), 1, 1),
        ("download:stall-after=0", Problem("pbx-timeout"), 1, 1),
        ("download:stall-after=5", Problem("pbx-timeout"), 1, 1),
    ] {
        check(&[], row).await;
    }
}

#[tokio::test]
async fn two_different_faults_do_not_add_up_to_a_third_ticket() {
    for row in [
        (
            "get-random:errno=20010 get-random:errno=20004 download:garbage",
            SameBytes,
            2,
            2,
        ),
        (
            "download:errno=20004 download:errno=20013",
            Problem("pbx-ticket-refused"),
            2,
            2,
        ),
        (
            "download:garbage download:html=503",
            Problem("pbx-overloaded"),
            2,
            1,
        ),
        (
            "get-random:status=503 download:errno=20010",
            Problem("pbx-internal-error"),
            1,
            1,
        ),
        // A download that breaks after its first byte is repeated, with a new count of tickets. The
        // answer that is refused also uses up the first reset.
        (
            "download:errno=20013 download:reset-after=200000:times=3",
            SameBytes,
            4,
            1,
        ),
        (
            "download:errno=20013 download:reset-after=200000:times=4",
            BrokenAfter,
            4,
            1,
        ),
    ] {
        check(&[], row).await;
    }
}

#[tokio::test]
async fn each_pbx_switch_gives_the_bytes_or_its_problem() {
    use Switch::*;
    for (switch, expected, tickets, logins) in [
        (Overload503Once, SameBytes, 1, 1),
        (InternalError20010, SameBytes, 1, 1),
        (InternalError30001, SameBytes, 1, 1),
        (HeaderOnly, SameBytes, 1, 1),
        (Gsm, SameBytes, 1, 1),
        (CloseUnannounced, SameBytes, 1, 1),
        (NoCloseNotify, SameBytes, 1, 1),
    ] {
        check(&[switch], ("", expected, tickets, logins)).await;
    }
    // These switches permit no download at all, so no clean download follows.
    for (switch, slug, tickets, logins) in [
        (Overload503Always, "pbx-overloaded", 0, 1),
        (InternalError20010Always, "pbx-internal-error", 0, 1),
        (InternalError30001Always, "pbx-internal-error", 0, 1),
        (RedirectFromPort80, "pbx-protocol", 0, 1),
        (MissingTokenField, "pbx-protocol", 0, 1),
        (BlankTokenField, "pbx-protocol", 0, 1),
        (MissingRandomField, "pbx-protocol", 1, 1),
        (BlankRandomField, "pbx-protocol", 1, 1),
        (FilesDeleted, "recording-deleted", 0, 1),
        // The connection closes before any byte, which does not show that the recording is empty.
        (ZeroBytes, "pbx-protocol", 2, 1),
    ] {
        let pbx = start(&[switch], "").await;
        let gateway = tight(&pbx).start().await;
        assert_eq!(gateway.problem(NAME).await.slug, slug, "{switch}");
        let seen = pbx.seen();
        let costs = (seen.tickets_issued, seen.requests.login);
        assert_eq!(costs, (tickets, logins), "{switch}");
    }
}

#[tokio::test]
async fn a_locked_out_address_asks_nothing_more_until_a_reload() {
    let pbx = start(&[], "login:errno=20002").await;
    let gateway = tight(&pbx).start().await;
    for _ in 0..3 {
        let problem = gateway.problem(NAME).await;
        assert_eq!(
            (problem.slug.as_str(), problem.status.as_u16()),
            ("pbx-held-off", 503)
        );
    }
    assert_eq!(pbx.seen().requests.total(), 1);
    a_clean_download_follows(&pbx, &gateway, "after the lock-out").await;
}

#[tokio::test]
async fn a_stale_ticket_is_replaced_once() {
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(1))
        .ticket_life(std::time::Duration::ZERO)
        .start()
        .await
        .unwrap();
    let gateway = tight(&pbx).start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-ticket-refused");
    let seen = pbx.seen();
    assert_eq!((seen.tickets_issued, seen.tickets_refused), (2, 2));
    assert_eq!((seen.logins_ok, seen.tickets_used_twice), (1, 0));
}
