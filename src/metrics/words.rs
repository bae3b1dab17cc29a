//! A counter for each of a few words.
//!
//! All counters are made at the start. So every word is in the text before its first count, and
//! counting needs no lookup and no lock. Does not know the meaning of the words.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The counters of `N` words, each by its key; clones are the same counters.
#[derive(Clone)]
pub(super) struct Words<K, const N: usize>([(K, Counter); N]);

impl<K: Copy + PartialEq, const N: usize> Words<K, N> {
    /// The counters in `family` that have these `labels`, and the words as values of the label
    /// `label`.
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
