//! The audit report: sums of who heard which recording, and how much of it.
//!
//! Knows the sums: the seconds that one person got of one recording, each counted once however
//! often they played it. Does not verify the log, and does not know the format of the table.

pub(crate) mod party;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use jiff::Timestamp;

use super::read::RawLine;
use crate::audit::heard::{AudioSpan, Union};
use crate::audit::line::{Decision, Delivery, Line, LogRecord};
use crate::recording::RecordingName;
use party::OutsideNumber;
use table::{Cell, ReportTable};

/// The group that a row sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// One recording and one person; rows ordered by recording.
    Recording,
    /// The same; rows ordered by person.
    Person,
    Hour,
    Day,
}

/// The requests that count.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportFilter {
    /// Only recordings of calls whose outside number is this one.
    pub(crate) party: Option<OutsideNumber>,
    pub(crate) from: Option<Timestamp>,
    /// Exclusive.
    pub(crate) to: Option<Timestamp>,
}

impl ReportFilter {
    fn wants(&self, time: &str, recording: &str) -> bool {
        let is_in_time = match time.parse::<Timestamp>() {
            Ok(at) => self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to),
            Err(_) => self.from.is_none() && self.to.is_none(),
        };
        let is_with = |party: &OutsideNumber| {
            let name = recording.parse::<RecordingName>();
            name.is_ok_and(|name| party.is_outside(&name))
        };
        is_in_time && self.party.as_ref().is_none_or(is_with)
    }
}

/// The requests of one person for one recording; within one period, where the report is by period.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    period: String,
    recording: String,
    pbx: String,
    issuer: String,
    subject: String,
}

/// The sum over a group.
#[derive(Debug, Default)]
struct Sum {
    first: String,
    last: String,
    requests: u64,
    denied: u64,
    bytes: u64,
    heard: BTreeMap<AudioSpan, Union>,
    /// Deliveries whose playing time cannot be computed.
    unmeasured: u64,
}

impl Sum {
    fn decided(&mut self, time: &str, decision: &Decision) {
        if self.first.is_empty() {
            time.clone_into(&mut self.first);
        }
        time.clone_into(&mut self.last);
        self.requests += 1;
        self.denied += u64::from(!decision.allowed);
    }

    fn delivered(&mut self, delivery: &Delivery) {
        self.bytes = self.bytes.saturating_add(delivery.bytes);
        match delivery.first.zip(delivery.audio) {
            Some((first, audio)) if audio.bytes_per_second > 0 => {
                if let Some((begin, end)) = audio.part(first, delivery.bytes) {
                    // The end is left out of the key: while the recording was still being written,
                    // its header told another end or none.
                    let audio = AudioSpan { end: None, ..audio };
                    self.heard.entry(audio).or_default().add(begin, end);
                }
            }
            _ => self.unmeasured += u64::from(delivery.bytes > 0),
        }
    }

    /// Milliseconds of audio; `None` where no delivery could be measured.
    fn heard(&self) -> Option<u64> {
        if self.heard.is_empty() && self.unmeasured > 0 {
            return None;
        }
        let parts = self.heard.iter();
        parts
            .map(|(audio, union)| audio.milliseconds(union.bytes()))
            .sum()
    }
}

/// The sums over a log.
#[derive(Debug, Default)]
pub(crate) struct AuditReport {
    groups: HashMap<Group, Sum>,
    /// Allowed requests whose delivery has not been read yet, by the number of their decision line.
    open: HashMap<u64, Group>,
    /// Deliveries whose decision is not in these files.
    pub(crate) orphans: u64,
    /// Lines that cannot be read.
    pub(crate) unreadable: u64,
}

impl AuditReport {
    /// Sums up lines.
    ///
    /// # Errors
    /// When the lines cannot be read.
    pub(crate) fn of(
        lines: impl Iterator<Item = io::Result<RawLine>>,
        by: Grouping,
        filter: &ReportFilter,
    ) -> io::Result<Self> {
        let mut report = Self::default();
        let mut ours = Numbers::default();
        for written in lines {
            let written = written?;
            match Line::parse(&written.bytes) {
                Ok(line) => report.add(line, by, filter, &mut ours),
                // A line without its line end is being written, or was cut by a crash: it does not
                // count.
                Err(_) => report.unreadable += u64::from(written.is_whole),
            }
        }
        Ok(report)
    }

    fn add(&mut self, line: Line, by: Grouping, filter: &ReportFilter, numbers: &mut Numbers) {
        numbers.first.get_or_insert(line.seq);
        match line.record {
            LogRecord::Decision(decision) => {
                self.decided(line.seq, &line.time, *decision, by, filter)
            }
            LogRecord::Delivery(delivery) => match self.open.remove(&delivery.decision) {
                Some(group) => self.groups.entry(group).or_default().delivered(&delivery),
                // A delivery whose decision the filter left out; or whose decision stands before
                // the first line: those count as orphans.
                None if numbers.first.is_some_and(|first| delivery.decision < first) => {
                    self.orphans += 1;
                }
                None => {}
            },
            _ => {}
        }
    }

