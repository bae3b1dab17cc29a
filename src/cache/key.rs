//! The key of a cache entry.
//!
//! Knows which recording of which configured PBX an entry belongs to. Does not know entries.

use std::sync::Arc;

use crate::audit::RecordedRead;
use crate::pbx::Pbx;
use crate::recording::RecordingName;

/// Identifies a recording of one PBX with one configuration. A reload that changes the PBX makes
/// other keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EntryKey {
    pub(super) pbx: u64,
    pbx_name: Arc<str>,
    name: RecordingName,
}

impl EntryKey {
    /// The key of a recorded read. A read for another PBX finds no entry.
    pub(super) fn of(pbx: &Pbx, read: &RecordedRead) -> Self {
        Self {
            pbx: pbx.id(),
            pbx_name: Arc::clone(read.pbx()),
            name: read.recording().clone(),
        }
    }

    pub(super) fn new(pbx: &Pbx, name: &RecordingName) -> Self {
        Self {
            pbx: pbx.id(),
            pbx_name: pbx.shared_name(),
            name: name.clone(),
        }
    }

    pub(super) fn name(&self) -> &RecordingName {
        &self.name
    }

    /// The recording, the same for every configuration of its PBX.
    pub(super) fn recording(&self) -> (Arc<str>, RecordingName) {
        (Arc::clone(&self.pbx_name), self.name.clone())
    }
}
