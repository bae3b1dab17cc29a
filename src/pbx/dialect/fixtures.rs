//! The answers in `tests/fixtures`, read by each dialect.
//!
//! Knows the expected result of each fixture, written by hand from the sources that stand beside it
//! in `SOURCES.md`. `tests/gateway/fixtures.rs` holds the same answers against the simulator.

mod p_series;
mod refusals;
mod table;

use std::time::Duration;

use super::{AnswerError, Dialect, Lists, Refusal, RefusalClass, SSeries, TokenLife, Tokens};
use crate::list::ListRow;
use crate::pbx::settings::{PbxAccount, PbxPassword, PbxReport, Prolong};
use crate::recording::RecordingName;
use crate::secret::Secret;

/// A file of `tests/fixtures`: its path there, and its text.
type Fixture = (&'static str, &'static str);

macro_rules! fixture {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/",
                $path
            )),
        )
    };
}
use fixture;

/// The recording that most fixtures name.
const NAME: &str = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
const LATER: &str = "20260302091709-1772443021.1205-0205550148-1001-Inbound.wav";
/// A ticket of an S-Series or a Cloud PBX.
const TICKET: &str = "7b3e5a1c9d8f4026b5e4d3c2a1908f7e";
const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

/// The answer that a fixture is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerKind {
    Login,
    Prolong,
    Ticket,
    /// An object in place of audio.
    Download,
    TableTicket,
    /// An object in place of the table of calls.
    Table,
    /// A page of a list.
    Page,
}

