//! How many recordings and lists are answered at once, all together and for one principal.
//!
//! Knows how many each principal has. Does not know who a principal is, or what is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::principal::PrincipalId;

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum AdmissionError {
    #[error("as many requests are being answered as relay.max_streams allows")]
    Saturated,
    #[error(
        "as many requests of this principal are being answered as relay.max_streams_per_principal allows"
    )]
    PrincipalSaturated,
}

/// The streams that may be open at once, those that still wait for the PBX included.
pub(crate) struct Admission(Mutex<Streams>);

struct Streams {
    max: usize,
    max_per_principal: usize,
    open: usize,
    /// How many each principal has; one that has none is not in it.
    by_principal: HashMap<PrincipalId, usize>,
}

/// One stream; given back when dropped.
pub(crate) struct StreamPermit {
    admission: Arc<Admission>,
    who: PrincipalId,
}

impl Admission {
    pub(crate) fn new(max: usize, max_per_principal: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Streams {
            max,
            max_per_principal,
            open: 0,
            by_principal: HashMap::new(),
        })))
    }

    /// Takes over new limits; streams that are open stay.
    pub(crate) fn resize(&self, max: usize, max_per_principal: usize) {
        let mut streams = self.lock();
        streams.max = max;
        streams.max_per_principal = max_per_principal;
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    /// Takes a stream, without waiting.
    pub(crate) fn admit(
        self: &Arc<Self>,
        who: &PrincipalId,
    ) -> Result<StreamPermit, AdmissionError> {
        self.lock().open(who)?;
        Ok(StreamPermit {
            admission: Arc::clone(self),
            who: who.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn open(&mut self, who: &PrincipalId) -> Result<(), AdmissionError> {
        let own = self.by_principal.get(who).copied().unwrap_or(0);
        if own >= self.max_per_principal {
            return Err(AdmissionError::PrincipalSaturated);
        }
        if self.open >= self.max {
            return Err(AdmissionError::Saturated);
        }
        self.open += 1;
        self.by_principal.insert(who.clone(), own + 1);
        Ok(())
    }

    fn close(&mut self, who: &PrincipalId) {
        self.open = self.open.saturating_sub(1);
        match self.by_principal.get_mut(who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                self.by_principal.remove(who);
            }
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.admission.lock().close(&self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PrincipalId {
        PrincipalId::new("https://idp.example", name)
    }

    #[track_caller]
    fn check(admission: &Arc<Admission>, name: &str, expected: Result<(), AdmissionError>) {
        assert_eq!(admission.admit(&id(name)).map(drop), expected);
    }

    #[test]
    fn nobody_has_more_than_their_own_and_all_together_no_more_than_there_are() {
        let admission = Admission::new(3, 2);
        let alice = [
            admission.admit(&id("alice")).unwrap(),
            admission.admit(&id("alice")).unwrap(),
        ];
        check(&admission, "alice", Err(AdmissionError::PrincipalSaturated));
        let _bob = admission.admit(&id("bob")).unwrap();
        check(&admission, "bob", Err(AdmissionError::Saturated));
        // Whose own fault it is, hears that first.
        check(&admission, "alice", Err(AdmissionError::PrincipalSaturated));
        drop(alice);
        check(&admission, "alice", Ok(()));
        check(&admission, "bob", Ok(()));
    }

    #[test]
    fn fewer_streams_count_those_that_are_open() {
        let admission = Admission::new(4, 4);
        let mut open: Vec<_> = (0..4)
            .map(|_| admission.admit(&id("alice")).unwrap())
            .collect();
        admission.resize(3, 2);
        open.pop();
        check(&admission, "alice", Err(AdmissionError::PrincipalSaturated));
        check(&admission, "bob", Err(AdmissionError::Saturated));
        open.pop();
        check(&admission, "alice", Err(AdmissionError::PrincipalSaturated));
        check(&admission, "bob", Ok(()));
        open.pop();
        check(&admission, "alice", Ok(()));
    }

    #[test]
    fn who_has_none_is_forgotten() {
        let admission = Admission::new(100, 2);
        for number in 0..1_000 {
            check(&admission, &number.to_string(), Ok(()));
        }
        let streams = admission.lock();
        assert_eq!((streams.open, streams.by_principal.len()), (0, 0));
    }
}
