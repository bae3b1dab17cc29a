//! The end of a file of lines: the last whole one, and what a crash may have left behind it.
//!
//! Knows what a whole line is. Does not check the chain: what was changed on purpose is for `audit verify` to show, and is not
//! touched here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;

use crate::audit::chain::{Hash, Link};

/// How far back from its end a file is looked at. A crash leaves far less.
const WINDOW_BYTES: u64 = 1 << 20;

/// The end of a file.
pub(super) struct Tail {
    /// The last whole line; none where there is none.
    pub(super) end: Option<Link>,
    /// Bytes up to the end of that line.
    pub(super) whole: u64,
    /// Bytes behind it.
    pub(super) torn: u64,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// Finds the last whole line.
///
/// # Errors
/// When the file cannot be read, or has none at its end although it is long.
pub(super) fn read(file: &mut File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(WINDOW_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(WINDOW_BYTES).read_to_end(&mut bytes)?;
    let mut end = bytes.len();
    while let Some(line_end) = last_line_end(&bytes, end) {
        let line_start = last_line_end(&bytes, line_end).map_or(0, |before| before + 1);
        if line_start == 0 && start > 0 {
            break;
        }
        let line = bytes.get(line_start..line_end).unwrap_or_default();
        if let Ok(Numbered { seq }) = serde_json::from_slice(line) {
            let whole = start + line_end as u64 + 1;
            let hash = Hash::of(line);
            return Ok(Tail {
                end: Some(Link { seq, hash }),
                whole,
                torn: length.saturating_sub(whole),
            });
        }
        end = line_end;
    }
    if start > 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its last MiB holds no line of an audit log; find out why, and move it away",
        ));
    }
    Ok(Tail {
        end: None,
        whole: 0,
        torn: length,
    })
}

/// Where the last line end in front of `end` is.
fn last_line_end(bytes: &[u8], end: usize) -> Option<usize> {
    let before = bytes.get(..end)?;
    before.iter().rposition(|byte| *byte == b'\n')
}

/// Moves what is behind the last whole line into another file, and cuts it off.
///
/// # Errors
/// When one of the files cannot be written.
pub(super) fn move_away(file: &mut File, tail: &Tail, to: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(tail.whole))?;
    (&mut *file).take(WINDOW_BYTES).read_to_end(&mut bytes)?;
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut torn = options.open(to)?;
    torn.write_all(&bytes)?;
    torn.sync_all()?;
    file.set_len(tail.whole)?;
    file.sync_all()
}
