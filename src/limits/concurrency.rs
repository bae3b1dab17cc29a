//! A concurrency limit: a number of permits, which can be changed while some are out.
//!
//! Knows the number of permits. Does not know what a permit is for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of permits. Tasks that wait for one are served in the order in which they came.
pub(crate) struct ConcurrencyLimit {
    semaphore: Arc<Semaphore>,
    total: Mutex<usize>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(total)),
            total: Mutex::new(total),
        }
    }

    /// Takes a permit if one is free now.
    pub(crate) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).try_acquire_owned().ok()
    }

    /// Takes a permit, and waits until one is free.
    ///
    /// # Cancel safety
    /// Safe: the place in the queue is given up.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).acquire_owned().await.ok()
    }

    /// The number of permits that are out. After [`ConcurrencyLimit::resize`] to fewer than are
    /// out, it is the new number until the surplus has come back.
    pub(crate) fn taken(&self) -> usize {
        let total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        total.saturating_sub(self.semaphore.available_permits())
    }

    /// The number of permits.
    pub(crate) fn total(&self) -> usize {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the number of permits. If more are out, the surplus is withdrawn as it comes back,
    /// before a waiting task gets one. Call it within a tokio runtime.
    pub(crate) fn resize(&self, total: usize) {
        let mut old = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        if total > *old {
            self.semaphore.add_permits(total - *old);
        } else {
            let surplus = *old - total;
            // Free permits go at once. A task waits in the semaphore's queue for the rest, so that
            // they reach it before tasks that come later.
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
    async fn a_smaller_limit_counts_the_permits_that_are_out() {
        let limit = ConcurrencyLimit::new(3);
        let mut out = vec![
            limit.try_take().unwrap(),
            limit.try_take().unwrap(),
            limit.try_take().unwrap(),
        ];
        assert_eq!(limit.taken(), 3);
        limit.resize(1);
        // Lets the task that collects the surplus run.
        tokio::task::yield_now().await;
        out.pop();
        out.pop();
        tokio::task::yield_now().await;
        assert!(limit.try_take().is_none());
        assert_eq!(limit.taken(), 1);
        out.pop();
        tokio::task::yield_now().await;
        let one = limit.try_take();
        assert!(one.is_some() && limit.try_take().is_none());
        limit.resize(2);
        assert_eq!(limit.taken(), 1);
        assert!(limit.try_take().is_some());
        drop(one);
        assert_eq!(limit.taken(), 0);
    }
}
