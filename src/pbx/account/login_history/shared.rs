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

    /// The history as a value for the fleet, with the number of its state.
    pub(in crate::pbx) fn to_shared(&self) -> (Vec<u8>, u64) {
        // A structure of numbers and texts is always JSON.
        (
            serde_json::to_vec(&self.record).unwrap_or_default(),
            self.changes,
        )
    }

    /// Notes that the fleet has the history in this state. A change since then is still to be told.
    pub(in crate::pbx) fn note_shared(&mut self, state: u64) {
        if self.changes == state {
            self.unshared = None;
        }
    }

    /// Notes that the fleet may have lost this history, or has another one.
    pub(in crate::pbx) fn doubt(&mut self) {
        self.unshared.get_or_insert_default();
    }

    /// The number of the state, which each change here raises.
    pub(in crate::pbx) fn state(&self) -> u64 {
        self.changes
    }

    /// Takes over the history of the fleet, and adds what the fleet does not know. A value that
    /// cannot be read changes nothing, and neither does one that was read before this `state`. The
    /// history of other credentials tells only what the PBX counts by address.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(in crate::pbx) fn adopt(&mut self, shared: &Secret, state: u64) -> io::Result<()> {
        if self.changes != state {
            return Ok(());
        }
        let Ok(mut record) = serde_json::from_slice::<LoginRecord>(shared.expose()) else {
            return Ok(());
        };
        let _lock = super::lock(self.file.as_deref());
        self.catch_up();
        if !record.is_like(&self.record) && !self.is_own(&record) {
            // Each instance with the other credentials keeps its own history, and does not tell it:
            // they would write over each other's for as long as both passwords are in use.
            let before = self.record.clone();
            self.record.take_over_address(&record);
            self.unshared = None;
            return if self.record == before {
                Ok(())
            } else {
                self.save()
            };
        }
        if let Some(unshared) = &mut self.unshared {
            let shared = record.clone();
            if unshared.is_forgiven {
                record.forgive();
            }
            record.absorb(&self.record, unshared.base);
            // From here on, only the rest is to be added.
            unshared.base = Some(shared.shared_counts());
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

    /// Returns true if a record is of these credentials. The comparison takes a while, so the salt
    /// of a record of others is remembered.
    fn is_own(&mut self, record: &LoginRecord) -> bool {
        if self.foreign.as_ref() == Some(&record.salt) {
            return false;
        }
        let is_own = record.is_of(self.credentials.expose());
        if !is_own {
            self.foreign = Some(record.salt.clone());
        }
        is_own
    }

    /// Notes that the record is about to change.
    pub(super) fn note_unshared(&mut self) {
        self.changes += 1;
        let base = Some(self.record.shared_counts());
        self.unshared.get_or_insert(Unshared {
            base,
            is_forgiven: false,
        });
    }

    /// Notes that the record has been forgiven. Refusals from then on count for the fleet, too.
    pub(super) fn note_forgiven(&mut self) {
        let counts = self.record.shared_counts();
        let unshared = self.unshared.get_or_insert_default();
        unshared.is_forgiven = true;
        unshared.base = Some(counts.since_forgiven(unshared.base));
    }
}
