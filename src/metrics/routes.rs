//! The times of answers and the bytes of their bodies, by pattern of the path.
//!
//! Knows the names, the buckets and the words for the end of a transfer. Does not know the patterns,
//! or when an answer begins or ends.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::words::{Labels, Words};

/// The bounds of the time until an answer begins, in seconds: a cache answers in milliseconds, a PBX
/// in some tenths, and the longest limits on a PBX are tens of seconds.
const FIRST_BYTE_BOUNDS: [f64; 9] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// The bounds of the time until an answer ends, in seconds: a player takes as long as the call took.
const DURATION_BOUNDS: [f64; 9] = [0.025, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0];

type HistogramFamily = Family<RouteLabel, Histogram, fn() -> Histogram>;

/// The label of a route's metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

/// The end of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferEnd {
    /// The connection took every byte.
    Complete,
    /// The caller left.
    Left,
    /// The caller took too little.
    TooSlow,
    /// The PBX broke off or fell silent.
    Broken,
    /// The right to hear it was withdrawn, or the recording was deleted.
    Withdrawn,
    /// Its time was up, or the time of the program.
    Overdue,
}

/// The metrics of all routes.
pub(super) struct RouteFamilies {
    first_byte: HistogramFamily,
    duration: HistogramFamily,
    sent: Family<RouteLabel, Counter>,
    transfers: Words<TransferEnd, 6>,
    /// One for each pattern that was asked for; the gateway has less than ten.
    known: RwLock<Vec<(&'static str, Arc<RouteMetrics>)>>,
}

/// The metrics of one route.
pub(crate) struct RouteMetrics {
    first_byte: Histogram,
    duration: Histogram,
    sent: Counter,
    /// One set of counters for all routes together.
    transfers: Words<TransferEnd, 6>,
}

impl RouteFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let first_byte =
            HistogramFamily::new_with_constructor(|| Histogram::new(FIRST_BYTE_BOUNDS));
        let duration = HistogramFamily::new_with_constructor(|| Histogram::new(DURATION_BOUNDS));
        let sent = Family::default();
        registry.register_with_unit(
            "first_byte",
            "Time until an answer below status 400 began, by pattern of the path",
            Unit::Seconds,
            Family::clone(&first_byte),
        );
        registry.register_with_unit(
            "duration",
            "Time until an answer ended, whatever its status, by pattern of the path",
            Unit::Seconds,
            Family::clone(&duration),
        );
        registry.register_with_unit(
            "sent",
            "Bytes of recordings and lists that were handed to connections",
            Unit::Bytes,
            Family::clone(&sent),
        );
        let transfers = Family::default();
        registry.register(
            "transfers",
            "Bodies of recordings and lists that ended, by outcome",
            Family::clone(&transfers),
        );
        Self {
            first_byte,
            duration,
            sent,
            transfers: Words::of(&transfers, Labels::new(), "outcome", TransferEnd::WORDS),
            known: RwLock::default(),
        }
    }

    /// The metrics of the route of this pattern; the same ones for the same pattern.
    pub(super) fn of(&self, route: &'static str) -> Arc<RouteMetrics> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(pattern, _)| *pattern == route);
        if let Some((_, metrics)) = found {
            return Arc::clone(metrics);
        }
        drop(known);
        let label = RouteLabel { route };
        let metrics = Arc::new(RouteMetrics {
            first_byte: self.first_byte.get_or_create_owned(&label),
            duration: self.duration.get_or_create_owned(&label),
            sent: self.sent.get_or_create_owned(&label),
            transfers: self.transfers.clone(),
        });
        // Another request may have added the pattern by now. Then it stands there twice, and both
        // have the same counters.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.push((route, Arc::clone(&metrics)));
        metrics
    }
}

impl RouteMetrics {
    /// Counts an answer that began after this time. The time of a refusal says nothing about
    /// recordings, so it is left out.
    pub(crate) fn began(&self, status: StatusCode, time: Duration) {
        if status.as_u16() < 400 {
            self.first_byte.observe(time.as_secs_f64());
        }
    }

    /// Counts an answer that ended after this time.
    pub(crate) fn ended(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    /// Counts bytes of a body that a connection took.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    /// Counts a body that ended.
    pub(crate) fn transfer_ended(&self, end: TransferEnd) {
        self.transfers.count(end);
    }
}

impl TransferEnd {
    const WORDS: [(Self, &'static str); 6] = [
        (Self::Complete, "complete"),
        (Self::Left, "left"),
        (Self::TooSlow, "too-slow"),
        (Self::Broken, "broken"),
        (Self::Withdrawn, "withdrawn"),
        (Self::Overdue, "overdue"),
    ];
}
