//! `wavegate audit verify`, `wavegate audit report` and `wavegate why`: what the audit log proves and tells.
//!
//! Knows arguments and exit codes. Writes nothing, so a log can be read while the gateway writes it.

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
use crate::cli::audit::report::party::Party;
use crate::cli::audit::report::table::escape;
use crate::cli::audit::report::{By, Filter, Report};
use crate::cli::audit::verify::{Known, Stopped, Verdict, verify};

/// The log is not as it was written, or what is asked for is not in it.
const EXIT_FAULT: u8 = 1;
/// It cannot be read.
const EXIT_UNREADABLE: u8 = 2;

/// `wavegate audit`.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the log is as it was written: 0 if it is, 1 with the first place that is not, 2 if it cannot be read.
    Verify(Verify),
    /// Sum up who heard what, and how many seconds of it.
    Report(Summary),
}

#[derive(Debug, Args)]
struct Verify {
    /// The folder of the log: audit.dir of the configuration.
    dir: PathBuf,
    /// Heads that were kept elsewhere: lines of heads.jsonl, or of the gateway's own log in JSON.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The public key that heads must be signed with, as they name it.
    #[arg(long, value_name = "PUBKEY")]
    key: Option<String>,
}

#[derive(Debug, Args)]
struct Summary {
    /// The folder of the log: audit.dir of the configuration.
    dir: PathBuf,
    /// What a row is about; for recording and person it is one person and one recording.
    #[arg(long, value_enum, default_value_t = Rows::Recording)]
    by: Rows,
    /// Only calls with this number outside, by the recording's name.
    #[arg(long, value_name = "NUMBER")]
    party: Option<Party>,
    /// Only requests from then on: a date, or a time such as 2026-03-02T09:00:00Z. Days are those of UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only requests before then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// `wavegate why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The id: X-Request-Id of the answer, request_id in a problem and in the log.
    request_id: String,
    /// The folder of the log: audit.dir of the configuration.
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rows {
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
            Command::Verify(verify) => verify.run(),
            Command::Report(summary) => summary.run(),
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
            Err(Stopped::Fault(fault)) => {
                super::complain(escape(&fault.to_string()));
                ExitCode::from(EXIT_FAULT)
            }
            Err(Stopped::Io(error)) => unreadable(&self.dir, &error),
        }
    }

    fn verdict(&self) -> Result<Verdict, Stopped> {
        // Heads first: what is written while the lines are read is behind them.
        let beside = self.dir.join(HEADS_FILE);
        let mut known: Vec<Known> = Vec::new();
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

    /// What is proved, and what is not.
    fn told(&self, verdict: &Verdict) -> String {
        let mut told = Vec::new();
        let (Some((first, since)), Some((last, until))) = (&verdict.first, &verdict.last) else {
            return "there is no line in it yet".to_owned();
        };
        told.push(format!(
            "{} lines, {first} to {last}, from {since} to {until}: each one is the one that the line behind it was written for.",
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
                "{place} has no end: it is being written, or a crash has cut it; then the gateway moves it away when it starts."
            ));
        }
        told.push(match &verdict.last_head {
            Some((head, at)) => format!(
                "It agrees with {} heads, the last of line {head}, signed at {at}.",
                verdict.heads
            ),
            None => "There is no head to compare it with.".to_owned(),
        });
        if let Some((begin, end)) = verdict.behind_heads() {
            told.push(format!(
                "Lines {begin} to {end} stand behind the last head: nothing that is signed stands for them yet, so whoever can write \
                 the files can have made them anew."
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
                "The heads are signed with {}: whether that is the gateway's key only you know (--key).",
                keys.join(" and ")
            )),
        }
        told.push(match &verdict.kept_head {
            Some((head, _)) => format!(
                "Not proved: that nothing was cut off, or made anew, behind line {head}."
            ),
            None => "Not proved: that nothing was cut off its end, and that nobody who has the head key made it all anew; a head \
                     that was kept elsewhere shows both (--head)."
                .to_owned(),
        });
        escape_lines(&told)
    }
}

impl Summary {
    fn run(self) -> ExitCode {
        let by = match self.by {
            Rows::Recording => By::Recording,
            Rows::Person => By::Person,
            Rows::Hour => By::Hour,
            Rows::Day => By::Day,
        };
        let filter = Filter {
            party: self.party,
            from: self.from,
            to: self.to,
        };
        let lines = Lines::open(&self.dir);
        let report = match lines.and_then(|lines| Report::of(lines, by, &filter)) {
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

/// What the sums do not hold.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.unfinished() > 0 {
        notes.push(format!(
            "{} requests were allowed and have no end in the log: they are running, the log failed just then, or the gateway was killed",
            report.unfinished()
        ));
    }
    if report.orphans > 0 {
        notes.push(format!(
            "{} transfers ended whose beginning is in files that are not here any more",
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
                    "no line of this request: it had no valid credential, named nothing that is here, or another instance has it",
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
