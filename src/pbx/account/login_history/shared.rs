//! The history of the logins of a whole fleet.
//!
//! Knows which changes the other instances do not know yet, and how their record is taken over. Does
//! not know where the record of the fleet lies.

use std::io;

use super::LoginHistory;
use super::record::LoginRecord;
use super::record::merge::SharedCounts;
use crate::secret::Secret;

/// The changes that the fleet does not know.
#[derive(Debug, Default)]
pub(super) struct Unshared {
    /// The counts that the fleet knew last; `None` since the start of the program.
    base: Option<SharedCounts>,
    /// The operator has allowed one more login.
    is_forgiven: bool,
}

impl LoginHistory {
    /// Returns true if the fleet does not know the whole history.
    pub(in crate::pbx) fn is_unshared(&self) -> bool {
        self.unshared.is_some()
    }

    /// The history as a value for the fleet.
    pub(in crate::pbx) fn to_shared(&self) -> Vec<u8> {
        // A structure of numbers and texts is always JSON.
        serde_json::to_vec(&self.record).unwrap_or_default()
    }

    /// Notes that the fleet has this history.
    pub(in crate::pbx) fn note_shared(&mut self) {
        self.unshared = None;
    }

    /// Takes over the history of the fleet, and adds what the fleet does not know. A value that
    /// cannot be read changes nothing. The history of other credentials tells only what the PBX
    /// counts by address.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(in crate::pbx) fn adopt(&mut self, shared: &Secret) -> io::Result<()> {
        let Ok(mut record) = serde_json::from_slice::<LoginRecord>(shared.expose()) else {
            return Ok(());
        };
        let _lock = super::lock(self.file.as_deref());
        self.catch_up();
        // The comparison of fingerprints takes a while, so it is made once for each salt.
        if !record.is_like(&self.record) && !record.is_of(self.credentials.expose()) {
            self.record.take_over_address(&record);
            self.unshared.get_or_insert_default();
            return self.save();
        }
        if let Some(unshared) = &self.unshared {
            let shared = record.clone();
            if unshared.is_forgiven {
                record.forgive();
            }
            record.absorb(&self.record, unshared.base);
            if record == shared {
                self.unshared = None;
            }
        }
        if record == self.record {
            return Ok(());
        }
        self.record = record;
        self.save()
    }

    /// Notes that the record is about to change.
    pub(super) fn note_unshared(&mut self) {
        let base = Some(self.record.shared_counts());
        self.unshared.get_or_insert(Unshared {
            base,
            is_forgiven: false,
        });
    }

    pub(super) fn note_forgiven(&mut self) {
        self.unshared.get_or_insert_default().is_forgiven = true;
    }
}
