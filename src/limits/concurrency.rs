//! A number of permits that can be changed while some are out.
//!
//! Knows how many there are. Does not know what for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits of one kind. Those who wait are served in the order they came.
pub(crate) struct Permits {
    semaphore: Arc<Semaphore>,
    total: Mutex<usize>,
}

impl Permits {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(total)),
            total: Mutex::new(total),
        }
    }

    /// A permit, if one is free now.
    pub(crate) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).try_acquire_owned().ok()
    }

    /// A permit, once one is free.
    ///
    /// # Cancel safety
    /// Safe: the place in the queue is given up.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).acquire_owned().await.ok()
    }

    /// How many are out; after [`Permits::resize`] to fewer than were out, no more than there are.
    pub(crate) fn taken(&self) -> usize {
        let total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        total.saturating_sub(self.semaphore.available_permits())
    }

    /// Changes how many there are. Where that is fewer than are out, the surplus goes as it comes back, before anybody
    /// who waits gets one. Call it within a tokio runtime.
    pub(crate) fn resize(&self, total: usize) {
        let mut old = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        if total > *old {
            self.semaphore.add_permits(total - *old);
        } else {
            let surplus = *old - total;
            let out = surplus - self.semaphore.forget_permits(surplus);
            let semaphore = Arc::clone(&self.semaphore);
            if let Some(out) = u32::try_from(out).ok().filter(|out| *out > 0) {
                tokio::spawn(async move {
                    if let Ok(permits) = semaphore.acquire_many(out).await {
                        permits.forget();
                    }
                });
            }
        }
        *old = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fewer_permits_count_those_that_are_out() {
        let permits = Permits::new(3);
        let mut out = vec![
            permits.try_take().unwrap(),
            permits.try_take().unwrap(),
            permits.try_take().unwrap(),
        ];
        assert_eq!(permits.taken(), 3);
        permits.resize(1);
        // The task that collects the surplus comes to its turn.
        tokio::task::yield_now().await;
        out.pop();
        out.pop();
        tokio::task::yield_now().await;
        assert!(permits.try_take().is_none());
        assert_eq!(permits.taken(), 1);
        out.pop();
        tokio::task::yield_now().await;
        let one = permits.try_take();
        assert!(one.is_some() && permits.try_take().is_none());
        permits.resize(2);
        assert_eq!(permits.taken(), 1);
        assert!(permits.try_take().is_some());
        drop(one);
        assert_eq!(permits.taken(), 0);
    }
}
