//! Who heard what, and how much of it: the lines of a log, summed up.
//!
//! Knows what is summed: for one person and one recording the seconds that they got of it, each counted once however often they
//! played it. Does not check that the log is as it was written, and does not know how a table looks.

pub(crate) mod party;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use jiff::Timestamp;

use super::read::Written;
use crate::audit::heard::{Audio, Union};
use crate::audit::line::{Decision, Delivery, Line, Record};
use crate::recording::RecordingName;
use party::Party;
use table::{Cell, Table};

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A recording and a person, recording by recording.
    Recording,
    /// The same, person by person.
    Person,
    Hour,
    Day,
}

/// Which requests count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Recordings of calls with this number outside.
    pub(crate) party: Option<Party>,
    pub(crate) from: Option<Timestamp>,
    /// Exclusive.
    pub(crate) to: Option<Timestamp>,
}

impl Filter {
    fn wants(&self, time: &str, recording: &str) -> bool {
        let is_in_time = match time.parse::<Timestamp>() {
            Ok(at) => self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to),
            Err(_) => self.from.is_none() && self.to.is_none(),
        };
        let is_with = |party: &Party| {
            let name = recording.parse::<RecordingName>();
            name.is_ok_and(|name| party.is_outside(&name))
        };
        is_in_time && self.party.as_ref().is_none_or(is_with)
    }
}

/// What belongs together: a person's requests for a recording, of one period where periods are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    period: String,
    recording: String,
    pbx: String,
    issuer: String,
    subject: String,
}

/// What they came to.
#[derive(Debug, Default)]
struct Sum {
    first: String,
    last: String,
    requests: u64,
    denied: u64,
    bytes: u64,
    heard: BTreeMap<Audio, Union>,
    /// Deliveries of which nobody knows how long they play.
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
                    // A header that was of an earlier state of the recording told another end, or none.
                    let audio = Audio { end: None, ..audio };
                    self.heard.entry(audio).or_default().add(begin, end);
                }
            }
            _ => self.unmeasured += u64::from(delivery.bytes > 0),
        }
    }

    /// Milliseconds; none where nothing could be measured.
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

/// What a log comes to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: HashMap<Group, Sum>,
    /// Allowed requests whose delivery has not come yet, by the number of their line.
    open: HashMap<u64, Group>,
    /// Deliveries whose decision is not in these files.
    pub(crate) orphans: u64,
    /// Lines that cannot be read.
    pub(crate) unreadable: u64,
}

impl Report {
    /// Sums up lines.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn of(
        lines: impl Iterator<Item = io::Result<Written>>,
        by: By,
        filter: &Filter,
    ) -> io::Result<Self> {
        let mut report = Self::default();
        let mut ours = Numbers::default();
        for written in lines {
            let written = written?;
            match Line::parse(&written.bytes) {
                Ok(line) => report.add(line, by, filter, &mut ours),
                // One without its end is being written, or was never told to anybody.
                Err(_) => report.unreadable += u64::from(written.is_whole),
            }
        }
        Ok(report)
    }

    fn add(&mut self, line: Line, by: By, filter: &Filter, numbers: &mut Numbers) {
        numbers.first.get_or_insert(line.seq);
        match line.record {
            Record::Decision(decision) => self.decided(line.seq, &line.time, *decision, by, filter),
            Record::Delivery(delivery) => match self.open.remove(&delivery.decision) {
                Some(group) => self.groups.entry(group).or_default().delivered(&delivery),
                // One that is not wanted, but for those from before the first line.
                None if numbers.first.is_some_and(|first| delivery.decision < first) => {
                    self.orphans += 1;
                }
                None => {}
            },
            _ => {}
        }
    }

    fn decided(&mut self, seq: u64, time: &str, decision: Decision, by: By, filter: &Filter) {
        let Some(recording) = &decision.recording else {
            return;
        };
        if !filter.wants(time, recording) {
            return;
        }
        let period = match by {
            By::Recording | By::Person => "",
            By::Hour => time.get(..13).unwrap_or(time),
            By::Day => time.get(..10).unwrap_or(time),
        };
        let group = Group {
            period: period.to_owned(),
            recording: recording.clone(),
            pbx: decision.pbx.clone(),
            issuer: decision.issuer.clone(),
            subject: decision.subject.clone(),
        };
        let sum = self.groups.entry(group.clone()).or_default();
        sum.decided(time, &decision);
        if decision.allowed {
            self.open.insert(seq, group);
        }
    }

    /// Allowed requests without a delivery: they are running, or the gateway was killed.
    pub(crate) fn unfinished(&self) -> usize {
        self.open.len()
    }

    /// The rows.
    pub(crate) fn table(&self, by: By) -> Table {
        match by {
            By::Recording | By::Person => self.pairs(by),
            By::Hour | By::Day => self.periods(by),
        }
    }

    fn pairs(&self, by: By) -> Table {
        let mut groups: Vec<(&Group, &Sum)> = self.groups.iter().collect();
        groups.sort_unstable_by_key(|(group, _)| {
            let recording = [&group.recording, &group.pbx];
            let person = [&group.issuer, &group.subject];
            match by {
                By::Person => (person, recording),
                _ => (recording, person),
            }
        });
        let text = |text: &String| Cell::Text(text.clone());
        let rows = groups.into_iter().map(|(group, sum)| {
            let mut recording = vec![text(&group.recording), text(&group.pbx)];
            let mut person = vec![text(&group.issuer), text(&group.subject)];
            let mut row = match by {
                By::Person => {
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
            By::Person => [&["issuer", "subject"], &["recording", "pbx"]],
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
        Table {
            columns: [names.concat(), sums.to_vec()].concat(),
            rows: rows.collect(),
        }
    }

    fn periods(&self, by: By) -> Table {
        let mut periods: BTreeMap<&str, Period<'_>> = BTreeMap::new();
        for (group, sum) in &self.groups {
            periods.entry(&group.period).or_default().add(group, sum);
        }
        let rows = periods.into_iter().map(|(name, period)| {
            let name = match by {
                By::Hour => format!("{name}:00Z"),
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
        let name = if by == By::Hour { "hour" } else { "day" };
        Table {
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

/// What is known of the numbers of lines.
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
