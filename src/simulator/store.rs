//! The recordings that the box stores.
//!
//! Knows the bytes of each recording, and how often tickets and downloads were requested for it.
//! Does not know who may have them.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::switch::{Switch, Switches};
use super::wav::forms;

/// The recordings by name.
#[derive(Default)]
pub(super) struct RecordingStore(HashMap<String, StoredRecording>);

struct StoredRecording {
    bytes: Bytes,
    /// The next contents: each download moves the first of them into `bytes`.
    replacements: VecDeque<Bytes>,
    requests: u32,
    downloads: u32,
}

impl RecordingStore {
    /// Stores a recording in the form that the switches choose.
    pub(super) fn put(&mut self, name: &str, recording: &Bytes, switches: &Switches) {
        let bytes = in_form(recording, switches);
        self.0.insert(
            name.to_owned(),
            StoredRecording {
                bytes,
                replacements: VecDeque::new(),
                requests: 0,
                downloads: 0,
            },
        );
    }

    /// Replaces a recording when its next download begins. Each further replacement waits for one
    /// more download. Does nothing if there is no recording of this name.
    pub(super) fn put_after_download(
        &mut self,
        name: &str,
        recording: &Bytes,
        switches: &Switches,
    ) {
        let bytes = in_form(recording, switches);
        if let Some(entry) = self.0.get_mut(name) {
            entry.replacements.push_back(bytes);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Bytes> {
        self.0.get(name).map(|entry| entry.bytes.clone())
    }

    /// Counts a request for a ticket and returns the count: 1 at the first request, `None` if there
    /// is no recording of this name.
    pub(super) fn count_request(&mut self, name: &str) -> Option<u32> {
        let entry = self.0.get_mut(name)?;
        entry.requests = entry.requests.saturating_add(1);
        Some(entry.requests)
    }

    /// Returns the bytes for a download and counts it. If `grows` is true, the first download gets
    /// only the first half, with a RIFF size of 0.
    pub(super) fn serve(&mut self, name: &str, grows: bool) -> Option<Bytes> {
        let entry = self.0.get_mut(name)?;
        entry.downloads = entry.downloads.saturating_add(1);
        let bytes = entry.bytes.clone();
        if let Some(replacement) = entry.replacements.pop_front() {
            entry.bytes = replacement;
        }
        if grows && entry.downloads == 1 {
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
    fn a_growing_file_is_half_at_its_first_download_only() {
        let (mut store, recording) = (RecordingStore::default(), wav::music(1));
        store.put("a.wav", &recording, &Switches::default());
        let first = store.serve("a.wav", true).unwrap();
        assert_eq!(
            (first.len(), &first[4..8]),
            (recording.len() / 2, &[0; 4][..])
        );
        assert_eq!(store.serve("a.wav", true).unwrap(), recording);
        assert_eq!(
            (
                store.count_request("a.wav"),
                store.count_request("a.wav"),
                store.count_request("b.wav")
            ),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn a_replacement_waits_for_the_next_download() {
        let mut store = RecordingStore::default();
        let (first, second) = (wav::music(1), wav::music(2));
        store.put("a.wav", &first, &Switches::default());
        store.put_after_download("a.wav", &second, &Switches::default());
        store.put_after_download("a.wav", &first, &Switches::default());
        for expected in [&first, &second, &first, &first] {
            assert_eq!(store.bytes("a.wav").as_ref(), Some(expected));
            assert_eq!(store.serve("a.wav", false).as_ref(), Some(expected));
        }
    }

    #[track_caller]
    fn check(switch: Switch, expected: Bytes) {
        let mut switches = Switches::default();
        switches.set(switch);
        assert_eq!(in_form(&wav::music(2), &switches), expected);
    }

    #[test]
    fn a_switch_changes_the_form_of_a_recording() {
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
