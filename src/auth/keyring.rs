//! The keys of one issuer: the configured ones, and the published set, which changes.
//!
//! Knows the current keys, and how to request newer ones. Does not know where they come from: the
//! refresher of the set publishes it here.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::keys::VerifyingKey;

/// Numbers each state of the keys, unique within this process.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Called with the keys that are about to be in force.
type KeyListener = Box<dyn Fn(&[VerifyingKey]) + Send + Sync>;

/// The keys of one issuer. Clones share them.
#[derive(Clone)]
pub struct KeyRing(Arc<KeyRingState>);

struct KeyRingState {
    fixed: Vec<VerifyingKey>,
    /// Whether the issuer also publishes a set.
    is_published: bool,
    current: ArcSwap<CurrentKeys>,
    /// Held while the keys are changed.
    listener: Mutex<Option<KeyListener>>,
    /// Counts the requests for a newer set, made for tokens whose key is unknown.
    requested: watch::Sender<u64>,
    /// The last request that has been dealt with.
    completed: watch::Sender<u64>,
}

/// The keys in force.
pub(crate) struct CurrentKeys {
    pub(crate) keys: Vec<VerifyingKey>,
    /// The number of configured keys; the rest are published.
    fixed: usize,
    /// True if the issuer publishes keys and none have been loaded yet.
    pub(crate) is_missing: bool,
    /// Changes with every change of the keys.
    pub(crate) generation: u64,
}

impl KeyRing {
    /// Makes a ring whose keys never change.
    #[must_use]
    pub fn fixed(keys: Vec<VerifyingKey>) -> Self {
        Self::with(keys, false)
    }

    /// Makes a ring with configured keys beside a published set.
    #[must_use]
    pub fn with_set(fixed: Vec<VerifyingKey>) -> Self {
        Self::with(fixed, true)
    }

    fn with(fixed: Vec<VerifyingKey>, is_missing: bool) -> Self {
        let current = CurrentKeys {
            fixed: fixed.len(),
            keys: fixed.clone(),
            is_missing,
            generation: GENERATION.fetch_add(1, Relaxed),
        };
        Self(Arc::new(KeyRingState {
            fixed,
            is_published: is_missing,
            current: ArcSwap::from_pointee(current),
            listener: Mutex::default(),
            requested: watch::Sender::new(0),
            completed: watch::Sender::new(0),
        }))
    }

    /// Replaces the published set.
    pub fn publish(&self, set: Vec<VerifyingKey>) {
        let mut keys = self.0.fixed.clone();
        keys.extend(set);
        let listener = self
            .0
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            listener(&keys);
        }
        self.0.current.store(Arc::new(CurrentKeys {
            fixed: self.0.fixed.len(),
            keys,
            is_missing: false,
            generation: GENERATION.fetch_add(1, Relaxed),
        }));
    }

    /// Calls the listener with the current keys, and then before each change, so before a token is
    /// verified with the new keys.
    pub(crate) fn set_listener(&self, listener: impl Fn(&[VerifyingKey]) + Send + Sync + 'static) {
        let mut before = self
            .0
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listener(&self.current().keys);
        *before = Some(Box::new(listener));
    }

    /// Copies the published set of another ring, if it has one.
    pub(crate) fn copy_published_keys(&self, other: &Self) {
        let other = other.current();
        if let (false, Some(set)) = (other.is_missing, other.keys.get(other.fixed..)) {
            self.publish(set.to_vec());
        }
    }

    /// Returns true if both are the same ring, not only equal ones.
    pub(crate) fn is_same_ring(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns true if the issuer also publishes a set, which may have newer keys.
    pub(crate) fn is_published(&self) -> bool {
        self.0.is_published
    }

    /// The configured keys.
    #[must_use]
    pub fn configured(&self) -> &[VerifyingKey] {
        &self.0.fixed
    }

    /// Returns true if a published set is expected and none has been loaded yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.0.current.load().is_missing
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<CurrentKeys>> {
        self.0.current.load()
    }

    /// Requests a newer set. Returns once a fetch that began after the call has ended, or at once
    /// if it is too early to fetch again. A set that was already on its way does not count: it may
    /// be older than the key.
    ///
    /// # Cancel safety
    /// Safe: the request stays.
    pub(crate) async fn renew(&self) {
        if !self.0.is_published {
            return;
        }
        let mut completed = self.0.completed.subscribe();
        let mut request = 0;
        self.0.requested.send_modify(|requested| {
            *requested += 1;
            request = *requested;
        });
        // The sender is in the ring itself, so it is never closed.
        let _ = completed.wait_for(|completed| *completed >= request).await;
    }

    /// Returns when a request for a newer set is pending.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn renewal_requested(&self) {
        let completed = *self.0.completed.borrow();
        let mut requested = self.0.requested.subscribe();
        // The sender is in the ring itself, so it is never closed.
        let _ = requested.wait_for(|requested| *requested > completed).await;
    }

    /// The latest request. A fetch that starts now completes it and all earlier ones.
    pub(crate) fn last_request(&self) -> u64 {
        *self.0.requested.borrow()
    }

    /// Wakes the callers whose requests, up to this one, have been dealt with.
    pub(crate) fn complete_requests(&self, request: u64) {
        self.0.completed.send_replace(request);
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyRing")
            .field("configured", &self.0.fixed)
            .field("is_published", &self.0.is_published)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_over(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        future.poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn a_set_already_on_its_way_does_not_complete_a_request() {
        let ring = KeyRing::with_set(Vec::new());
        let (mut early, mut late) = (pin!(ring.renew()), pin!(ring.renew()));
        assert!(!is_over(pin!(ring.renewal_requested())));
        assert!(!is_over(early.as_mut()));
        assert!(is_over(pin!(ring.renewal_requested())));
        let fetched = ring.last_request();
        assert!(!is_over(late.as_mut()));
        ring.complete_requests(fetched);
        assert!(is_over(early.as_mut()) && !is_over(late.as_mut()));
        assert!(is_over(pin!(ring.renewal_requested())));
        ring.complete_requests(ring.last_request());
        assert!(is_over(late.as_mut()));
        assert!(!is_over(pin!(ring.renewal_requested())));
    }

    #[test]
    fn fixed_keys_are_never_renewed() {
        assert!(is_over(pin!(KeyRing::fixed(Vec::new()).renew())));
    }
}
