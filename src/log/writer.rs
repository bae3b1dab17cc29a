//! The writer of the log: a thread that writes the lines of many requests with one call.
//!
//! Knows when lines are written. Does not know what they say. A warning or an error is written at
//! once, together with all lines before it; a line of less importance waits at most [`MAX_DELAY`]
//! for others. Where standard error takes nothing, lines wait, and behind [`MAX_WAITING`] the tasks
//! that bring them wait, too.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The longest time that a line waits for others.
const MAX_DELAY: Duration = Duration::from_millis(10);
/// The bytes of lines that are written without a further wait.
const WRITE_NOW_BYTES: usize = 64 * 1024;
/// The bytes of lines that may wait.
const MAX_WAITING: usize = 1024 * 1024;

/// The queue of lines, which takes whole lines from any task. Clones share it.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Lines>);

/// Writes the last lines when it is dropped. Later lines are written one by one.
#[must_use = "without it the last lines may be lost"]
pub(crate) struct LogEnd {
    lines: Arc<Lines>,
    thread: Option<JoinHandle<()>>,
}

/// The writer of one line.
pub(super) struct LineWriter<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

struct Lines {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// There is room again.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_urgent: bool,
    is_closed: bool,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start() -> io::Result<(Self, LogEnd)> {
        let lines = Arc::new(Lines {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let writes = Arc::clone(&lines);
        let thread = thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || writes.write_all(&mut io::stderr()))?;
        let end = LogEnd {
            lines: Arc::clone(&lines),
            thread: Some(thread),
        };
        Ok((Self(lines), end))
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line. Waits for room. Returns `false` once nobody writes any more.
    fn add(&self, line: &[u8], is_urgent: bool) -> bool {
        let is_full = |state: &mut State| state.bytes.len() >= MAX_WAITING && !state.is_closed;
        let waited = self.emptied.wait_while(self.lock(), is_full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return false;
        }
        let is_first = state.bytes.is_empty();
        state.bytes.extend_from_slice(line);
        state.is_urgent |= is_urgent;
        let is_awaited = is_first || is_urgent || state.bytes.len() >= WRITE_NOW_BYTES;
        drop(state);
        if is_awaited {
            self.filled.notify_one();
        }
        true
    }

    /// Writes lines until the queue is closed and empty.
    fn write_all(&self, out: &mut impl Write) {
        let mut bytes = Vec::new();
        loop {
            let is_empty = |state: &mut State| state.bytes.is_empty() && !state.is_closed;
            let waited = self.filled.wait_while(self.lock(), is_empty);
            let state = waited.unwrap_or_else(PoisonError::into_inner);
            let may_wait = |state: &mut State| {
                !state.is_urgent && !state.is_closed && state.bytes.len() < WRITE_NOW_BYTES
            };
            let waited = self.filled.wait_timeout_while(state, MAX_DELAY, may_wait);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            mem::swap(&mut bytes, &mut state.bytes);
            state.is_urgent = false;
            let is_last = state.is_closed && bytes.is_empty();
            drop(state);
            self.emptied.notify_all();
            if is_last {
                return;
            }
            write_whole(out, &bytes);
            bytes.clear();
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
        self.emptied.notify_all();
    }
}

/// Writes all bytes. A standard error that takes none for now, as a pipe may that another program
/// has made non-blocking, is asked again. After any other error the rest is lost: there is nobody
/// to tell.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(MAX_DELAY),
            Ok(0) | Err(_) => {
                // Closes the line that was cut.
                let _ = out.write(b"\n");
                return;
            }
        }
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        self.lines.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            lines: &self.0,
            is_urgent: true,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            lines: &self.0,
            is_urgent: *metadata.level() <= Level::WARN,
        }
    }
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.lines.add(line, self.is_urgent) {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Hands each write over, and waits until somebody takes it.
    struct Out(SyncSender<Vec<u8>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(bytes.to_owned());
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (Arc<Lines>, LogEnd, Receiver<Vec<u8>>) {
        let lines = Arc::new(Lines {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let (sender, written) = sync_channel(0);
        let writes = Arc::clone(&lines);
        let thread = thread::spawn(move || writes.write_all(&mut Out(sender)));
        let end = LogEnd {
            lines: Arc::clone(&lines),
            thread: Some(thread),
        };
        (lines, end, written)
    }

    #[test]
    fn every_line_is_written_in_order_and_many_with_one_call() {
        let (lines, end, written) = start();
        let expected: String = (0..2_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        expected.split_inclusive('\n').for_each(|line| {
            assert!(lines.add(line.as_bytes(), false));
        });
        let ended = thread::spawn(move || drop(end));
        let writes: Vec<Vec<u8>> = written.iter().collect();
        ended.join().unwrap();
        assert_eq!(String::from_utf8(writes.concat()).unwrap(), expected);
        assert!(writes.len() < 100, "{} writes", writes.len());
        assert!(!lines.add(b"late\n", false));
    }

    #[test]
    fn a_warning_waits_for_nobody() {
        let (lines, _end, written) = start();
        assert!(lines.add(b"first\n", false));
        assert!(lines.add(b"a warning\n", true));
        let mut text = Vec::new();
        while !text.ends_with(b"a warning\n") {
            text.extend(written.recv().unwrap());
        }
        assert_eq!(text, b"first\na warning\n");
    }

    /// Takes a few bytes in every third call, and none in the others.
    #[derive(Default)]
    struct Stubborn {
        taken: Vec<u8>,
        calls: usize,
    }

    impl Write for Stubborn {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                1 => Err(io::ErrorKind::Interrupted.into()),
                _ => self.taken.write(bytes.get(..4).unwrap_or(bytes)),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_takes_nothing_for_now_gets_every_byte() {
        let mut out = Stubborn::default();
        write_whole(&mut out, b"first line\nsecond line\n");
        assert_eq!(out.taken, b"first line\nsecond line\n");
    }

    #[test]
    fn lines_that_nobody_takes_are_bounded_and_none_is_lost() {
        let (lines, end, written) = start();
        let line = vec![b'x'; WRITE_NOW_BYTES];
        let brings = {
            let (lines, line) = (Arc::clone(&lines), line.clone());
            thread::spawn(move || {
                (0..64).for_each(|_| assert!(lines.add(&line, false)));
            })
        };
        let mut taken = 0;
        while taken < 64 * line.len() {
            assert!(lines.lock().bytes.len() < MAX_WAITING + line.len());
            taken += written.recv().unwrap().len();
        }
        brings.join().unwrap();
        drop(written);
        drop(end);
    }
}
