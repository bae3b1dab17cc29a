//! The published keys of issuers: got, kept fresh, and kept through an outage.
//!
//! Knows when to ask for a set, and that the last good one stays until there is a better one. Does not know what is in a
//! set ([`document`]) or how it is got ([`fetch`]).

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

/// The first pause after a set could not be had; it doubles up to half of the interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Gets the published keys of an issuer once, as a keeper does at its start.
///
/// # Errors
/// A sentence for an operator: there are none, and the ring is as it was.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn fetch_once(source: &KeySource, ring: &KeyRing) -> Result<(), String> {
    let set = Fetcher::new(source)?.fetch().await?;
    let read = document::read(&set, &source.algorithms).map_err(|error| error.to_string())?;
    ring.publish(read.keys);
    Ok(())
}

/// Keeps the published keys of one issuer, for as long as it lives.
pub(crate) struct Keeper {
    source: KeySource,
    ring: KeyRing,
    had: Arc<Mutex<Option<Instant>>>,
    _end: DropGuard,
}

impl Keeper {
    /// Begins to keep a ring. An `old` keeper of the same set passes on what it has. Call it within a tokio runtime.
    ///
    /// # Errors
    /// A sentence for an operator: the way to the issuer cannot be built.
    pub(crate) fn start(
        source: &KeySource,
        ring: &KeyRing,
        old: Option<&Self>,
    ) -> Result<Self, String> {
        let fetcher = Fetcher::new(source)?;
        let had = match old.filter(|old| old.source.has_the_keys_of(source)) {
            Some(old) => {
                ring.take_over(&old.ring);
                Arc::clone(&old.had)
            }
            None => Arc::default(),
        };
        let end = CancellationToken::new();
        let work = Work {
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

    /// Whose keys they are.
    pub(crate) fn issuer(&self) -> &str {
        &self.source.issuer
    }

    /// How long ago the set in force was had, or had again; `None` before the first.
    pub(crate) fn age(&self) -> Option<Duration> {
        let had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        had.map(|had| had.elapsed())
    }
}

/// What a keeper does.
struct Work {
    fetcher: Fetcher,
    source: KeySource,
    ring: KeyRing,
    had: Arc<Mutex<Option<Instant>>>,
    /// The set in force, as it came.
    last: Vec<u8>,
    /// How often in a row a set could not be had.
    failures: u32,
}

impl Work {
    async fn run(mut self) {
        // A new key may be asked for at once, and then once per interval. What is due by itself does not count.
        let mut may_ask = Instant::now();
        loop {
            self.renew().await;
            let next = Instant::now() + self.pause();
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    () = self.ring.wanted() => {
                        let now = Instant::now();
                        if now >= may_ask {
                            may_ask = now + self.source.min_interval;
                            break;
                        }
                        self.ring.answer(self.ring.question());
                    }
                }
            }
        }
    }

    /// Gets the set once, and puts it in force if it is good. Whoever asks meanwhile waits for the next.
    async fn renew(&mut self) {
        let question = self.ring.question();
        let fetched = self.fetcher.fetch().await;
        let judged = fetched.and_then(|set| self.judge(set));
        let issuer = &self.source.issuer;
        match judged {
            Ok(()) => {
                if std::mem::take(&mut self.failures) > 0 {
                    info!(issuer, "the keys of the issuer can be had again");
                }
                *self.had.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // Once for each outage, and again while it lasts, more and more rarely.
                if self.failures.is_power_of_two() {
                    let advice = match self.ring.is_missing() {
                        true => "its tokens are answered with 503 until they can be had",
                        false => "the keys that were had last stay in force",
                    };
                    warn!(
                        issuer,
                        error, advice, "the keys of the issuer cannot be had"
                    );
                }
            }
        }
        self.ring.answer(question);
    }

    fn judge(&mut self, set: Vec<u8>) -> Result<(), String> {
        if set == self.last {
            return Ok(());
        }
        let read =
            document::read(&set, &self.source.algorithms).map_err(|error| error.to_string())?;
        for key in &read.skipped {
            info!(issuer = self.source.issuer, error = %key, "a key of the issuer is left out");
        }
        info!(
            issuer = self.source.issuer,
            keys = read.keys.len(),
            "the issuer has these keys"
        );
        self.ring.publish(read.keys);
        self.last = set;
        Ok(())
    }

    fn pause(&self) -> Duration {
        match self.failures.checked_sub(1) {
            None => self.source.refresh,
            Some(before) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << before.min(16));
                let most = self.source.refresh.min(self.source.min_interval / 2);
                pause.min(most)
            }
        }
    }
}
