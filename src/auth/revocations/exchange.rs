//! The exchange of revocations with the other instances of a fleet.
//!
//! Knows that each instance keeps a whole list of its own, and that lists are only ever added to: a
//! store that was emptied takes nothing back. Does not know how the store is reached.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::select;
use tokio::sync::{Notify, watch};
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

/// The place of this instance in the exchange. It begins anew with each contact to the store, and
/// when the store has less than before: an older state of it may have come back.
#[derive(Default)]
struct Progress {
    contact: u64,
    /// The time of the mark of the store.
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
        let (changed, met) = (Arc::clone(&self.changed), self.met.clone());
        tokio::spawn(async move { exchange(list, &fleet, &changed, &met).await });
    }

    /// Returns when the entries of the fleet are in force, for the first time.
    pub(crate) async fn meet(&self) {
        let _ = self.met.subscribe().wait_for(|met| *met).await;
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

async fn exchange(
    list: Weak<Revocations>,
    fleet: &Arc<Fleet>,
    changed: &Notify,
    met: &watch::Sender<bool>,
) {
    let values = SharedValues::new(fleet);
    let mut state = fleet.watch();
    let (mut progress, mut is_failing) = (Progress::default(), false);
    loop {
        let now = *state.borrow_and_update();
        if now.contact > 0 {
            let Some(list) = list.upgrade() else { return };
            match step(&list, &values, now, &mut progress).await {
                Ok(()) => is_failing = false,
                Err(error) => {
                    if !is_failing {
                        warn!(%error, "revocations of other instances cannot be written into auth.revocation_file; they may not hold here");
                    }
                    is_failing = true;
                    drop(list);
                    sleep(RETRY).await;
                    continue;
                }
            }
            met.send_replace(true);
        }
        select! {
            changed = state.changed() => if changed.is_err() { return },
            () = changed.notified() => {}
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
    let is_same = (progress.contact, progress.marked) == (store.contact, store.marked);
    if !is_same || store.values < progress.read {
        *progress = Progress {
            contact: store.contact,
            marked: store.marked,
            ..Progress::default()
        };
    }
    let (mut found, mut place) = (Vec::new(), progress.read);
    while place < store.values {
        let Ok((some, behind)) = values.read(place).await else {
            return Ok(());
        };
        if behind == place {
            break;
        }
        (found, place) = (found.into_iter().chain(some).collect(), behind);
    }
    let lines = found.iter().filter_map(Secret::expose_str).map(hash);
    let stored: Vec<_> = lines.collect();
    if !found.is_empty() {
        let own = Arc::clone(list);
        let taken = spawn_blocking(move || own.take_over(&found)).await;
        let taken = taken.unwrap_or(Ok(0))?;
        if taken > 0 {
            info!(
                entries = taken,
                "revocations of another instance are in force"
            );
        }
    }
    progress.read = place;
    progress.stored.extend(stored);
    let (own, stored) = (Arc::clone(list), progress.stored.clone());
    let beside = spawn_blocking(move || own.lines_beside(&stored)).await;
    let (_, new) = beside.unwrap_or_else(|_| Ok(Default::default()))?;
    let lines: Vec<_> = new.iter().map(String::as_str).collect();
    if lines.is_empty() {
        return Ok(());
    }
    if let Ok(without_room) = values.add(&lines).await {
        progress.stored.extend(lines.into_iter().map(hash));
        if without_room > 0 {
            warn!(
                without_room,
                advice = "take out the entries of tokens that have expired, as docs/fleet.md tells",
                "the store has no room for more revocations; they hold at this instance alone"
            );
        }
    }
    Ok(())
}

fn hash(line: &str) -> u128 {
    XxHash3_128::oneshot(line.as_bytes())
}
