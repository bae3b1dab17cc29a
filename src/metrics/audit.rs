//! The counters of the audit log.
//!
//! Knows their names. Does not know when a line is written.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The counters of the audit log; clones are the same counters.
#[derive(Clone, Default)]
pub(crate) struct AuditMetrics {
    /// Lines that were written.
    pub(crate) lines: Counter,
    /// Syncs: lines divided by syncs is the number of lines that one wait for the disk serves.
    pub(crate) syncs: Counter,
    /// Writes that failed, each new try included.
    pub(crate) failures: Counter,
    /// Decisions that were carried out without a line.
    pub(crate) unwritten: Counter,
}

impl AuditMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut register = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, Counter::clone(counter));
        };
        register("audit_lines", "Lines of the audit log", &metrics.lines);
        register(
            "audit_syncs",
            "Times that lines of the audit log were brought to the disk together",
            &metrics.syncs,
        );
        register(
            "audit_failures",
            "Times that the audit log could not be written, each new try included",
            &metrics.failures,
        );
        register(
            "audit_unwritten",
            "Requests that were answered without a line in the audit log, as audit.on_failure allows",
            &metrics.unwritten,
        );
        metrics
    }
}
