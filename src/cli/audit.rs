//! `wavegate audit verify`, `wavegate audit report` and `wavegate why`: readers of the audit log.
//!
//! Knows arguments and exit codes. Writes nothing, so a log can be read while the gateway writes
//! it.

pub(crate) mod read;
pub(crate) mod report;
pub(crate) mod story;
pub(crate) mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::audit::heads::{self, HEADS_FILE};
use crate::cli::audit::read::Lines;
use crate::cli::audit::report::party::OutsideNumber;
use crate::cli::audit::report::table::escape;
use crate::cli::audit::report::{AuditReport, Grouping, ReportFilter};
use crate::cli::audit::verify::{ComparedHead, LogVerdict, VerifyError, verify};

/// Exit code where the log was changed, or the request is not in it.
const EXIT_FAULT: u8 = 1;
/// Exit code where the log cannot be read.
const EXIT_UNREADABLE: u8 = 2;

/// `wavegate audit`.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that the log was not changed. Exits with 0 if it was not, 1 with the first place that
    /// was, and 2 if it cannot be read.
    Verify(Verify),
    /// Report who heard which recording, and how many seconds of it.
    Report(Summary),
}

#[derive(Debug, Args)]
struct Verify {
    /// The folder of the log: audit.dir of the configuration.
    dir: PathBuf,
    /// A file of heads that were kept elsewhere: lines of heads.jsonl, or of the gateway's own log
    /// in JSON.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The public key that must have signed the heads, as in audit-head-key.pub.
    #[arg(long, value_name = "PUBKEY")]
    key: Option<String>,
}

#[derive(Debug, Args)]
struct Summary {
    /// The folder of the log: audit.dir of the configuration.
    dir: PathBuf,
    /// The group that each row sums up. For recording and person it is one person and one
    /// recording, in that order of rows.
    #[arg(long, value_enum, default_value_t = RowKind::Recording)]
    by: RowKind,
    /// Only calls whose outside number is this one, by the recording's name.
    #[arg(long, value_name = "NUMBER")]
    party: Option<OutsideNumber>,
    /// Only requests from this time on: a date, or a time such as 2026-03-02T09:00:00Z. A date
    /// begins at midnight UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only requests before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// `wavegate why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The id of the request: X-Request-Id of its answer, or request_id in a problem and in the
    /// log.
    request_id: String,
    /// The folder of the log: audit.dir of the configuration.
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RowKind {
    Recording,
    Person,
    Hour,
    Day,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let date: Date = text
        .parse()
        .map_err(|_| "neither a date nor a time with a zone".to_owned())?;
    let begin = date.to_zoned(TimeZone::UTC);
    Ok(begin.map_err(|error| error.to_string())?.timestamp())
}

impl Audit {
    pub(super) fn run(self) -> ExitCode {
        match self.command {
            AuditCommand::Verify(verify) => verify.run(),
            AuditCommand::Report(summary) => summary.run(),
        }
    }
}

impl Verify {
    fn run(&self) -> ExitCode {
        match self.verdict() {
            Ok(verdict) => {
                super::print(self.told(&verdict));
                ExitCode::SUCCESS
            }
            Err(VerifyError::Fault(fault)) => {
                super::complain(escape(&fault.to_string()));
                ExitCode::from(EXIT_FAULT)
            }
            Err(VerifyError::Io(error)) => unreadable(&self.dir, &error),
        }
    }

    fn verdict(&self) -> Result<LogVerdict, VerifyError> {
        // Heads first: their lines are in the files by then. A head that is written while the lines
        // are read could be ahead of them.
        let beside = self.dir.join(HEADS_FILE);
        let mut known: Vec<ComparedHead> = Vec::new();
        if beside.exists() {
            let heads = heads::read(&beside).map_err(|error| at(&beside, &error))?;
            known.extend(heads.into_iter().map(|head| (head, false)));
        }
        if let Some(kept) = &self.head {
            let heads = heads::read(kept).map_err(|error| at(kept, &error))?;
            if heads.is_empty() {
                let none = io::Error::new(io::ErrorKind::InvalidData, "there is no head in it");
                return Err(at(kept, &none).into());
            }
            known.extend(heads.into_iter().map(|head| (head, true)));
        }
        verify(Lines::open(&self.dir)?, known, self.key.as_deref())
    }

