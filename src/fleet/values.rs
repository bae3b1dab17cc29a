//! A list of values that only grows, in all instances.
//!
//! Knows how values are added, each once, and how they are read from a place on. Does not know what
//! they mean. The list of a store that was emptied begins anew: whoever knows values adds them
//! again.

use std::sync::Arc;

use super::Fleet;
use super::store::StoreAway;
use crate::secret::Secret;

/// The most values: as many as a list of revocations may have.
const MAX_VALUES: usize = 100_000;
/// The values that are sent or read at once.
const AT_ONCE: usize = 500;
const PLACE: &str = "value";

/// The list.
pub(crate) struct SharedValues(Arc<Fleet>);

impl SharedValues {
    pub(crate) fn new(fleet: &Arc<Fleet>) -> Self {
        Self(Arc::clone(fleet))
    }

    /// Adds those values that the list does not have yet. Gives the number of those that found no
    /// room.
    ///
    /// # Errors
    /// If the store is away; some of the values may have been added.
    pub(crate) async fn add(&self, values: &[&str]) -> Result<u64, StoreAway> {
        let (fleet, mut without_room) = (&self.0, 0);
        for values in values.chunks(AT_ONCE) {
            let mut call = fleet.scripts.publish.key(fleet.key("ids"));
            call.key(fleet.key("values")).arg(MAX_VALUES);
            for value in values {
                call.arg(fleet.seal.name(PLACE, value.as_bytes()));
                call.arg(fleet.seal(PLACE, value.as_bytes())?);
            }
            without_room += fleet.store.run::<u64>(&call).await?;
        }
        Ok(without_room)
    }

    /// Some values from a place on, and the place behind them. A value that cannot be opened is
    /// left out.
    ///
    /// # Errors
    /// If the store is away.
    pub(crate) async fn read(&self, from: u64) -> Result<(Vec<Secret>, u64), StoreAway> {
        let fleet = &self.0;
        let mut call = fleet.scripts.range.key(fleet.key("values"));
        call.arg(from).arg(from + AT_ONCE as u64 - 1);
        let sealed: Vec<Vec<u8>> = fleet.store.run(&call).await?;
        let behind = from + sealed.len() as u64;
        let values = sealed
            .iter()
            .filter_map(|sealed| fleet.seal.open(PLACE, sealed));
        Ok((values.collect(), behind))
    }
}
