//! The store: one connection that is used by all, and given up at the first failure.
//!
//! Knows whether the store answers. Does not know what is asked. A store that is slow, or answers
//! what it should not, counts as away, as one that cannot be reached: a call fails at once then, and
//! nobody waits for a store that is not there. A store that refuses one call, since a value is not
//! what it should be, stays: the look of each beat decides whether it is of use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{ErrorKind, FromRedisValue, ScriptInvocation};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

use super::connect::{StoreAddress, StoreConnection};
use super::settings::FleetSettings;

/// The shared store does not answer, or not as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the shared store is away")]
pub(crate) struct StoreAway;

/// The store of a fleet.
pub(super) struct Store {
    address: StoreAddress,
    timeout: Duration,
    connection: ArcSwapOption<StoreConnection>,
    /// The operator was told that the store is there.
    is_announced: AtomicBool,
    /// Wakes the task that connects.
    lost: Notify,
}

impl Store {
    /// # Errors
    /// A sentence for an operator.
    pub(super) fn new(settings: &FleetSettings) -> Result<Self, String> {
        Ok(Self {
            address: StoreAddress::new(settings)?,
            timeout: settings.timeout,
            connection: ArcSwapOption::empty(),
            is_announced: AtomicBool::new(false),
            lost: Notify::new(),
        })
    }

    pub(super) fn is_there(&self) -> bool {
        self.connection.load().is_some()
    }

    /// Runs a script.
    ///
    /// # Errors
    /// If the store is away, or refuses this call. A call that was sent may have been carried out.
    ///
    /// # Cancel safety
    /// The call may or may not have been carried out.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreAway> {
        let connection = self.connection.load_full().ok_or(StoreAway)?;
        match self.run_on(&connection, script).await {
            Ok(answer) => Ok(answer),
            Err(Failure { is_of_call, why }) => {
                let current = self.connection.load_full();
                let is_current = current.is_some_and(|current| Arc::ptr_eq(&current, &connection));
                if is_current && !is_of_call {
                    self.give_up(&why);
                }
                Err(StoreAway)
            }
        }
    }

    async fn run_on<T: FromRedisValue>(
        &self,
        connection: &StoreConnection,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        let mut requests = connection.requests();
        match timeout(self.timeout, script.invoke_async(&mut requests)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure {
                is_of_call: matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension),
                // The text of an answer may repeat what was sent; its kind is one of a few words.
                why: error.category().to_owned(),
            }),
            Err(_) => Err(Failure {
                is_of_call: false,
                why: "no answer within shared.timeout_ms".to_owned(),
            }),
        }
    }

    /// Counts the store as away from now on, and says so once.
    pub(super) fn give_up(&self, why: &str) {
        if self.connection.swap(None).is_none() {
            return;
        }
        self.lost.notify_one();
        if self.is_announced.swap(false, Relaxed) {
            warn!(
                why,
                advice = "look at the store at shared.url; meanwhile each instance goes on alone, with the last shared token",
                "the shared store is away"
            );
        }
    }

    /// Returns when the store has been given up.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Connects once, and has `greet` make sure that the store is the right one.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub(super) async fn connect<E: ToString>(
        &self,
        greeting: &ScriptInvocation<'_>,
        greet: impl FnOnce(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), String> {
        let connection = self.address.connect().await;
        let connection = connection.map_err(|error| error.to_string())?;
        let answer = self.run_on(&connection, greeting).await;
        let answer = answer.map_err(|failure| failure.why)?;
        greet(answer).map_err(|error| error.to_string())?;
        self.connection.store(Some(Arc::new(connection)));
        Ok(())
    }

    /// Notes that the store has proved to be of use, and says so once.
    pub(super) fn announce(&self) {
        if !self.is_announced.swap(true, Relaxed) {
            info!("the shared store is there");
        }
    }
}

/// The reason why a call failed.
struct Failure {
    /// The store answers, but refuses this call.
    is_of_call: bool,
    why: String,
}
