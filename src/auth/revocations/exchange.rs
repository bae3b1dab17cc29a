//! The exchange of revocations with the other instances of a fleet.
//!
//! Knows that each instance keeps a whole list of its own, and that lists are only ever added to: a
//! store that was emptied takes nothing back. Does not know how the store is reached.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};
use twox_hash::XxHash3_128;

use super::entries::Revocation;
use super::{Revocations, RevokeError, read};
use crate::fleet::values::SharedValues;
use crate::fleet::{Fleet, StoreState};
use crate::secret::Secret;

/// The pause before the own file is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The place of this instance in the exchange.
#[derive(Default)]
struct Progress {
    /// The time of the mark of the store that this is about.
    marked: u64,
    /// The values of the store that were read.
    read: u64,
    /// Hashes of the lines that the store has.
    stored: HashSet<u128>,
}

impl Revocations {
    /// Exchanges entries for as long as the list is in use. Call it within a tokio runtime.
    pub(crate) fn share(self: &Arc<Self>, fleet: &Arc<Fleet>) {
        let (list, fleet) = (Arc::downgrade(self), Arc::clone(fleet));
        tokio::spawn(async move { exchange(list, fleet).await });
    }

    /// The hashes of all lines of the file, and those lines that `stored` lacks.
    fn lines_beside(
        &self,
        stored: &HashSet<u128>,
    ) -> Result<(HashSet<u128>, Vec<String>), RevokeError> {
        let text = match &self.path {
            Some(path) if path.try_exists()? => read(path)?,
            _ => String::new(),
        };
        let (mut all, mut beside) = (HashSet::new(), Vec::new());
        for line in text.lines().map(str::trim) {
            // The list as a whole was checked when it was put in force.
            let Ok(entry) = Revocation::parse(line) else {
                continue;
            };
            let line = entry.line();
            if all.insert(hash(&line)) && !stored.contains(&hash(&line)) {
                beside.push(line);
            }
        }
        Ok((all, beside))
    }

    /// Takes over entries that the list does not have.
    fn take_over(&self, values: &[Secret]) -> Result<usize, RevokeError> {
        let (own, _) = self.lines_beside(&HashSet::new())?;
        let entries = values.iter().filter_map(Secret::expose_str);
        let entries = entries.filter_map(|line| Revocation::parse(line).ok());
        let new: Vec<_> = entries
            .filter(|entry| !own.contains(&hash(&entry.line())))
            .collect();
        if !new.is_empty() {
            self.add(&new)?;
        }
        Ok(new.len())
    }
}

async fn exchange(list: Weak<Revocations>, fleet: Arc<Fleet>) {
    let values = SharedValues::new(&fleet);
    let mut state = fleet.watch();
    let mut progress = Progress::default();
    loop {
        let Some(list) = list.upgrade() else { return };
        let now = *state.borrow_and_update();
        if now.contact > 0 {
            if now.marked != progress.marked {
                progress = Progress {
                    marked: now.marked,
                    ..Progress::default()
                };
            }
            if let Err(error) = step(&list, &values, now, &mut progress).await {
                warn!(%error, "revocations of other instances cannot be written into auth.revocation_file");
                sleep(RETRY).await;
                continue;
            }
        }
        select! {
            changed = state.changed() => if changed.is_err() { return },
            () = list.changed.notified() => {}
        }
    }
}

/// Takes over what is new in the store, then adds what is new here. A store that goes away is met
/// again at the next change.
async fn step(
    list: &Arc<Revocations>,
    values: &SharedValues,
    store: StoreState,
    progress: &mut Progress,
) -> Result<(), RevokeError> {
    while progress.read < store.values {
        let Ok((found, behind)) = values.read(progress.read).await else {
            return Ok(());
        };
        if behind == progress.read {
            break;
        }
        let lines = found.iter().filter_map(Secret::expose_str).map(hash);
        progress.stored.extend(lines);
        let own = Arc::clone(list);
        let taken = spawn_blocking(move || own.take_over(&found)).await;
        let taken = taken.unwrap_or(Ok(0))?;
        if taken > 0 {
            info!(
                entries = taken,
                "revocations of another instance are in force"
            );
        }
        progress.read = behind;
    }
    let (own, stored) = (Arc::clone(list), progress.stored.clone());
    let beside = spawn_blocking(move || own.lines_beside(&stored)).await;
    let (_, new) = beside.unwrap_or_else(|_| Ok(Default::default()))?;
    let lines: Vec<_> = new.iter().map(String::as_str).collect();
    if !lines.is_empty() && values.add(&lines).await.is_ok() {
        progress.stored.extend(lines.into_iter().map(hash));
    }
    Ok(())
}

fn hash(line: &str) -> u128 {
    XxHash3_128::oneshot(line.as_bytes())
}
