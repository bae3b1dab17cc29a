//! The published keys of issuers: fetches them, refreshes them, and keeps them through an outage.
//!
//! Knows when to fetch a set, and that the last good set stays until a better one arrives. Does not
//! know the contents of a set ([`document`]) or how it is fetched ([`fetch`]).

pub mod document;
mod fetch;
pub mod source;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use self::fetch::Fetcher;
use self::source::KeySource;
use crate::auth::KeyRing;

/// The first delay after a failed fetch. It doubles with each failure, up to half of
/// `KeySource::min_interval`.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Fetches the published keys of an issuer once, as a refresher does when it starts.
///
/// # Errors
/// A sentence for an operator: no keys were fetched, and the ring is unchanged.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn fetch_once(source: &KeySource, ring: &KeyRing) -> Result<(), String> {
    let set = Fetcher::new(source)?.fetch().await?;
    let read = document::read(&set, &source.algorithms).map_err(|error| error.to_string())?;
    ring.publish(read.keys);
    Ok(())
}

/// Keeps the published keys of one issuer fresh until it is dropped.
pub(crate) struct KeySetRefresher {
    source: KeySource,
    ring: KeyRing,
    had: Arc<Mutex<Option<Instant>>>,
    _end: DropGuard,
}

impl KeySetRefresher {
    /// Starts to refresh a ring. If an `old` refresher fetched the same set, its keys are kept.
    /// Call it within a tokio runtime.
    ///
    /// # Errors
    /// A sentence for an operator: the HTTP client cannot be built.
    pub(crate) fn start(
        source: &KeySource,
        ring: &KeyRing,
        old: Option<&Self>,
    ) -> Result<Self, String> {
        let fetcher = Fetcher::new(source)?;
        let had = match old.filter(|old| old.source.shares_keys_with(source)) {
            Some(old) => {
                ring.copy_published_keys(&old.ring);
                Arc::clone(&old.had)
            }
            None => Arc::default(),
        };
        let end = CancellationToken::new();
        let work = RefreshTask {
            fetcher,
            source: source.clone(),
            ring: ring.clone(),
            had: Arc::clone(&had),
            last: Vec::new(),
            failures: 0,
        };
        let ended = end.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = work.run() => {}
            }
        });
        Ok(Self {
            source: source.clone(),
            ring: ring.clone(),
            had,
            _end: end.drop_guard(),
        })
    }

    /// The name of the issuer.
    pub(crate) fn issuer(&self) -> &str {
        &self.source.issuer
    }

    /// The time since the current set was last fetched, even if unchanged; `None` before the first.
    pub(crate) fn age(&self) -> Option<Duration> {
        let had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        had.map(|had| had.elapsed())
    }
}

/// The background task of a refresher.
struct RefreshTask {
    fetcher: Fetcher,
    source: KeySource,
    ring: KeyRing,
    had: Arc<Mutex<Option<Instant>>>,
    /// The current set, as it was received.
    last: Vec<u8>,
    /// The number of failed fetches in a row.
    failures: u32,
}

impl RefreshTask {
    async fn run(mut self) {
        // An unknown key triggers a fetch at once, but at most once per interval. A scheduled
        // refresh does not count towards that.
        let mut may_ask = Instant::now();
        loop {
            self.renew().await;
            let next = Instant::now() + self.pause();
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    () = self.ring.renewal_requested() => {
                        let now = Instant::now();
                        if now >= may_ask {
                            may_ask = now + self.source.min_interval;
                            break;
                        }
                        self.ring.complete_requests(self.ring.last_request());
                    }
                }
            }
        }
    }

    /// Fetches the set once, and puts it in force if it is valid. A request that arrives meanwhile
    /// waits for the next fetch.
    async fn renew(&mut self) {
        let request = self.ring.last_request();
        let fetched = self.fetcher.fetch().await;
        let judged = fetched.and_then(|set| self.judge(set));
        let issuer = &self.source.issuer;
        match judged {
            Ok(()) => {
                if std::mem::take(&mut self.failures) > 0 {
                    info!(issuer, "the keys of the issuer can be fetched again");
                }
                *self.had.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // Logs the first failure of an outage, then with growing gaps while it lasts.
                if self.failures.is_power_of_two() {
                    let advice = match self.ring.is_missing() {
                        true => "its tokens get the status 503 until they can be fetched",
                        false => "the keys fetched last stay in force",
                    };
                    warn!(
                        issuer,
                        error, advice, "the keys of the issuer cannot be fetched"
                    );
                }
            }
        }
        self.ring.complete_requests(request);
    }

    fn judge(&mut self, set: Vec<u8>) -> Result<(), String> {
        if set == self.last {
            return Ok(());
        }
        let read =
            document::read(&set, &self.source.algorithms).map_err(|error| error.to_string())?;
        for key in &read.skipped {
            info!(issuer = self.source.issuer, error = %key, "a key of the issuer is skipped");
        }
        info!(
            issuer = self.source.issuer,
            keys = read.keys.len(),
            "the keys of the issuer are loaded"
        );
        self.ring.publish(read.keys);
        self.last = set;
        Ok(())
    }

    fn pause(&self) -> Duration {
        match self.failures.checked_sub(1) {
            None => self.source.refresh,
            Some(before) => {
                let pause = FIRST_RETRY_DELAY.saturating_mul(1 << before.min(16));
                let most = self.source.refresh.min(self.source.min_interval / 2);
                pause.min(most)
            }
        }
    }
}
