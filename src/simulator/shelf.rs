//! The recordings on the box.
//!
//! Knows their bytes in the form the box has them, and how often each was asked for. Does not know
//! who may have them.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::switch::{Switch, Switches};
use super::wav::forms;

/// The recordings by name.
#[derive(Default)]
pub(super) struct Shelf(HashMap<String, Entry>);

struct Entry {
    bytes: Bytes,
    /// What it is after that, a download each.
    later: VecDeque<Bytes>,
    asked: u32,
    served: u32,
}

impl Shelf {
    /// Stores a recording in the form that the switches demand.
    pub(super) fn put(&mut self, name: &str, recording: &Bytes, switches: &Switches) {
        let bytes = in_form(recording, switches);
        self.0.insert(
            name.to_owned(),
            Entry {
                bytes,
                later: VecDeque::new(),
                asked: 0,
                served: 0,
            },
        );
    }

    /// Replaces a recording behind its next download, or behind one of each that was stored for later before.
    pub(super) fn put_later(&mut self, name: &str, recording: &Bytes, switches: &Switches) {
        let bytes = in_form(recording, switches);
        if let Some(entry) = self.0.get_mut(name) {
            entry.later.push_back(bytes);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Bytes> {
        self.0.get(name).map(|entry| entry.bytes.clone())
    }

    /// Counts a get_random for a recording: 1 at the first, `None` if there is none of that name.
    pub(super) fn ask(&mut self, name: &str) -> Option<u32> {
        let entry = self.0.get_mut(name)?;
        entry.asked = entry.asked.saturating_add(1);
        Some(entry.asked)
    }

    /// Takes a recording for a download; one that still `grows` is half there the first time.
    pub(super) fn serve(&mut self, name: &str, grows: bool) -> Option<Bytes> {
        let entry = self.0.get_mut(name)?;
        entry.served = entry.served.saturating_add(1);
        let bytes = entry.bytes.clone();
        if let Some(later) = entry.later.pop_front() {
            entry.bytes = later;
        }
        if grows && entry.served == 1 {
            return Some(forms::riff_size(&bytes.slice(..bytes.len() / 2), 0));
        }
        Some(bytes)
    }
}

fn in_form(recording: &Bytes, switches: &Switches) -> Bytes {
    let seconds = || forms::seconds_of(recording);
    if switches.has(Switch::Gsm) {
        forms::gsm(seconds())
    } else if switches.has(Switch::HeaderOnly) {
        forms::header_only()
    } else if switches.has(Switch::ZeroBytes) {
        Bytes::new()
    } else if switches.has(Switch::RiffSizeZero) {
        forms::riff_size(recording, 0)
    } else if switches.has(Switch::RiffSizeMax) {
        forms::riff_size(recording, u32::MAX)
    } else if switches.has(Switch::Stereo) {
        forms::stereo(recording)
    } else if switches.has(Switch::Mp3) {
        forms::mp3(seconds())
    } else {
        recording.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::wav;

    #[test]
    fn a_growing_file_is_short_once() {
        let (mut shelf, recording) = (Shelf::default(), wav::music(1));
        shelf.put("a.wav", &recording, &Switches::default());
        let first = shelf.serve("a.wav", true).unwrap();
        assert_eq!(
            (first.len(), &first[4..8]),
            (recording.len() / 2, &[0; 4][..])
        );
        assert_eq!(shelf.serve("a.wav", true).unwrap(), recording);
        assert_eq!(
            (shelf.ask("a.wav"), shelf.ask("a.wav"), shelf.ask("b.wav")),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn a_recording_that_changes_does_so_behind_a_download() {
        let mut shelf = Shelf::default();
        let (first, second) = (wav::music(1), wav::music(2));
        shelf.put("a.wav", &first, &Switches::default());
        shelf.put_later("a.wav", &second, &Switches::default());
        shelf.put_later("a.wav", &first, &Switches::default());
        for expected in [&first, &second, &first, &first] {
            assert_eq!(shelf.bytes("a.wav").as_ref(), Some(expected));
            assert_eq!(shelf.serve("a.wav", false).as_ref(), Some(expected));
        }
    }

    #[track_caller]
    fn check(switch: Switch, expected: Bytes) {
        let mut switches = Switches::default();
        switches.set(switch);
        assert_eq!(in_form(&wav::music(2), &switches), expected);
    }

    #[test]
    fn the_form_follows_the_switch() {
        check(Switch::Gsm, forms::gsm(2));
        check(Switch::HeaderOnly, forms::header_only());
        check(Switch::ZeroBytes, Bytes::new());
        check(
            Switch::RiffSizeMax,
            forms::riff_size(&wav::music(2), u32::MAX),
        );
        check(Switch::Stereo, forms::stereo(&wav::music(2)));
        check(Switch::Mp3, forms::mp3(2));
        check(Switch::KeepAlive, wav::music(2));
    }
}
