//! Reads the lines of an audit log from its files.
//!
//! Knows the order of the files, and the position of each line. Does not parse lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::files;
use crate::audit::files::FileName;
use crate::audit::line::MAX_LINE_BYTES;

/// The position of a line: file and line number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinePosition {
    pub(crate) file: Arc<str>,
    /// Counted from 1.
    pub(crate) line: u64,
}

impl fmt::Display for LinePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// The bytes of a line, without its line end.
#[derive(Debug, Clone)]
pub(crate) struct RawLine {
    pub(crate) place: LinePosition,
    pub(crate) bytes: Vec<u8>,
    /// The line has a line end. A line without one is being written, or was cut by a crash.
    pub(crate) is_whole: bool,
}

/// Iterator over the lines of all files of a folder, in their order. It holds one line at a time.
pub(crate) struct Lines {
    dir: PathBuf,
    names: std::vec::IntoIter<FileName>,
    current: Option<(BufReader<File>, LinePosition)>,
}

impl Lines {
    /// # Errors
    /// When the folder cannot be read, or has no file of a log.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let names = files::list(dir)?;
        if names.is_empty() {
            let message = "there is no audit log in it: no file audit-<number>-<date>.jsonl";
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(Self {
            dir: dir.to_owned(),
            names: names.into_iter(),
            current: None,
        })
    }

    fn read(&mut self) -> io::Result<Option<RawLine>> {
        loop {
            if let Some((reader, place)) = &mut self.current {
                let mut bytes = Vec::new();
                let bound = MAX_LINE_BYTES as u64;
                reader.take(bound).read_until(b'\n', &mut bytes)?;
                place.line += 1;
                if !bytes.is_empty() {
                    let is_cut = bytes.len() == MAX_LINE_BYTES;
                    let is_whole = bytes.pop_if(|byte| *byte == b'\n').is_some();
                    let place = place.clone();
                    if !is_whole && !is_cut {
                        // The line is being written. Bytes that have come behind it meanwhile are
                        // the rest of this line, and no line of their own.
                        self.current = None;
                    }
                    return Ok(Some(RawLine {
                        place,
                        bytes,
                        is_whole,
                    }));
                }
            }
            let Some(name) = self.names.next() else {
                return Ok(None);
            };
            let name = name.to_string();
            let file = File::open(self.dir.join(&name))
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
            let place = LinePosition {
                file: name.into(),
                line: 0,
            };
            self.current = Some((BufReader::new(file), place));
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<io::Result<RawLine>> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn told(lines: &mut Lines) -> Option<(String, bool)> {
        let written = lines.next()?.unwrap();
        Some((String::from_utf8(written.bytes).unwrap(), written.is_whole))
    }

    #[test]
    fn a_line_that_is_being_written_is_the_last_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-00000001-2026-03-02.jsonl");
        fs::write(&path, "one\ntw").unwrap();
        let mut lines = Lines::open(folder.path()).unwrap();
        assert_eq!(told(&mut lines), Some(("one".to_owned(), true)));
        assert_eq!(told(&mut lines), Some(("tw".to_owned(), false)));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(told(&mut lines), None);
    }

    #[test]
    fn a_line_that_is_too_long_hides_none_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-00000001-2026-03-02.jsonl");
        fs::write(&path, format!("{}\ntwo\n", "1".repeat(MAX_LINE_BYTES))).unwrap();
        let mut lines = Lines::open(folder.path()).unwrap();
        let (text, is_whole) = told(&mut lines).unwrap();
        assert_eq!((text.len(), is_whole), (MAX_LINE_BYTES, false));
        assert_eq!(told(&mut lines), Some((String::new(), true)));
        assert_eq!(told(&mut lines), Some(("two".to_owned(), true)));
    }
}
