//! What is counted of the audit log.
//!
//! Knows the names. Does not know when anything is written.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What is counted of the audit log; clones count together.
#[derive(Clone, Default)]
pub(crate) struct AuditMetrics {
    /// Lines that were written.
    pub(crate) lines: Counter,
    /// Waits for the disk: lines per wait is what gathering them saves.
    pub(crate) syncs: Counter,
    /// Writes that failed, each try to write again included.
    pub(crate) failures: Counter,
    /// Decisions that were carried out without being written.
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