/// The result of reading.
#[derive(Debug, PartialEq, Eq)]
enum FixtureResult {
    Tokens(Tokens),
    Done,
    Ticket(Secret),
    /// The number of entries that the list has, and the rows of the page.
    Page(Option<u64>, Vec<(u64, Option<ListRow>)>),
    Refused(Refusal),
    Unreadable(&'static str),
}

impl FixtureResult {
    fn of(kind: AnswerKind, dialect: &dyn Dialect, body: &[u8]) -> Self {
        let name: RecordingName = NAME.parse().unwrap();
        let result = match (kind, dialect.lists()) {
            (AnswerKind::Login, _) => dialect.read_tokens(body).map(Self::Tokens),
            (AnswerKind::Prolong, _) => dialect.read_prolong(body).map(|()| Self::Done),
            (AnswerKind::Ticket, _) => dialect.read_ticket(body, &name).map(Self::Ticket),
            (AnswerKind::Download, _) => Err(dialect.read_refusal(body)),
            (AnswerKind::TableTicket, Lists::Table(table)) => {
                table.read_table_ticket(body).map(Self::Ticket)
            }
            (AnswerKind::Table, Lists::Table(table)) => Err(table.read_table_refusal(body)),
            (AnswerKind::Page, Lists::Pages(pages)) => pages.read_list_page(body).map(|page| {
                let rows = page.entries.into_iter().map(|entry| (entry.id, entry.row));
                Self::Page(page.total, rows.collect())
            }),
            (kind, _) => panic!("this dialect has no {kind:?}"),
        };
        result.unwrap_or_else(|error| match error {
            AnswerError::Refused(refusal) => Self::Refused(refusal),
            AnswerError::Unreadable(why) => Self::Unreadable(why),
        })
    }
}

fn tokens(access: &str, refresh: Option<&str>, life: TokenLife) -> FixtureResult {
    FixtureResult::Tokens(Tokens {
        access: Secret::new(access),
        refresh: refresh.map(Secret::new),
        life,
    })
}

fn ticket(text: &str) -> FixtureResult {
    FixtureResult::Ticket(Secret::new(text))
}

fn refused(class: RefusalClass, code: &str) -> FixtureResult {
    let code = code.to_owned();
    FixtureResult::Refused(Refusal { class, code })
}

/// The body of an answer, behind its head.
fn body(text: &str) -> &str {
    text.split_once("\n\n").expect("a head and a body").1
}

#[track_caller]
fn check(
    dialect: &dyn Dialect,
    rows: impl IntoIterator<Item = (Fixture, AnswerKind, FixtureResult)>,
) {
    for ((file, text), kind, expected) in rows {
        let read = FixtureResult::of(kind, dialect, body(text).as_bytes());
        assert_eq!(read, expected, "{file}");
    }
}

fn account() -> PbxAccount {
    PbxAccount {
        username: Secret::new("api"),
        password: PbxPassword::Clear(Secret::new("secret")),
        report: PbxReport::default(),
        prolong: Prolong::Heartbeat,
        logout: true,
        login_retry: Duration::from_secs(60),
    }
}

const S_TOKEN: &str = "3f0c91d2a7be4856901d2c3e4f5a6b70";
const S_REFRESH: &str = "0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6";
const S_NEXT_TOKEN: &str = "9a8b7c6d5e4f30211203f4e5d6c7b8a9";
const S_NEXT_REFRESH: &str = "5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f";

#[test]
fn s_series_101_reads_its_documented_answers() {
    let sliding = TokenLife::Sliding(HALF_AN_HOUR);
    check(
        &SSeries::office("v1.0.1", account()),
        [
            (
                fixture!("s-series-1.0.1/login-ok.http"),
                AnswerKind::Login,
                tokens(S_TOKEN, None, sliding),
            ),
            (
                fixture!("s-series-1.0.1/heartbeat-ok.http"),
                AnswerKind::Prolong,
                FixtureResult::Done,
            ),
            (
                fixture!("s-series-1.0.1/logout-ok.http"),
                AnswerKind::Prolong,
                FixtureResult::Done,
            ),
            (
                fixture!("s-series-1.0.1/ticket-ok.http"),
                AnswerKind::Ticket,
                ticket(TICKET),
            ),
            (
                fixture!("s-series-1.0.1/failed.http"),
                AnswerKind::Login,
                refused(RefusalClass::Unsupported, "10003"),
            ),
        ],
    );
}

#[test]
fn s_series_110_reads_its_documented_answers() {
    let sliding = TokenLife::Sliding(HALF_AN_HOUR);
    check(
        &SSeries::office("v1.1.0", account()),
        [
            (
                fixture!("s-series-1.1.0/login-ok.http"),
                AnswerKind::Login,
                tokens(S_TOKEN, None, sliding),
            ),
            (
                fixture!("s-series-1.1.0/heartbeat-ok.http"),
                AnswerKind::Prolong,
                FixtureResult::Done,
            ),
            (
                fixture!("s-series-1.1.0/ticket-ok.http"),
                AnswerKind::Ticket,
                ticket(TICKET),
            ),
            (
                fixture!("s-series-1.1.0/table-ticket-ok.http"),
                AnswerKind::TableTicket,
                ticket(TICKET),
            ),
            (
                fixture!("s-series-1.1.0/failed.http"),
                AnswerKind::TableTicket,
                refused(RefusalClass::Unsupported, "10003"),
            ),
        ],
    );
}

#[test]
fn s_series_200_reads_its_documented_answers() {
    let sliding = TokenLife::Sliding(HALF_AN_HOUR);
    check(
        &SSeries::office("v2.0.0", account()),
        [
            (
                fixture!("s-series-2.0.0/login-ok.http"),
                AnswerKind::Login,
                tokens(S_TOKEN, None, sliding),
            ),
            (
                fixture!("s-series-2.0.0/refresh-ok.http"),
                AnswerKind::Login,
                tokens(S_NEXT_TOKEN, Some(S_NEXT_REFRESH), sliding),
            ),
            (
                fixture!("s-series-2.0.0/heartbeat-ok.http"),
                AnswerKind::Prolong,
                FixtureResult::Done,
            ),
            (
                fixture!("s-series-2.0.0/ticket-ok.http"),
                AnswerKind::Ticket,
                ticket(TICKET),
            ),
            (
                fixture!("s-series-2.0.0/table-ticket-ok.http"),
                AnswerKind::TableTicket,
                ticket(TICKET),
            ),
            (
                fixture!("s-series-2.0.0/failed.http"),
                AnswerKind::Ticket,
                refused(RefusalClass::Unsupported, "10003"),
            ),
        ],
    );
}

#[test]
fn cloud_pbxs_read_their_documented_answers() {
    let fixed = TokenLife::Fixed(HALF_AN_HOUR);
    let login = || tokens(S_TOKEN, Some(S_REFRESH), fixed);
    let refresh = || tokens(S_NEXT_TOKEN, Some(S_NEXT_REFRESH), fixed);
    let failed = || refused(RefusalClass::Unsupported, "10003");
    check(
        &SSeries::cloud("v1.1.0", account()),
        [
            (
                fixture!("cloud-1.1.0/login-ok.http"),
                AnswerKind::Login,
                login(),
            ),
            (
                fixture!("cloud-1.1.0/refresh-ok.http"),
                AnswerKind::Login,
                refresh(),
            ),
            (
                fixture!("cloud-1.1.0/ticket-ok.http"),
                AnswerKind::Ticket,
                ticket(TICKET),
            ),
            (
                fixture!("cloud-1.1.0/table-ticket-ok.http"),
                AnswerKind::TableTicket,
                ticket(TICKET),
            ),
            (
                fixture!("cloud-1.1.0/failed.http"),
                AnswerKind::Login,
                failed(),
            ),
        ],
    );
    check(
        &SSeries::cloud("v2.0.0", account()),
        [
            (
                fixture!("cloud-2.0.0/login-ok.http"),
                AnswerKind::Login,
                login(),
            ),
            (
                fixture!("cloud-2.0.0/refresh-ok.http"),
                AnswerKind::Login,
                refresh(),
            ),
            (
                fixture!("cloud-2.0.0/heartbeat-ok.http"),
                AnswerKind::Prolong,
                FixtureResult::Done,
            ),
            (
                fixture!("cloud-2.0.0/ticket-ok.http"),
                AnswerKind::Ticket,
                ticket(TICKET),
            ),
            (
                fixture!("cloud-2.0.0/table-ticket-ok.http"),
                AnswerKind::TableTicket,
                ticket(TICKET),
            ),
            (
                fixture!("cloud-2.0.0/failed.http"),
                AnswerKind::Login,
                failed(),
            ),
        ],
    );
}
