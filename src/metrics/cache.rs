//! What is counted of recordings in memory.
//!
//! Knows the words for what happens to them. Does not know when it happens.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::words::{Labels, Words};

/// How a request was served without a read of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The bytes were there.
    Cache,
    /// They were being read for somebody else.
    Joined,
    /// No bytes were needed, and what the answer says was known.
    Known,
}

/// Why a recording left memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// Nobody had listened for `cache.keep_s`.
    Idle,
    /// It had been there for `cache.max_age_s`.
    Age,
    /// Another one needed the room.
    Room,
    /// The operator said so.
    Deleted,
    /// A reload changed its PBX.
    Reload,
}

/// What became of a download that broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mend {
    /// It went on where it had broken off.
    Mended,
    /// The PBX did not give it out again.
    Failed,
    /// The PBX gave out something else.
    Differs,
}

impl Metrics {
    /// Counts a request that was served without a read of its own.
    pub(crate) fn hit(&self, hit: Hit) {
        self.hits.count(hit);
    }

    /// Counts a recording that left memory.
    pub(crate) fn evicted(&self, eviction: Eviction) {
        self.evictions.count(eviction);
    }
}

pub(super) fn hits(registry: &mut Registry) -> Words<Hit, 3> {
    let words = [
        (Hit::Cache, "cache"),
        (Hit::Joined, "joined"),
        (Hit::Known, "known"),
    ];
    let help = "Requests served without a read of their own from a PBX";
    register(registry, "cache_hits", help, "kind", words)
}

pub(super) fn evictions(registry: &mut Registry) -> Words<Eviction, 5> {
    let words = [
        (Eviction::Idle, "idle"),
        (Eviction::Age, "age"),
        (Eviction::Room, "room"),
        (Eviction::Deleted, "deleted"),
        (Eviction::Reload, "reload"),
    ];
    let help = "Recordings that left memory, by why";
    register(registry, "cache_evictions", help, "reason", words)
}

pub(super) fn mends(registry: &mut Registry) -> Words<Mend, 3> {
    let words = [
        (Mend::Mended, "mended"),
        (Mend::Failed, "failed"),
        (Mend::Differs, "differs"),
    ];
    let help = "Downloads that broke off, by what became of them";
    register(registry, "mends", help, "outcome", words)
}

fn register<K: Copy + PartialEq, const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    words: [(K, &'static str); N],
) -> Words<K, N> {
    let family = Family::default();
    registry.register(name, help, Family::clone(&family));
    Words::of(&family, Labels::new(), label, words)
}
