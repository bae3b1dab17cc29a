//! Records of a CSV that arrives in pieces.
//!
//! Knows RFC 4180 and how long a record may be. Does not know columns or where the pieces come from. Pure.
//!
//! csv-core does the reading. It takes line ends of any kind, quotation marks doubled within quoted fields, and a last
//! record without a line end; it passes over empty lines.

use csv_core::{ReadRecordResult, Reader};
use thiserror::Error;

/// No row of a list of calls comes near this.
const MAX_RECORD_BYTES: usize = 64 * 1024;
const MAX_FIELDS: usize = 256;

/// A record is longer than any record of a list of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a record is too long")]
pub(in crate::pbx) struct TooLong;

/// One record.
#[derive(Debug, Clone, Copy)]
pub(in crate::pbx) struct Record<'r> {
    text: &'r [u8],
    /// Where each field ends in the text.
    ends: &'r [usize],
}

impl<'r> Record<'r> {
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
}

/// Makes records out of pieces. Holds one record at a time.
pub(in crate::pbx) struct Records {
    reader: Box<Reader>,
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
}

impl Records {
    pub(in crate::pbx) fn new() -> Self {
        Self {
            reader: Box::new(Reader::new()),
            text: vec![0; MAX_RECORD_BYTES],
            text_length: 0,
            ends: vec![0; MAX_FIELDS],
            ends_length: 0,
        }
    }

    /// Reads a piece, and gives every record that ends in it to `take`.
    pub(in crate::pbx) fn push<E: From<TooLong>>(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !piece.is_empty() {
            let (read, has_record) = self.step(piece)?;
            piece = piece.get(read..).unwrap_or_default();
            if has_record {
                take(self.record())?;
                self.clear();
            }
        }
        Ok(())
    }

    /// After the last piece: a record that no line end followed.
    pub(in crate::pbx) fn finish<E: From<TooLong>>(
        mut self,
        mut take: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // An empty piece is how the reader is told of the end.
        let (_, has_record) = self.step(&[])?;
        if has_record {
            take(self.record())?;
        }
        Ok(())
    }

    /// Reads until a record or the piece ends; returns how much was read, and whether it was a record.
    fn step(&mut self, piece: &[u8]) -> Result<(usize, bool), TooLong> {
        let text = self.text.get_mut(self.text_length..).unwrap_or_default();
        let ends = self.ends.get_mut(self.ends_length..).unwrap_or_default();
        let (result, read, written, ended) = self.reader.read_record(piece, text, ends);
        self.text_length += written;
        self.ends_length += ended;
        match result {
            ReadRecordResult::Record => Ok((read, true)),
            ReadRecordResult::InputEmpty | ReadRecordResult::End => Ok((read, false)),
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => Err(TooLong),
        }
    }

    fn record(&self) -> Record<'_> {
        Record {
            text: self.text.get(..self.text_length).unwrap_or_default(),
            ends: self.ends.get(..self.ends_length).unwrap_or_default(),
        }
    }

    fn clear(&mut self) {
        self.text_length = 0;
        self.ends_length = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Vec<String>>, TooLong> {
        let mut all = Vec::new();
        let mut take = |record: Record<'_>| {
            let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            all.push(record.fields().map(text).collect());
            Ok(())
        };
        let mut records = Records::new();
        for piece in pieces {
            records.push(piece, &mut take)?;
        }
        records.finish(&mut take)?;
        Ok(all)
    }

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        assert_eq!(read(&[text.as_bytes()]).unwrap(), expected, "{text}");
        for at in 0..=text.len() {
            let (one, other) = text.as_bytes().split_at(at);
            assert_eq!(read(&[one, other]).unwrap(), expected, "{text} at {at}");
        }
    }

    #[test]
    fn records_are_read_wherever_pieces_end() {
        check("", &[]);
        check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n\r\n,\r\n", &[&["a", "b"], &["", ""]]);
        check(
            "\"a\",\"b, \"\"c\"\"\r\nd\"\n1,2\n",
            &[&["a", "b, \"c\"\r\nd"], &["1", "2"]],
        );
        check("a,\"b", &[&["a", "b"]]);
    }

    #[test]
    fn a_record_has_a_bound() {
        let row = |bytes: usize| format!("{}\n", "x".repeat(bytes));
        assert!(read(&[row(MAX_RECORD_BYTES - 1).as_bytes()]).is_ok());
        assert_eq!(read(&[row(MAX_RECORD_BYTES + 1).as_bytes()]), Err(TooLong));
        let open = format!("\"{}", "x\n".repeat(MAX_RECORD_BYTES));
        assert_eq!(read(&[open.as_bytes()]), Err(TooLong));
        assert_eq!(read(&[",".repeat(MAX_FIELDS + 1).as_bytes()]), Err(TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(pieces in proptest::collection::vec("[a,\"\r\n]{0,12}", 0..6)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            let whole = pieces.concat();
            prop_assert_eq!(read(&pieces), read(&[&whole]));
        }
    }
}
