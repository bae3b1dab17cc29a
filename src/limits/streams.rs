//! The limit on streams: recordings and lists that are answered at once, in all and for each
//! principal.
//!
//! Knows the number of streams of each principal. Does not know who a principal is, or what is
//! answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::fleet::Fleet;
use crate::fleet::permits::{SharedPermit, SharedPermits};
use crate::principal::PrincipalId;

/// The reason why no stream is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamLimitError {
    #[error("relay.max_streams requests are being answered already")]
    Saturated,
    #[error(
        "relay.max_streams_per_principal requests of this principal are being answered already"
    )]
    PrincipalSaturated,
}

/// The limit on streams that are open at once, including those that still wait for the PBX. In a
/// fleet the streams of one principal are those of all instances.
pub(crate) struct StreamLimit {
    open: Mutex<OpenStreams>,
    fleet: Option<Arc<Fleet>>,
}

struct OpenStreams {
    max: usize,
    max_per_principal: usize,
    open: usize,
    /// The number of streams of each principal that has any.
    by_principal: HashMap<PrincipalId, usize>,
}

/// One stream, given back when dropped.
pub(crate) struct StreamPermit {
    limit: Arc<StreamLimit>,
    who: PrincipalId,
    shared: Option<SharedPermit>,
}

impl StreamLimit {
    pub(crate) fn new(
        max: usize,
        max_per_principal: usize,
        fleet: Option<Arc<Fleet>>,
    ) -> Arc<Self> {
        let open = Mutex::new(OpenStreams {
            max,
            max_per_principal,
            open: 0,
            by_principal: HashMap::new(),
        });
        Arc::new(Self { open, fleet })
    }

    /// Changes the limits. Streams that are open stay open.
    pub(crate) fn resize(&self, max: usize, max_per_principal: usize) {
        let mut streams = self.lock();
        streams.max = max;
        streams.max_per_principal = max_per_principal;
    }

    /// The number of open streams.
    pub(crate) fn count(&self) -> usize {
        self.lock().open
    }

    /// The number of streams that may be open.
    pub(crate) fn max(&self) -> usize {
        self.lock().max
    }

    /// Opens a stream, without waiting for one that is free.
    ///
    /// # Errors
    /// If either limit is reached.
    ///
    /// # Cancel safety
    /// Safe: the stream is given back.
    pub(crate) async fn open(
        self: &Arc<Self>,
        who: &PrincipalId,
    ) -> Result<StreamPermit, StreamLimitError> {
        self.lock().open(who)?;
        let mut permit = StreamPermit {
            limit: Arc::clone(self),
            who: who.clone(),
            shared: None,
        };
        if let Some(fleet) = &self.fleet {
            let max = self.lock().max_per_principal;
            let permits = SharedPermits::new(fleet, "streams", &who.bytes());
            permit.shared = permits.try_take(max).await;
            if permit.shared.is_none() {
                return Err(StreamLimitError::PrincipalSaturated);
            }
        }
        Ok(permit)
    }

    fn lock(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStreams {
    fn open(&mut self, who: &PrincipalId) -> Result<(), StreamLimitError> {
        let own = self.by_principal.get(who).copied().unwrap_or(0);
        if own >= self.max_per_principal {
            return Err(StreamLimitError::PrincipalSaturated);
        }
        if self.open >= self.max {
            return Err(StreamLimitError::Saturated);
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
        self.limit.lock().close(&self.who);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn id(name: &str) -> PrincipalId {
        PrincipalId::new("https://idp.example", name)
    }

    /// Opens a stream of an instance on its own, which never waits.
    fn open(limit: &Arc<StreamLimit>, name: &str) -> Result<StreamPermit, StreamLimitError> {
        let id = id(name);
        let mut opening = pin!(limit.open(&id));
        match opening
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(opened) => opened,
            Poll::Pending => panic!("waits"),
        }
    }

    #[track_caller]
    fn check(limit: &Arc<StreamLimit>, name: &str, expected: Result<(), StreamLimitError>) {
        assert_eq!(open(limit, name).map(drop), expected);
    }

    #[test]
    fn both_limits_hold_and_ones_own_comes_first() {
        let limit = StreamLimit::new(3, 2, None);
        let alice = [
            open(&limit, "alice").unwrap(),
            open(&limit, "alice").unwrap(),
        ];
        check(&limit, "alice", Err(StreamLimitError::PrincipalSaturated));
        let _bob = open(&limit, "bob").unwrap();
        check(&limit, "bob", Err(StreamLimitError::Saturated));
        // A principal at its own limit is told so first.
        check(&limit, "alice", Err(StreamLimitError::PrincipalSaturated));
        drop(alice);
        check(&limit, "alice", Ok(()));
        check(&limit, "bob", Ok(()));
    }

    #[test]
    fn smaller_limits_count_the_streams_that_are_open() {
        let limit = StreamLimit::new(4, 4, None);
        let mut open: Vec<_> = (0..4).map(|_| open(&limit, "alice").unwrap()).collect();
        limit.resize(3, 2);
        open.pop();
        check(&limit, "alice", Err(StreamLimitError::PrincipalSaturated));
        check(&limit, "bob", Err(StreamLimitError::Saturated));
        open.pop();
        check(&limit, "alice", Err(StreamLimitError::PrincipalSaturated));
        check(&limit, "bob", Ok(()));
        open.pop();
        check(&limit, "alice", Ok(()));
    }

    #[test]
    fn a_principal_without_streams_is_dropped() {
        let limit = StreamLimit::new(100, 2, None);
        for number in 0..1_000 {
            check(&limit, &number.to_string(), Ok(()));
        }
        let streams = limit.lock();
        assert_eq!((streams.open, streams.by_principal.len()), (0, 0));
    }
}
