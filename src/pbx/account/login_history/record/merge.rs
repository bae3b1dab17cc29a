//! One record out of two: that of a fleet, and that of an instance which went on alone. Pure.
//!
//! Knows which counts add up. Does not know when two records are merged.

use super::LoginRecord;

/// The counts of an instance at the time when the fleet last knew them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx::account::login_history) struct SharedCounts {
    refusals: u32,
    unanswered: u32,
    failures: u32,
}

impl LoginRecord {
    pub(in crate::pbx::account::login_history) fn shared_counts(&self) -> SharedCounts {
        SharedCounts {
            refusals: self.refusals,
            unanswered: self.unanswered,
            failures: self.failures,
        }
    }

    /// Adds to the record of a fleet what happened at one instance since `base`. Each instance may
    /// have tried on its own, so what was refused adds up. Without a base, the instance has just
    /// started: an older record tells nothing, and of a newer one the higher counts win.
    pub(in crate::pbx::account::login_history) fn absorb(
        &mut self,
        own: &Self,
        base: Option<SharedCounts>,
    ) {
        if base.is_none() && own.last_try <= self.last_try {
            return;
        }
        let base = base.unwrap_or(SharedCounts {
            // As if nothing but the surplus over the fleet's counts had happened here.
            refusals: self.refusals.min(own.refusals),
            unanswered: self.unanswered.min(own.unanswered),
            failures: self.failures.min(own.failures),
        });
        let more = |own: u32, base: u32| own.saturating_sub(base);
        let [refusals, unanswered, failures] = [
            more(own.refusals, base.refusals),
            more(own.unanswered, base.unanswered),
            more(own.failures, base.failures),
        ];
        self.refusals = self.refusals.saturating_add(refusals);
        self.unanswered = self.unanswered.saturating_add(unanswered);
        self.failures = self.failures.saturating_add(failures);
        // A refusal anywhere counts for all.
        self.accepted = own.accepted && (self.accepted || self.refusals == 0);
        self.last_failure = self.last_failure.max(own.last_failure);
        self.last_try = self.last_try.max(own.last_try);
        self.began_ms = self.began_ms.max(own.began_ms);
        self.locked_until = self.locked_until.max(own.locked_until);
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
