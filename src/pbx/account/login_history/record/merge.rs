//! One record out of two: that of a fleet, and that of an instance which went on alone. Pure.
//!
//! Knows which counts add up. Does not know when two records are merged.

use super::LoginRecord;

/// The counts of an instance at the time when the fleet last knew them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx::account::login_history) struct SharedCounts {
    steps: u64,
    refusals: u32,
    unanswered: u32,
    failures: u32,
}

impl LoginRecord {
    pub(in crate::pbx::account::login_history) fn shared_counts(&self) -> SharedCounts {
        SharedCounts {
            steps: self.steps,
            refusals: self.refusals,
            unanswered: self.unanswered,
            failures: self.failures,
        }
    }

    /// Returns true if it tells nothing but its credentials.
    pub(in crate::pbx::account::login_history) fn is_blank(&self) -> bool {
        let blank = Self {
            salt: self.salt.clone(),
            credentials: self.credentials.clone(),
            ..Self::default()
        };
        *self == blank
    }

    /// Returns true if logins have begun or ended since the other record was written.
    pub(in crate::pbx::account::login_history) fn is_newer_than(&self, other: &Self) -> bool {
        self.steps > other.steps
    }

    /// Adds to the record of a fleet what happened at one instance since `base`. Each instance may
    /// have tried on its own, so what was refused adds up. Without a base, the instance has just
    /// started, or does not know what the fleet knows: the higher counts win, and those of the older
    /// record only for the address.
    pub(in crate::pbx::account::login_history) fn absorb(
        &mut self,
        own: &Self,
        base: Option<SharedCounts>,
    ) {
        let is_newer = own.is_newer_than(self);
        let sum = |fleet: u32, own: u32, base: u32| fleet.saturating_add(own).saturating_sub(base);
        self.failures = match base {
            None => self.failures.max(own.failures),
            Some(base) => sum(self.failures, own.failures, base.failures),
        };
        self.last_failure = self.last_failure.max(own.last_failure);
        self.locked_until = self.locked_until.max(own.locked_until);
        match base {
            None if !is_newer => return,
            None => {
                self.steps = own.steps;
                self.refusals = self.refusals.max(own.refusals);
                self.unanswered = own.unanswered;
            }
            // An acceptance takes away what the fleet knew of this instance's own.
            Some(base) => {
                let more = own.steps.saturating_sub(base.steps);
                self.steps = self.steps.saturating_add(more);
                self.refusals = sum(self.refusals, own.refusals, base.refusals);
                self.unanswered = sum(self.unanswered, own.unanswered, base.unanswered);
            }
        }
        if !own.logins.is_empty() {
            // A refusal anywhere counts for all.
            self.accepted = own.accepted && (self.accepted || self.refusals == 0);
        }
        self.last_try = self.last_try.max(own.last_try);
        self.began_ms = self.began_ms.max(own.began_ms);
    }
}

impl SharedCounts {
    #[cfg(test)]
    pub(in crate::pbx::account::login_history) fn failures(self) -> u32 {
        self.failures
    }

    /// The counts after the operator has forgiven: failures stay, since the PBX counts them.
    pub(in crate::pbx::account::login_history) fn since_forgiven(self, base: Option<Self>) -> Self {
        Self {
            failures: base.map_or(self.failures, |base| base.failures),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::pbx::account::login_history::{LoginEnd, LoginVerdict};

    const RETRY: Duration = Duration::from_secs(60);

    fn refused(record: &LoginRecord, now: SystemTime) -> LoginRecord {
        let mut record = record.clone();
        record.begin(now);
        record.end(LoginEnd::Refused, now);
        record
    }

    #[test]
    fn refusals_at_two_instances_on_their_own_add_up() {
        let now = SystemTime::now();
        let mut fleet = LoginRecord::default();
        fleet.begin(now);
        fleet.end(LoginEnd::Accepted, now);
        let base = Some(fleet.shared_counts());
        let (first, second) = (refused(&fleet, now), refused(&fleet, now));

        fleet.absorb(&first, base);
        assert_eq!(fleet.verdict(now, RETRY), LoginVerdict::Wait(RETRY));
        fleet.absorb(&second, base);
        assert_eq!(fleet.verdict(now, RETRY), LoginVerdict::Stopped);
    }

    #[test]
    fn an_instance_that_starts_counts_nothing_twice() {
        let now = SystemTime::now();
        let mut fleet = refused(&LoginRecord::default(), now);
        let mirror = fleet.clone();
        fleet.absorb(&mirror, None);
        assert_eq!(fleet, mirror);

        // A refusal that only one of them knows is counted.
        let mut empty = LoginRecord::default();
        empty.absorb(&refused(&mirror, now), None);
        assert_eq!(empty.verdict(now, RETRY), LoginVerdict::Stopped);
    }

    #[test]
    fn a_refusal_outweighs_that_another_instance_was_accepted_before() {
        let now = SystemTime::now();
        let mut fleet = LoginRecord::default();
        fleet.begin(now);
        fleet.end(LoginEnd::Accepted, now);
        let base = Some(fleet.shared_counts());
        let accepted = fleet.clone();
        fleet.absorb(&refused(&accepted, now), base);
        assert!(!fleet.counts(now).accepted);
        fleet.absorb(&accepted, base);
        assert!(!fleet.counts(now).accepted);
    }
}