    fn decided(
        &mut self,
        seq: u64,
        time: &str,
        decision: Decision,
        by: Grouping,
        filter: &ReportFilter,
    ) {
        let Some(recording) = &decision.recording else {
            return;
        };
        if !filter.wants(time, recording) {
            return;
        }
        let period = match by {
            Grouping::Recording | Grouping::Person => "",
            Grouping::Hour => time.get(..13).unwrap_or(time),
            Grouping::Day => time.get(..10).unwrap_or(time),
        };
        let group = Group {
            period: period.to_owned(),
            recording: recording.to_string(),
            pbx: decision.pbx.to_string(),
            issuer: decision.issuer.to_string(),
            subject: decision.subject.to_string(),
        };
        let sum = self.groups.entry(group.clone()).or_default();
        sum.decided(time, &decision);
        if decision.allowed {
            self.open.insert(seq, group);
        }
    }

    /// Number of allowed requests without a delivery: they are running, or the gateway was killed.
    pub(crate) fn unfinished(&self) -> usize {
        self.open.len()
    }

    /// The table of the sums.
    pub(crate) fn table(&self, by: Grouping) -> ReportTable {
        match by {
            Grouping::Recording | Grouping::Person => self.pairs(by),
            Grouping::Hour | Grouping::Day => self.periods(by),
        }
    }

    fn pairs(&self, by: Grouping) -> ReportTable {
        let mut groups: Vec<(&Group, &Sum)> = self.groups.iter().collect();
        groups.sort_unstable_by_key(|(group, _)| {
            let recording = [&group.recording, &group.pbx];
            let person = [&group.issuer, &group.subject];
            match by {
                Grouping::Person => (person, recording),
                _ => (recording, person),
            }
        });
        let text = |text: &String| Cell::Text(text.clone());
        let rows = groups.into_iter().map(|(group, sum)| {
            let mut recording = vec![text(&group.recording), text(&group.pbx)];
            let mut person = vec![text(&group.issuer), text(&group.subject)];
            let mut row = match by {
                Grouping::Person => {
                    person.append(&mut recording);
                    person
                }
                _ => {
                    recording.append(&mut person);
                    recording
                }
            };
            row.extend([text(&sum.first), text(&sum.last)]);
            row.extend([sum.requests, sum.denied, sum.bytes].map(Cell::Number));
            row.extend([Cell::Seconds(sum.heard()), Cell::Number(sum.unmeasured)]);
            row
        });
        let names: [&[&str]; 2] = match by {
            Grouping::Person => [&["issuer", "subject"], &["recording", "pbx"]],
            _ => [&["recording", "pbx"], &["issuer", "subject"]],
        };
        let sums = [
            "first",
            "last",
            "requests",
            "denied",
            "bytes",
            "heard_s",
            "unmeasured",
        ];
        ReportTable {
            columns: [names.concat(), sums.to_vec()].concat(),
            rows: rows.collect(),
        }
    }

    fn periods(&self, by: Grouping) -> ReportTable {
        let mut periods: BTreeMap<&str, Period<'_>> = BTreeMap::new();
        for (group, sum) in &self.groups {
            periods.entry(&group.period).or_default().add(group, sum);
        }
        let rows = periods.into_iter().map(|(name, period)| {
            let name = match by {
                Grouping::Hour => format!("{name}:00Z"),
                _ => name.to_owned(),
            };
            let mut row = vec![Cell::Text(name)];
            let sizes = [period.people.len(), period.recordings.len()];
            row.extend(sizes.map(|size| Cell::Number(size as u64)));
            row.extend([period.requests, period.denied, period.bytes].map(Cell::Number));
            row.extend([
                Cell::Seconds(Some(period.heard_ms)),
                Cell::Number(period.unmeasured),
            ]);
            row
        });
        let name = if by == Grouping::Hour { "hour" } else { "day" };
        ReportTable {
            columns: vec![
                name,
                "people",
                "recordings",
                "requests",
                "denied",
                "bytes",
                "heard_s",
                "unmeasured",
            ],
            rows: rows.collect(),
        }
    }
}

/// The number of the first line that was read.
#[derive(Default)]
struct Numbers {
    first: Option<u64>,
}

/// The sum of an hour or a day.
#[derive(Default)]
struct Period<'r> {
    people: BTreeSet<(&'r str, &'r str)>,
    recordings: BTreeSet<(&'r str, &'r str)>,
    requests: u64,
    denied: u64,
    bytes: u64,
    heard_ms: u64,
    unmeasured: u64,
}

impl<'r> Period<'r> {
    fn add(&mut self, group: &'r Group, sum: &Sum) {
        self.people.insert((&group.issuer, &group.subject));
        self.recordings.insert((&group.recording, &group.pbx));
        self.requests += sum.requests;
        self.denied += sum.denied;
        self.bytes = self.bytes.saturating_add(sum.bytes);
        self.heard_ms = self.heard_ms.saturating_add(sum.heard().unwrap_or(0));
        self.unmeasured += sum.unmeasured;
    }
}
