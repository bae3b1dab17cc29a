//! Records of a CSV that arrives in pieces.
//!
//! Knows RFC 4180, which quotation marks are none of it, and how long a record may be. Does not
//! know columns or where the pieces come from. Pure.
//!
//! A line is a record, but for line breaks within quotation marks (RFC 4180 §2, rule 6). Programs
//! that quote nothing write a name that begins with a quotation mark as it is; read by the letter,
//! that one would swallow every row up to the next. So a mark that is not closed in its own line
//! opens nothing, unless the lines up to the one that closes it are one record beyond doubt: none
//! behind the first is as wide as a row by itself, the closing mark stands at the end of its field,
//! and the whole is exactly as wide as the first record. Empty lines are passed over.
//!
//! csv-core takes a record apart: it takes line ends of any kind and quotation marks doubled within
//! quoted fields.

use csv_core::{ReadRecordResult, Reader};
use thiserror::Error;

/// No row of a list of calls comes near this.
const MAX_RECORD_BYTES: usize = 64 * 1024;
/// A field over several lines is looked for within this. Behind each stray mark all of it is read
/// again.
const MAX_OPEN_BYTES: usize = 4 * 1024;
const MAX_FIELDS: usize = 256;

/// A record is longer than any record of a list of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a record is too long")]
pub(in crate::pbx) struct RecordTooLong;

/// One record.
#[derive(Debug, Clone, Copy)]
pub(in crate::pbx) struct CsvRecord<'r> {
    text: &'r [u8],
    /// The end of each field in the text.
    ends: &'r [usize],
    is_closed: bool,
    has_line_end: bool,
}

impl<'r> CsvRecord<'r> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn field(&self, index: usize) -> Option<&'r [u8]> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..end)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = &'r [u8]> {
        (0..self.len()).filter_map(move |index| self.field(index))
    }

    /// Returns true if every quotation mark that opens a field is closed. Where one is not, the
    /// fields behind it are unknown.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns true if a line end follows it. Without one it is the last, and may be cut.
    pub(super) fn has_line_end(&self) -> bool {
        self.has_line_end
    }
}

/// Makes records out of pieces. Holds a piece, and one record before it.
pub(in crate::pbx) struct CsvReader {
    /// The bytes that have not been given out.
    held: Vec<u8>,
    /// The byte of `held` at which the next record begins.
    start: usize,
    /// The byte of `held` that is looked at next.
    at: usize,
    scan: QuoteScan,
    /// The end of the first line of the record, once the record goes on behind it.
    first_line: Option<usize>,
    /// Fields of the first record.
    width: Option<usize>,
    parser: RecordParser,
}

impl CsvReader {
    pub(in crate::pbx) fn new() -> Self {
        Self {
            held: Vec::new(),
            start: 0,
            at: 0,
            scan: QuoteScan::default(),
            first_line: None,
            width: None,
            parser: RecordParser::new(),
        }
    }

