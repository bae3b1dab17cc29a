//! A counter for each of a few words.
//!
//! Knows its counters from the start, so that every word stands in the text before it is counted, and counting looks nothing up
//! and locks nothing. Does not know what the words mean.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The counters of `N` words, each by its key; clones count together.
#[derive(Clone)]
pub(super) struct Words<K, const N: usize>([(K, Counter); N]);

impl<K: Copy + PartialEq, const N: usize> Words<K, N> {
    /// The counters in `family` that have these `labels`, and the words as values of one more.
    pub(super) fn of(
        family: &Family<Labels, Counter>,
        labels: Labels,
        label: &'static str,
        words: [(K, &'static str); N],
    ) -> Self {
        Self(words.map(|(key, word)| {
            let mut labels = labels.clone();
            labels.push((label, word.to_owned()));
            (key, family.get_or_create_owned(&labels))
        }))
    }

    pub(super) fn count(&self, key: K) {
        if let Some((_, counter)) = self.0.iter().find(|(other, _)| *other == key) {
            counter.inc();
        }
    }
}