    /// The text of a verdict: what the log proves, and what it does not.
    fn told(&self, verdict: &LogVerdict) -> String {
        let mut told = Vec::new();
        let (Some((first, since)), Some((last, until))) = (&verdict.first, &verdict.last) else {
            return "there is no line in it yet".to_owned();
        };
        told.push(format!(
            "{} lines, {first} to {last}, from {since} to {until}: each line holds the hash of the line before.",
            verdict.lines
        ));
        if *first > 1 {
            told.push(format!(
                "It begins in the middle: lines 1 to {} are not here, as when audit.keep_days has removed whole files.",
                first - 1
            ));
        }
        if let Some(place) = &verdict.torn {
            told.push(format!(
                "{place} has no end: the line is being written, or a crash has cut it. The gateway moves a cut line to another file when it starts."
            ));
        }
        told.push(match &verdict.last_head {
            Some((head, at)) => format!(
                "It agrees with {} heads; the last one stands for line {head} and was signed at {at}.",
                verdict.heads
            ),
            None => "There is no head to compare it with.".to_owned(),
        });
        if let Some((begin, end)) = verdict.behind_heads() {
            told.push(format!(
                "Lines {begin} to {end} stand behind the last head: no signature stands for them yet, so a person who can \
                 write the files could have written them anew."
            ));
        }
        if verdict.earlier_heads > 0 {
            told.push(format!(
                "{} more heads are of lines that are not here any more.",
                verdict.earlier_heads
            ));
        }
        if let Some((head, at)) = &verdict.kept_head {
            told.push(format!(
                "Up to line {head}, whose head of {at} was kept elsewhere, it is the log that was written."
            ));
        }
        match (&self.key, verdict.keys.as_slice()) {
            (_, []) | (Some(_), _) => {}
            (None, keys) => told.push(format!(
                "The heads are signed with {}. Check that this is the gateway's key (--key).",
                keys.join(" and ")
            )),
        }
        told.push(match &verdict.kept_head {
            Some((head, _)) => format!(
                "Not proved: that nothing was cut off, or written anew, behind line {head}."
            ),
            None => "Not proved: that nothing was cut off its end, and that nobody who has the head key wrote the whole log anew. \
                     A head that was kept elsewhere proves both (--head)."
                .to_owned(),
        });
        escape_lines(&told)
    }
}

impl Summary {
    fn run(self) -> ExitCode {
        let by = match self.by {
            RowKind::Recording => Grouping::Recording,
            RowKind::Person => Grouping::Person,
            RowKind::Hour => Grouping::Hour,
            RowKind::Day => Grouping::Day,
        };
        let filter = ReportFilter {
            party: self.party,
            from: self.from,
            to: self.to,
        };
        let lines = Lines::open(&self.dir);
        let report = match lines.and_then(|lines| AuditReport::of(lines, by, &filter)) {
            Ok(report) => report,
            Err(error) => return unreadable(&self.dir, &error),
        };
        let table = report.table(by);
        let text = match self.format {
            Format::Table => table.for_eyes(),
            Format::Csv => table.csv(),
            Format::Json => table.json(),
        };
        super::print(text.trim_end());
        for note in notes(&report) {
            super::complain(note);
        }
        ExitCode::SUCCESS
    }
}

/// Notes on requests that the sums do not contain.
fn notes(report: &AuditReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.unfinished() > 0 {
        notes.push(format!(
            "{} requests were allowed and have no end in the log: they are running, or the log failed before their end, or the gateway was killed",
            report.unfinished()
        ));
    }
    if report.orphans > 0 {
        notes.push(format!(
            "{} transfers have an end here, and their beginning in files that are not here any more",
            report.orphans
        ));
    }
    if report.unreadable > 0 {
        notes.push(format!(
            "{} lines cannot be read: run `wavegate audit verify`",
            report.unreadable
        ));
    }
    notes
}

impl Why {
    pub(super) fn run(&self) -> ExitCode {
        let lines = Lines::open(&self.dir);
        match lines.and_then(|lines| story::of(lines, &self.request_id)) {
            Ok(story) if story.is_empty() => {
                super::complain(
                    "no line of this request: it had no valid credential, or named nothing that exists here, or another instance has its lines",
                );
                ExitCode::from(EXIT_FAULT)
            }
            Ok(story) => {
                super::print(story.join("\n"));
                ExitCode::SUCCESS
            }
            Err(error) => unreadable(&self.dir, &error),
        }
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn escape_lines(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    lines.join("\n")
}

fn unreadable(dir: &Path, error: &io::Error) -> ExitCode {
    let text = format!("{}: {error}", dir.display());
    super::complain(escape(&text));
    ExitCode::from(EXIT_UNREADABLE)
}
