//! The counters of the cache.
//!
//! Knows the words for hits, evictions and mends. Does not know when they happen.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::words::{Labels, Words};

/// How a request was served without a read of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The bytes were in an entry.
    Cache,
    /// The recording was being read for another request.
    Joined,
    /// The answer needs no bytes, and the metadata were remembered.
    Known,
}

/// Why an entry left the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// It had no reader for `cache.keep_s`.
    Idle,
    /// It was kept for `cache.max_age_s`.
    Age,
    /// Another recording needed its memory.
    Room,
    /// The operator deleted it.
    Deleted,
    /// A reload changed its PBX.
    Reload,
}

/// The outcome of a download that broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mend {
    /// It was read again and went on behind the break.
    Mended,
    /// The PBX did not give the recording out again.
    Failed,
    /// The PBX gave out another content.
    Differs,
}

impl Metrics {
    /// Counts a request that was served without a read of its own.
    pub(crate) fn hit(&self, hit: Hit) {
        self.hits.count(hit);
    }

    /// Counts an entry that left the cache.
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
    let help = "Recordings that left memory, by reason";
    register(registry, "cache_evictions", help, "reason", words)
}

pub(super) fn mends(registry: &mut Registry) -> Words<Mend, 3> {
    let words = [
        (Mend::Mended, "mended"),
        (Mend::Failed, "failed"),
        (Mend::Differs, "differs"),
    ];
    let help = "Downloads that broke off, by outcome";
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
