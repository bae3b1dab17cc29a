//! The end of a file of lines: the last whole line, and the rest that a crash may have left behind
//! it.
//!
//! Knows how a whole line looks. Does not check the chain: a line that was changed on purpose is
//! left as it is, and `audit verify` reports it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::NumberedLine;
use crate::audit::chain::{ChainLink, Hash};

/// How many bytes at the end of a file are searched for a whole line. A crash leaves far less
/// behind it.
const MAX_TAIL_BYTES: u64 = 1 << 20;

/// The end of a file.
pub(super) struct Tail {
    /// The last whole line, if there is one.
    pub(super) end: Option<ChainLink>,
    /// Bytes of the file up to the end of that line.
    pub(super) whole: u64,
    /// Bytes of the file behind that line.
    pub(super) torn: u64,
}

/// Finds the last whole line.
///
/// # Errors
/// When the file cannot be read, or its last MiB holds no whole line.
pub(super) fn read(file: &mut File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes)?;
    let mut end = bytes.len();
    while let Some(line_end) = last_line_end(&bytes, end) {
        let line_start = last_line_end(&bytes, line_end).map_or(0, |before| before + 1);
        if line_start == 0 && start > 0 {
            break;
        }
        let line = bytes.get(line_start..line_end).unwrap_or_default();
        if let Ok(NumberedLine { seq }) = serde_json::from_slice(line) {
            let whole = start + line_end as u64 + 1;
            let hash = Hash::of(line);
            return Ok(Tail {
                end: Some(ChainLink { seq, hash }),
                whole,
                torn: length.saturating_sub(whole),
            });
        }
        end = line_end;
    }
    if start > 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the last MiB of the file holds no line of an audit log; find out why, and move the file away",
        ));
    }
    Ok(Tail {
        end: None,
        whole: 0,
        torn: length,
    })
}

/// Position of the last line end before `end`.
fn last_line_end(bytes: &[u8], end: usize) -> Option<usize> {
    let before = bytes.get(..end)?;
    before.iter().rposition(|byte| *byte == b'\n')
}

/// Moves the bytes behind the last whole line into another file, and cuts them off.
///
/// # Errors
/// When one of the files cannot be written. Then the bytes stand in the first file only, so that a
/// later try moves them once.
pub(super) fn move_away(file: &mut File, tail: &Tail, to: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(tail.whole))?;
    (&mut *file).take(MAX_TAIL_BYTES).read_to_end(&mut bytes)?;
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut torn = options.open(to)?;
    let before = torn.metadata()?.len();
    let moved = torn.write_all(&bytes).and_then(|()| torn.sync_all());
    if let Err(error) = moved.and_then(|()| file.set_len(tail.whole)) {
        let _ = torn.set_len(before);
        return Err(error);
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_torn_end_is_moved_once_after_failed_tries() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join("file"), folder.path().join("torn"));
        fs::write(&path, "{\"seq\":1}\nhalf").unwrap();
        fs::write(&to, "earlier").unwrap();
        for _ in 0..3 {
            // Opened for reading only, so it cannot be cut.
            let mut file = File::open(&path).unwrap();
            let tail = read(&mut file).unwrap();
            assert!(move_away(&mut file, &tail, &to).is_err());
            assert_eq!(fs::read_to_string(&to).unwrap(), "earlier");
        }
        let mut file = File::options().read(true).append(true).open(&path).unwrap();
        let tail = read(&mut file).unwrap();
        move_away(&mut file, &tail, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "earlierhalf");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"seq\":1}\n");
    }
}
