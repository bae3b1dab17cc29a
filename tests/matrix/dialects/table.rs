//! The table: for every switch of the simulator, the gateway's behaviour with a PBX that has it.
//!
//! Every row without a list runs without the cache, and with the default cache, except that an
//! abandoned download stops at once (`linger_ms = 0`). The expected results are the same. With the
//! cache a row that fetches several times fetches several recordings.
//!
//! Where a switch changes the words of the PBX, it is tried twice: over TLS, as in an office, and
//! in clear, where the test can read the words.

mod idle;
mod lists;
mod p_series;

pub(super) use idle::makes_no_difference;

use std::time::Duration;

use wavegate::simulator::{Api, Switch};

use super::case::{Case, Expect};
use super::setup::{Act, Name, Way};

/// The cases for a switch at a PBX that it applies to.
pub(super) fn cases(switch: Switch, api: Api) -> Vec<Case> {
    if api == Api::PSeries
        && let Some(cases) = p_series::cases(switch)
    {
        return cases;
    }
    let fetch = Case::fetch;
    let clear = Case::in_clear;
    match switch {
        // The listener.
        Switch::PlainHttp => vec![fetch(), fetch().way(Way::Wire).said("HTTP/1.1 200 OK")],
        Switch::RedirectFromPort80 => {
            // The gateway does not follow it: there is only one request.
            let case = fetch().way(Way::Wire).problem("pbx-protocol");
            vec![
                case.said("302 Moved")
                    .seen(|seen| seen.requests.total() == 1),
            ]
        }
        Switch::Tls13 => vec![fetch(), fetch().way(Way::Wire).wire(chose_tls_13)],
        Switch::SniRequired => {
            let nameless = fetch().problem("pbx-unreachable");
            let nameless =
                nameless.seen(|seen| seen.handshakes_failed > 0 && seen.requests.total() == 0);
            vec![nameless, fetch().way(Way::Localhost)]
        }
        Switch::HostRequired => {
            // The wire has its own port, so the gateway sends another Host through it.
            let stranger = fetch().way(Way::Wire).problem("pbx-protocol");
            vec![fetch(), fetch().way(Way::Localhost), stranger]
        }
        Switch::KeepAlive => vec![
            // Login, ticket, download, ticket, download.
            fetch()
                .act(Act::FetchTwice)
                .seen(|seen| seen.connections < 5),
            fetch().act(Act::ExpireBetween),
        ],
        Switch::CloseUnannounced => vec![
            fetch().act(Act::FetchTwice),
            clear().act(Act::FetchTwice).never_said("Connection:"),
        ],
        Switch::NoCloseNotify => vec![
            fetch().act(Act::FetchTwice),
            fetch().name(Name::Unknown).problem("recording-not-found"),
            refused().problem("pbx-ticket-refused"),
            fetch().with(&[Switch::Mp3, Switch::DownloadWithLength]),
            // Only the end of the connection ends this one, so two ends must agree.
            fetch()
                .with(&[Switch::Mp3])
                .seen(|seen| seen.tickets_issued == 2),
        ],
        Switch::WrongAddressDropped => {
            let stranger = fetch()
                .pbx("bind_address = \"127.0.0.2\"")
                .problem("pbx-unreachable");
            vec![fetch(), stranger.seen(|seen| seen.connections_dropped > 0)]
        }
        Switch::OlderPathsToo => {
            let older = api.older().iter().chain([&api]);
            older.map(|older| fetch().api(*older)).collect()
        }

        // The form of answers.
        Switch::FullBoaHeaders => vec![fetch(), clear().said("Server: Boa/")],
        Switch::MinimalHeaders => vec![fetch(), clear().never_said("Server: Boa/")],
        Switch::JsonWithLength => vec![fetch(), clear().said("Content-Length: ")],
        Switch::StatusLowerCase => worded(r#""status":"success""#, r#""status":"failed""#),
        Switch::StatusUpperCase => worded(r#""status":"SUCCESS""#, r#""status":"FAILED""#),
        Switch::StatusKeyCapital => worded(r#""Status":"Success""#, r#""Status":"Failed""#),
        Switch::FailureWord => worded(r#""status":"Success""#, r#""status":"Failure""#),
        Switch::ErrnoAsNumber => worded(r#""status":"Success""#, r#""errno":20012"#),
        Switch::S1000ErrorNumbers => {
            let unknown = clear().name(Name::Unknown).problem("recording-deleted");
            let young = || fetch().name(Name::Young).with(&[Switch::LateFile]);
            vec![
                // 20014 for an old call is read as in API 1.0.1: the recording is gone in either
                // meaning.
                unknown.said(r#""errno":"20014""#),
                // 20012 is read as in API 1.0.1 when a second ticket gets it, too.
                refused().problem("recording-not-found"),
                young()
                    .pbx("not_ready_retry_ms = [1, 1]")
                    .seen(|seen| seen.requests.get_random == 3),
                young()
                    .pbx("not_ready_retry_ms = [1]")
                    .problem("recording-not-ready"),
            ]
        }
        Switch::UnsolicitedExtras => worded(r#""sn" : null"#, r#""sn" : null"#),
        Switch::MissingTokenField | Switch::BlankTokenField => {
            let case = fetch().problem("pbx-protocol");
            vec![case.seen(|seen| seen.logins_ok == 1 && seen.requests.total() == 1)]
        }
        Switch::MissingRandomField | Switch::BlankRandomField => {
            let case = fetch().problem("pbx-protocol");
            vec![case.seen(|seen| seen.tickets_issued == 1 && seen.requests.download == 0)]
        }
        Switch::NoRecordingEcho => vec![fetch(), clear().never_said(r#""recording":"#)],

        // Logins and tokens.
        Switch::PortRequired10004 | Switch::PortRequired20008 => {
            let refused = fetch().problem("pbx-request-refused");
            vec![
                refused.seen(|seen| seen.requests.login == 1 && seen.logins_refused == 1),
                fetch()
                    .pbx("report_port = 8260")
                    .seen(|seen| seen.logins_ok == 1),
            ]
        }
        Switch::SecondLoginErasesFirst => {
            // Our login, the other program's, and ours again.
            vec![
                fetch()
                    .act(Act::ForeignLoginBetween)
                    .seen(|seen| seen.logins_ok == 3),
            ]
        }
        Switch::ExpiredTokenIs20006 => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 2),
            clear().act(Act::ExpireBetween).said(r#""errno":"20006""#),
        ],
        Switch::DownloadDoesNotProlong => {
            vec![
                fetch()
                    .act(Act::ExpireBetween)
                    .seen(|seen| seen.logins_ok == 2),
            ]
        }
        Switch::TokenDeathCutsDownload => {
            let slow = fetch()
                .inject("download:throttle=24000")
                .act(Act::ExpireWhileRunning);
            vec![slow.seen(|seen| seen.downloads_cut == 1 && seen.tickets_issued == 2)]
        }
        Switch::TokenRefresh => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 2),
            clear().said(r#""refreshtoken":"#),
        ],

        // get_random.
        Switch::RandomForUnknownName => {
            let unknown = fetch().name(Name::Unknown).problem("recording-not-found");
            vec![
                fetch(),
                unknown.seen(|seen| seen.tickets_used == 2),
                refused().problem("pbx-ticket-refused"),
            ]
        }
        Switch::BlankNameIs20007 => {
            let blank = clear().name(Name::Blank).problem("pbx-request-refused");
            vec![fetch(), blank.said(r#""errno":"20007""#)]
        }
        Switch::FilesDeleted => {
            let case = fetch().problem("recording-deleted");
            vec![case.seen(|seen| seen.requests.get_random == 1)]
        }
        Switch::LateFile => {
            let old = fetch().problem("recording-not-found");
            let young = || fetch().name(Name::Young);
            let there = young().pbx("not_ready_retry_ms = [1, 1]");
            let not_yet = young().pbx("not_ready_retry_ms = [1]");
            vec![
                old.seen(|seen| seen.requests.get_random == 1),
                there.seen(|seen| seen.requests.get_random == 3),
                not_yet.problem("recording-not-ready"),
                young()
                    .pbx("not_ready_window_s = 0")
                    .problem("recording-not-found"),
            ]
        }
        Switch::AllowedIpIs30001 => vec![fetch().seen(|seen| seen.allowedip_values == [None])],
        Switch::InternalError20010
        | Switch::InternalError30001
        | Switch::Overload503Once
        | Switch::GatewayTimeout504Once => {
            vec![fetch().seen(|seen| seen.requests.get_random == 2)]
        }
        Switch::InternalError20010Always | Switch::InternalError30001Always => {
            let case = fetch().problem("pbx-internal-error");
            vec![case.seen(|seen| seen.requests.get_random == 2)]
        }
        Switch::GatewayTimeout504Always => {
            let case = fetch().problem("pbx-timeout");
            vec![case.seen(|seen| seen.requests.get_random == 2)]
        }
        Switch::Overload503Always => {
            let case = fetch().problem("pbx-overloaded");
            vec![case.seen(|seen| seen.requests.get_random == 2)]
        }
        Switch::SlowAnswers => {
            let too_slow = fetch().answer_delay(Duration::from_secs(3600));
            let too_slow = too_slow
                .pbx("answer_timeout_ms = 3000")
                .problem("pbx-timeout");
            vec![
                fetch().answer_delay(Duration::from_millis(50)),
                too_slow.seen(|seen| seen.requests.total() == 1),
            ]
        }

        // The address that may use a random, and how often. Connections: login, ticket, download,
        // ticket, download.
        Switch::RequesterIsLoginPeer => vec![
            fetch(),
            fetch()
                .way(Way::Nat(&[2, 3, 2]))
                .seen(|seen| seen.tickets_issued == 1),
        ],
        Switch::TokenBoundRandom => {
            let case = fetch().inject("get-random:dead-token-after-ticket");
            vec![case.seen(|seen| seen.logins_ok == 2 && seen.tickets_issued == 2)]
        }
        Switch::WrongAddressIs403Html => {
            let case = clear()
                .way(Way::Nat(&[1, 2, 3, 2, 3]))
                .problem("pbx-ticket-refused");
            let case = case.seen(|seen| seen.tickets_refused == 2);
            vec![fetch(), case.said("HTTP/1.1 403 ")]
        }
        Switch::CutDownloadSpendsNothing => vec![
            fetch()
                .inject("download:cut-after=10")
                .seen(|seen| seen.tickets_issued == 2),
            fetch()
                .inject("download:cut-after=20000")
                .seen(|seen| seen.tickets_issued == 2),
            fetch()
                .inject("download:cut-after=20000:with-length:times=3")
                .expect(Expect::Broken)
                .seen(|seen| seen.tickets_issued == 3),
        ],

        // Downloads.
        Switch::DownloadErrorsAre404Html => failing("recording-not-found", "recording-not-found"),
        Switch::DownloadErrorsAre403Html => failing("pbx-ticket-refused", "pbx-ticket-refused"),
        Switch::DownloadErrorsAreEmpty => failing("pbx-protocol", "pbx-protocol"),
        Switch::DownloadWithLength => vec![fetch(), clear().said("Content-Length: 48308\r\n")],
        Switch::DownloadTypeAudio => vec![fetch(), clear().said("Content-Type: audio/x-wav\r\n")],
        Switch::DownloadTypeWav => vec![fetch(), clear().said("Content-Type: audio/wav\r\n")],
        Switch::DownloadWithoutType => vec![fetch(), clear().never_said("octet-stream")],
        Switch::DownloadWithDisposition => vec![fetch(), clear().said("Content-Disposition: ")],
        Switch::DownloadChunked => vec![
            fetch(),
            clear().said("Transfer-Encoding: chunked\r\n"),
            fetch()
                .with(&[Switch::Mp3])
                .seen(|seen| seen.tickets_issued == 2),
        ],
        Switch::HonoursRange => {
            vec![
                fetch()
                    .act(Act::FetchRange)
                    .expect(Expect::Part)
                    .seen(|seen| seen.range_headers_seen == 0),
            ]
        }
        Switch::PlusIsSpace => vec![fetch().name(Name::Odd)],
        Switch::RawQuery => {
            let odd = fetch().name(Name::Odd).problem("pbx-ticket-refused");
            vec![fetch(), odd.seen(|seen| seen.tickets_refused == 2)]
        }
        Switch::OneDownloadAtATime => {
            vec![
                fetch()
                    .act(Act::FetchBehind(1))
                    .seen(|seen| seen.downloads_running_max == 1),
            ]
        }
        Switch::BusyIs503 => {
            let third = fetch().act(Act::FetchBeside(2)).problem("pbx-overloaded");
            vec![
                fetch().act(Act::FetchBeside(1)),
                third.seen(|seen| seen.requests.download == 4),
            ]
        }
        Switch::GrowingFile => {
            let told = || fetch().with(&[Switch::DownloadWithLength]);
            vec![
                // The second end does not agree with the first, since the file has grown.
                fetch().expect(Expect::Broken),
                fetch().act(Act::FetchAll(2)),
                told().expect(Expect::FirstHalf),
                // It was not cached, since it may still have been growing.
                told().name(Name::Young).act(Act::FetchAgain),
            ]
        }

        // The content of a recording.
        Switch::Gsm
        | Switch::HeaderOnly
        | Switch::RiffSizeZero
        | Switch::RiffSizeMax
        | Switch::Mp3 => {
            vec![
                fetch().other_form(),
                fetch().with(&[Switch::DownloadWithLength]),
            ]
        }
        Switch::ZeroBytes => {
            // A connection that closes at once does not show an empty recording; a length of 0
            // does.
            let untold = fetch().problem("pbx-protocol");
            let told = fetch().problem("recording-empty");
            let told = told.with(&[Switch::DownloadWithLength]);
            vec![
                untold.seen(|seen| seen.tickets_used == 2),
                told.seen(|seen| seen.tickets_used == 1),
            ]
        }

        // The exchange of tokens.
        Switch::RefreshRefused => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 2 && seen.requests.refresh == 1),
            fetch()
                .with(&[Switch::RefreshOutlivesToken])
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 2 && seen.requests.refresh == 1),
        ],
        Switch::RefreshOutlivesToken => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 1 && seen.refreshes == 1),
        ],
        Switch::RefreshKeepsOldToken | Switch::RefreshRotatesNothing => vec![
            fetch()
                .with(&[Switch::RefreshOutlivesToken])
                .act(Act::ExpireBetween)
                .seen(|seen| seen.logins_ok == 1 && seen.refreshes == 1),
        ],
        Switch::NoRefreshTokenField => vec![without_refresh(fetch())],
        Switch::BlankRefreshTokenField => {
            vec![without_refresh(clear()).said("\"refreshtoken\":\"\"")]
        }

        // Lists.
        Switch::Cdr504Once
        | Switch::Cdr504Always
        | Switch::CdrRandomForNobody
        | Switch::CdrErrorsAreHtml
        | Switch::CdrWithLength
        | Switch::CsvBom
        | Switch::CsvQuoted
        | Switch::CsvBlanks
        | Switch::CsvCrlf
        | Switch::CsvColumnsReordered
        | Switch::CsvCapitalHeader
        | Switch::CsvNewestFirst
        | Switch::CsvRowsRepeat
        | Switch::CsvExtraColumns
        | Switch::CsvWithoutRecordingColumn
        | Switch::CsvHeaderOnly
        | Switch::CsvEmptyBody
        | Switch::CsvNameWithCommaAndQuote
        | Switch::ListDenied10005
        | Switch::ListPageCapped
        | Switch::ListTotalMissing
        | Switch::ListNumbersAsStrings
        | Switch::ListTime12h
        | Switch::ListSizeZero
        | Switch::ListDurationZero
        | Switch::OldListFields
        | Switch::SearchIgnoresFilters => lists::cases(switch),

        // P-Series only.
        Switch::ErrcodeAsString
        | Switch::WithoutMessage
        | Switch::PlusIsPlus
        | Switch::NoRefreshToken
        | Switch::LifetimesMissing
        | Switch::OldAccessTokenLivesOn
        | Switch::RefreshFails
        | Switch::RefreshNeedsSlot
        | Switch::LockoutBlocksEveryCall
        | Switch::TokenDiesBetween
        | Switch::AccessDenied10005
        | Switch::IpForbidden70087
        | Switch::ApiOff70123
        | Switch::Processing2Once
        | Switch::Processing2Always
        | Switch::PartialSuccess1
        | Switch::Overload70082Once
        | Switch::Overload70082Always
        | Switch::InternalMinus2Once
        | Switch::InternalMinus2Always
        | Switch::UnknownFileIs40002
        | Switch::UnknownFileIsMinus1
        | Switch::ResourceUrlSingleUse
        | Switch::ResourceUrlAbsolute
        | Switch::ResourceUrlElsewhere
        | Switch::ResourceUrlProtocolRelative
        | Switch::ResourceUrlBackslash
        | Switch::ResourceUrlLineBreak
        | Switch::ResourceUrlWithQuery
        | Switch::ResourceUrlMissing
        | Switch::ResourceUrlBlank
        | Switch::DownloadAttachmentPrefix
        | Switch::Mp3ResourceSuffix
        | Switch::RasLoginShell
        | Switch::DownloadWithoutLength
        | Switch::DownloadTypeOctetStream
        | Switch::Stereo => vec![],
    }
}

/// A PBX that sends no refresh token.
fn without_refresh(case: Case) -> Case {
    let case = case.act(Act::ExpireBetween);
    case.seen(|seen| seen.logins_ok == 2 && seen.requests.refresh == 0)
}

/// A PBX with other words in its JSON: in good answers, in errors, and in errors in place of audio.
fn worded(good: &'static str, bad: &'static str) -> Vec<Case> {
    let clear = Case::in_clear;
    let unknown = clear().name(Name::Unknown);
    let expired = Case::fetch().act(Act::ExpireBetween);
    vec![
        expired.seen(|seen| seen.logins_ok == 2),
        clear().said(good),
        unknown.problem("recording-not-found").said(bad),
        refused().problem("pbx-ticket-refused"),
    ]
}

/// A PBX whose downloads fail in another way: a recording that comes through; two missing
/// recordings, refused when the gateway asks for a ticket or only at the download; and one whose
/// tickets are refused.
fn failing(late: &'static str, refusal: &'static str) -> Vec<Case> {
    let unknown = || Case::fetch().name(Name::Unknown);
    vec![
        Case::fetch(),
        unknown().problem("recording-not-found"),
        unknown()
            .with(&[Switch::RandomForUnknownName])
            .problem(late)
            .seen(|seen| seen.tickets_used == 2),
        refused().problem(refusal),
    ]
}

/// A recording whose two tickets are both refused.
fn refused() -> Case {
    let refused = Case::fetch().stale_tickets();
    refused.seen(|seen| seen.tickets_refused == 2 && seen.tickets_issued == 2)
}

/// ServerHello with the extension `supported_versions` that names TLS 1.3 (RFC 8446 §4.2.1).
fn chose_tls_13(said: &[u8]) -> bool {
    said.windows(6)
        .any(|bytes| bytes == [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04])
}
