//! The store: one connection that is used by all, and given up at the first failure.
//!
//! Knows whether the store answers. Does not know what is asked. A store that is slow, full, or
//! answers what it should not counts as away, as one that cannot be reached: a call fails at once
//! then, and nobody waits for a store that is not there.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ScriptInvocation};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

use super::connect::StoreAddress;
use super::settings::FleetSettings;

/// The shared store does not answer, or not as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the shared store is away")]
pub(crate) struct StoreAway;

/// The store of a fleet.
pub(super) struct Store {
    address: StoreAddress,
    timeout: Duration,
    connection: ArcSwapOption<MultiplexedConnection>,
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
            lost: Notify::new(),
        })
    }

    pub(super) fn is_there(&self) -> bool {
        self.connection.load().is_some()
    }

    /// Runs a script.
    ///
    /// # Errors
    /// If the store is away. A call that was sent may have been carried out.
    ///
    /// # Cancel safety
    /// The call may or may not have been carried out.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreAway> {
        let connection = self.connection.load_full().ok_or(StoreAway)?;
        self.run_on(&connection, script).await
    }

    async fn run_on<T: FromRedisValue>(
        &self,
        connection: &Arc<MultiplexedConnection>,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreAway> {
        let mut own = MultiplexedConnection::clone(connection);
        let why = match timeout(self.timeout, script.invoke_async(&mut own)).await {
            Ok(Ok(answer)) => return Ok(answer),
            // The text of an answer may repeat what was sent; its kind is one of a few words.
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => "no answer within shared.timeout_ms".to_owned(),
        };
        self.give_up(Some(connection), &why);
        Err(StoreAway)
    }

    /// Counts the store as away from now on, and says so once.
    pub(super) fn give_up(&self, failed: Option<&Arc<MultiplexedConnection>>, why: &str) {
        let current = self.connection.load_full();
        let Some(current) = current else { return };
        if failed.is_some_and(|failed| !Arc::ptr_eq(failed, &current)) {
            return;
        }
        self.connection.store(None);
        self.lost.notify_one();
        warn!(
            why,
            advice = "look at the store at shared.url; meanwhile each instance goes on alone, with the last shared token",
            "the shared store is away"
        );
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
        let connection = Arc::new(connection.map_err(|error| error.to_string())?);
        let mut own = MultiplexedConnection::clone(&connection);
        let answer = timeout(self.timeout, greeting.invoke_async(&mut own)).await;
        let answer = answer.map_err(|_| "it does not answer in time".to_owned())?;
        let answer =
            answer.map_err(|error| format!("it does not run scripts: {}", error.category()))?;
        greet(answer).map_err(|error| error.to_string())?;
        self.connection.store(Some(connection));
        info!("the shared store is there");
        Ok(())
    }
}
