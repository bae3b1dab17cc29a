//! Compares an answer with a row of the table: status, header fields and bytes.
//!
//! Does not know how the request was sent.

use http::StatusCode;

use super::row::{Answer, HELD_AT, How, LENGTH, Row, SAME, recording};
use crate::harness;

/// Whether an answer must have the length and the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Both,
    Neither,
    /// Both or neither: the length comes soon, but not every request waits for it.
    Either,
}

/// The expectations for an answer.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) row: &'a Row,
    pub(super) told: Told,
    pub(super) tag: &'a str,
}

impl Check<'_> {
    /// Checks an answer to its end. If the end does not come, checks the bytes that do.
    pub(super) async fn check(&self, expected: Answer, answer: harness::Answer) {
        let row = self.row;
        let status = match expected {
            Answer::Whole | Answer::Head => StatusCode::OK,
            Answer::Part(..) | Answer::Read(..) => StatusCode::PARTIAL_CONTENT,
            Answer::NotModified => StatusCode::NOT_MODIFIED,
            Answer::Failed => StatusCode::PRECONDITION_FAILED,
            Answer::Beyond => StatusCode::RANGE_NOT_SATISFIABLE,
            Answer::NoLength => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Answer::Late(answer) => panic!("{row:?} is {answer:?} after the wait"),
        };
        assert_eq!(answer.status(), status, "{row:?}");
        match expected {
            Answer::Whole => self.whole(answer).await,
            Answer::Head => self.head(answer).await,
            Answer::Part(first, last) => self.part(answer, first, last).await,
            Answer::Read(first, last) => self.read(answer, first, last).await,
            Answer::NotModified => self.not_modified(answer).await,
            Answer::Failed => self.problem(answer, "precondition-failed").await,
            Answer::Beyond => {
                let range = format!("bytes */{LENGTH}");
                self.is(&answer, "content-range", Some(&range));
                self.problem(answer, "range-not-satisfiable").await;
            }
            _ => self.problem(answer, "http-version-not-supported").await,
        }
    }

    async fn whole(&self, mut answer: harness::Answer) {
        self.recording(&answer);
        self.is(&answer, "content-range", None);
        let length = self.length(&answer);
        self.tag(&answer, length);
        if self.told != Told::Neither {
            self.bytes(answer, 0, LENGTH - 1).await;
            return;
        }
        let mut received = Vec::new();
        while received.len() < usize::try_from(HELD_AT).unwrap() {
            let more = answer.chunk().await.expect("an early end");
            received.extend_from_slice(&more.expect("a break"));
        }
        assert!(recording().starts_with(&received), "{:?}", self.row);
    }

    async fn head(&self, answer: harness::Answer) {
        self.recording(&answer);
        self.is(&answer, "content-range", None);
        let length = self.length(&answer);
        self.tag(&answer, length);
        self.empty(answer).await;
    }

    async fn part(&self, answer: harness::Answer, first: u64, last: u64) {
        let range = format!("bytes {first}-{last}/{LENGTH}");
        self.is(&answer, "content-range", Some(&range));
        self.recording(&answer);
        self.tag(&answer, true);
        self.bytes(answer, first, last).await;
    }

    /// Checks a part whose end the gateway may choose.
    async fn read(&self, answer: harness::Answer, first: u64, at_most: u64) {
        let row = self.row;
        let range = answer.header("content-range").unwrap().to_owned();
        let numbers = range.strip_prefix("bytes ").unwrap();
        let (numbers, length) = numbers.split_once('/').unwrap();
        let (from, to) = numbers.split_once('-').unwrap();
        let last = to.parse().unwrap();
        assert_eq!(from, first.to_string(), "{row:?}");
        assert!((first..=at_most).contains(&last), "{row:?}: {range}");
        assert!(
            self.told != Told::Neither || last < HELD_AT,
            "{row:?}: {range}"
        );
        let told = length != "*";
        if told {
            assert_eq!((length, last), (&*LENGTH.to_string(), at_most), "{row:?}");
        }
        assert!(!told || self.told != Told::Neither, "{row:?}: {range}");
        self.recording(&answer);
        self.tag(&answer, told);
        self.bytes(answer, first, last).await;
    }

    async fn not_modified(&self, answer: harness::Answer) {
        for name in ["content-length", "content-range", "content-type"] {
            self.is(&answer, name, None);
        }
        self.is(&answer, "last-modified", self.date());
        let has_tag = match self.told {
            Told::Both => true,
            Told::Neither => false,
            Told::Either => answer.header("etag").is_some(),
        };
        self.tag(&answer, has_tag);
        self.empty(answer).await;
    }

    async fn problem(&self, answer: harness::Answer, slug: &str) {
        let row = self.row;
        if slug != "range-not-satisfiable" {
            self.is(&answer, "content-range", None);
        }
        self.is(&answer, "accept-ranges", None);
        if matches!(row.how, How::Head | How::OldHead) {
            self.empty(answer).await;
        } else {
            assert_eq!(answer.problem().await.slug, slug, "{row:?}");
        }
    }

    /// Checks the fields of every answer that contains or describes a recording.
    fn recording(&self, answer: &harness::Answer) {
        self.is(answer, "content-type", Some("audio/wav"));
        self.is(answer, "accept-ranges", Some("bytes"));
        self.is(answer, "last-modified", self.date());
    }

    /// Returns whether the answer has the length of the whole, which must be right.
    fn length(&self, answer: &harness::Answer) -> bool {
        let length = answer.header("content-length");
        match self.told {
            Told::Both => assert!(length.is_some(), "{:?}", self.row),
            Told::Neither => assert_eq!(length, None, "{:?}", self.row),
            Told::Either => {}
        }
        let right = LENGTH.to_string();
        assert!(length.is_none_or(|told| told == right), "{:?}", self.row);
        length.is_some()
    }

    #[track_caller]
    fn tag(&self, answer: &harness::Answer, is_told: bool) {
        self.is(answer, "etag", is_told.then_some(self.tag));
    }

    #[track_caller]
    fn is(&self, answer: &harness::Answer, name: &str, value: Option<&str>) {
        assert_eq!(answer.header(name), value, "{name} of {:?}", self.row);
    }

    fn date(&self) -> Option<&'static str> {
        self.row.is_dated.then_some(SAME)
    }

    async fn bytes(&self, answer: harness::Answer, first: u64, last: u64) {
        let (row, length) = (self.row, last - first + 1);
        let told = answer.header("content-length").map(str::to_owned);
        let is_right = told.is_none_or(|told| told == length.to_string());
        assert!(is_right, "{row:?}");
        let part = usize::try_from(first).unwrap()..=usize::try_from(last).unwrap();
        let received = answer.bytes().await.unwrap();
        assert_eq!(received.len() as u64, length, "{row:?}");
        assert!(received == recording()[part], "{row:?} has other bytes");
    }

    async fn empty(&self, answer: harness::Answer) {
        assert!(answer.bytes().await.unwrap().is_empty(), "{:?}", self.row);
    }
}