    /// Reads a piece, and gives every record that ends in it to `take`.
    pub(in crate::pbx) fn push<E: From<RecordTooLong>>(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(CsvRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.held.extend_from_slice(piece);
        self.look(&mut take)?;
        self.held.drain(..self.start);
        self.at -= self.start;
        self.first_line = self.first_line.map(|end| end - self.start);
        self.start = 0;
        Ok(())
    }

    /// After the last piece: a record that no line end followed.
    pub(in crate::pbx) fn finish<E: From<RecordTooLong>>(
        mut self,
        mut take: impl FnMut(CsvRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.start < self.held.len() {
            match self.first_line {
                Some(first) if !self.scan.is_whole(self.width) => {
                    self.give(first, false, &mut take)?;
                    self.look(&mut take)?;
                }
                _ => {
                    let is_closed = !self.scan.is_open() || !self.scan.is_row(self.width);
                    self.give(self.held.len(), is_closed, &mut take)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the held bytes, and passes on the records in them.
    fn look<E: From<RecordTooLong>>(
        &mut self,
        take: &mut impl FnMut(CsvRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(byte) = self.held.get(self.at).copied() {
            self.at += 1;
            self.scan.step(byte);
            if is_line_end(byte) {
                self.end_line(take)?;
            }
            match (self.first_line, self.at - self.start) {
                (Some(first), MAX_OPEN_BYTES..) => self.give(first, false, take)?,
                (None, length) if length > MAX_RECORD_BYTES => return Err(RecordTooLong.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Decides what the line that has just ended means.
    fn end_line<E: From<RecordTooLong>>(
        &mut self,
        take: &mut impl FnMut(CsvRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (scan, width) = (&self.scan, self.width);
        match (self.first_line, scan.is_open()) {
            (None, false) => self.give(self.at, true, take),
            (Some(_), false) if scan.is_whole(width) => self.give(self.at, true, take),
            (Some(first), is_open) if !is_open || scan.is_row(width) => {
                self.give(first, false, take)
            }
            (first, _) => {
                self.first_line = first.or(Some(self.at));
                self.scan.begin_line();
                Ok(())
            }
        }
    }

    /// Gives a record away that ends there, and begins anew behind it.
    fn give<E: From<RecordTooLong>>(
        &mut self,
        end: usize,
        is_closed: bool,
        take: &mut impl FnMut(CsvRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = self.held.get(self.start..end).unwrap_or_default();
        let has_line_end = bytes.last().copied().is_some_and(is_line_end);
        self.start = end;
        self.at = end;
        self.first_line = None;
        self.scan = QuoteScan::default();
        let Some((text, ends)) = self.parser.parse(bytes)? else {
            return Ok(());
        };
        self.width = self.width.or(Some(ends.len()));
        take(CsvRecord {
            text,
            ends,
            is_closed,
            has_line_end,
        })
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The quotation marks in the record that is being read.
#[derive(Default)]
struct QuoteScan {
    place: QuoteState,
    /// Commas outside quotation marks.
    commas: usize,
    /// Commas of the last line, wherever they are.
    commas_of_line: usize,
    /// A mark within quotation marks stands neither doubled nor at the end of its field.
    is_improper: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum QuoteState {
    #[default]
    FieldStart,
    Bare,
    Quoted,
    /// Behind a mark within quotation marks.
    Closing,
}

impl QuoteScan {
    fn step(&mut self, byte: u8) {
        self.commas_of_line += usize::from(byte == b',');
        self.commas += usize::from(byte == b',' && self.place != QuoteState::Quoted);
        self.is_improper |=
            self.place == QuoteState::Closing && !matches!(byte, b'"' | b',' | b'\n' | b'\r');
        self.place = match (self.place, byte) {
            (QuoteState::Quoted, b'"') => QuoteState::Closing,
            (QuoteState::Quoted, _) | (QuoteState::FieldStart | QuoteState::Closing, b'"') => {
                QuoteState::Quoted
            }
            (_, b',') => QuoteState::FieldStart,
            _ => QuoteState::Bare,
        };
    }

    fn begin_line(&mut self) {
        self.commas_of_line = 0;
    }

    /// Returns true while a field is open.
    fn is_open(&self) -> bool {
        self.place == QuoteState::Quoted
    }

    /// Returns true if the last line is as wide as a row by itself, its marks taken as text.
    fn is_row(&self, width: Option<usize>) -> bool {
        width.is_some_and(|width| self.commas_of_line + 1 >= width)
    }

    /// Returns true if several lines are one record beyond doubt.
    fn is_whole(&self, width: Option<usize>) -> bool {
        let fits = width.is_none_or(|width| self.commas + 1 == width);
        !self.is_open() && !self.is_improper && fits && !self.is_row(width)
    }
}

/// The text of a record, and where each field ends in it.
type RecordParts<'r> = (&'r [u8], &'r [usize]);

/// csv-core, and room for one record.
struct RecordParser {
    reader: Box<Reader>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordParser {
    fn new() -> Self {
        Self {
            reader: Box::new(Reader::new()),
            text: vec![0; MAX_RECORD_BYTES],
            ends: vec![0; MAX_FIELDS],
        }
    }

    /// Takes one record apart; `None` for an empty line.
    fn parse(&mut self, mut record: &[u8]) -> Result<Option<RecordParts<'_>>, RecordTooLong> {
        self.reader.reset();
        let (mut written, mut ended) = (0, 0);
        loop {
            let text = self.text.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, more_text, more_ends) = self.reader.read_record(record, text, ends);
            written += more_text;
            ended += more_ends;
            match result {
                ReadRecordResult::Record => {
                    let text = self.text.get(..written).unwrap_or_default();
                    return Ok(Some((text, self.ends.get(..ended).unwrap_or_default())));
                }
                ReadRecordResult::End => return Ok(None),
                // An empty piece is how the reader is told of the end.
                ReadRecordResult::InputEmpty => record = record.get(read..).unwrap_or_default(),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(RecordTooLong);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
