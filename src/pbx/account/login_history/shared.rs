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
    /// Returns true if the fleet does not know the whole history. One without any login is nothing
    /// to know.
    pub(in crate::pbx) fn is_unshared(&self) -> bool {
        self.unshared.is_some() && !self.record.is_blank()
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
        // The store may have been emptied, and filled by an instance that had seen less.
        if self.record.is_newer_than(&record) {
            self.doubt();
        }
        if let Some(unshared) = &mut self.unshared {
            let shared = record.clone();
            if unshared.is_forgiven {
                record.forgive();
            }
            let counts = record.shared_counts();
            record.absorb(&self.record, unshared.base);
            // From here on, only the rest is to be added.
            unshared.base = Some(counts);
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::pbx::account::login_history::{LoginEnd, LoginVerdict};

    const RETRY: Duration = Duration::from_secs(60);

    fn instance(password: &str) -> LoginHistory {
        LoginHistory::open(None, "office", &[password.as_bytes()], RETRY).unwrap()
    }

    fn log_in(history: &mut LoginHistory, end: LoginEnd) {
        let now = SystemTime::now();
        history.begin(now).unwrap();
        history.end(end, false, now).unwrap();
    }

    /// The history as the store has it.
    fn stored(history: &mut LoginHistory) -> Secret {
        let (value, state) = history.to_shared();
        history.note_shared(state);
        Secret::new(value)
    }

    fn adopt(history: &mut LoginHistory, value: &Secret) {
        history.adopt(value, history.state()).unwrap();
    }

    fn refusals(history: &mut LoginHistory) -> u32 {
        history.counts(SystemTime::now()).refused
    }

    /// Two instances that know one accepted login.
    fn pair() -> (LoginHistory, LoginHistory, Secret) {
        let (mut first, mut second) = (instance("one"), instance("one"));
        log_in(&mut first, LoginEnd::Accepted);
        let store = stored(&mut first);
        adopt(&mut second, &store);
        assert!(!second.is_unshared());
        (first, second, store)
    }

    #[test]
    fn however_often_it_looks_an_instance_adds_its_refusal_once() {
        let (mut first, mut second, store) = pair();
        log_in(&mut first, LoginEnd::Refused);
        log_in(&mut second, LoginEnd::Refused);
        for _ in 0..3 {
            adopt(&mut first, &store);
        }
        let store = stored(&mut first);
        for _ in 0..3 {
            adopt(&mut second, &store);
            assert_eq!(refusals(&mut second), 2);
        }
        let verdict = second.verdict(SystemTime::now());
        assert_eq!(verdict, LoginVerdict::Stopped);
    }

    #[test]
    fn a_refusal_after_the_operator_has_forgiven_counts() {
        let (mut first, mut second, _) = pair();
        log_in(&mut first, LoginEnd::Refused);
        log_in(&mut first, LoginEnd::Refused);
        let store = stored(&mut first);
        adopt(&mut second, &store);
        second.forgive().unwrap();
        for _ in 0..3 {
            adopt(&mut second, &store);
            assert_eq!(refusals(&mut second), 1);
        }
        log_in(&mut second, LoginEnd::Refused);
        for _ in 0..3 {
            adopt(&mut second, &store);
            assert_eq!(refusals(&mut second), 2);
        }
    }

    #[test]
    fn a_store_that_knows_less_takes_no_refusal_away() {
        let (mut first, mut second, old) = pair();
        log_in(&mut first, LoginEnd::Refused);
        let new = stored(&mut first);
        adopt(&mut second, &new);
        for history in [&mut first, &mut second] {
            adopt(history, &old);
            assert_eq!(refusals(history), 1);
            assert!(history.is_unshared(), "the store is to be told");
        }
    }

    #[test]
    fn a_change_while_the_store_is_written_is_still_to_be_told() {
        let (mut first, ..) = pair();
        log_in(&mut first, LoginEnd::Refused);
        let (value, state) = first.to_shared();
        log_in(&mut first, LoginEnd::Refused);
        first.note_shared(state);
        assert!(first.is_unshared());
        // A value that was read before the change is passed over.
        first.adopt(&Secret::new(value), state).unwrap();
        assert_eq!(refusals(&mut first), 2);
    }

    #[test]
    fn a_history_of_another_password_tells_the_failures_alone_and_is_not_written_over() {
        let (mut first, _, _) = pair();
        log_in(&mut first, LoginEnd::Refused);
        let store = stored(&mut first);
        let mut other = instance("another");
        for _ in 0..2 {
            adopt(&mut other, &store);
            assert_eq!(refusals(&mut other), 0);
            assert!(!other.is_unshared());
            assert_eq!(other.record.shared_counts().failures(), 1);
        }
    }
}
