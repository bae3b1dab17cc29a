//! The line of one request in the access log.
//!
//! Knows the fields of the line. Does not know credentials, tickets, queries or addresses of PBXs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tracing::info;

use super::Outcome;
use crate::audit::PendingDelivery;
use crate::metrics::RouteMetrics;
use crate::principal::PrincipalId;

/// The line of one request in the access log. Each stage of the request fills in its fields. The
/// drop writes the line, at the real end of the request: after the last byte, or when the caller
/// leaves. The metrics of the answer's end are counted with it.
pub(crate) struct AccessLine {
    started: Instant,
    request_id: Arc<str>,
    method: &'static str,
    source: IpAddr,
    pub(crate) route: &'static str,
    pub(crate) pbx: Arc<str>,
    /// The recording's name, masked.
    pub(crate) recording: String,
    pub(crate) principal: Option<PrincipalId>,
    pub(crate) credential: &'static str,
    /// 0 if the caller left before the answer.
    pub(crate) status: u16,
    /// Bytes of the body that the connection took.
    bytes: u64,
    /// The outcome of a transfer, or the slug of a problem.
    pub(crate) outcome: &'static str,
    /// The error of a refused caller, in more detail than the caller gets.
    pub(crate) reason: String,
    /// The entry for the audit log at the end of an allowed request.
    pub(crate) audit: PendingDelivery,
    /// The metrics of the route; `None` until there is an answer.
    metrics: Option<Arc<RouteMetrics>>,
}

impl AccessLine {
    pub(crate) fn new(request_id: Arc<str>, method: &'static str, source: IpAddr) -> Self {
        Self {
            started: Instant::now(),
            request_id,
            method,
            source,
            route: "",
            pbx: Arc::default(),
            recording: String::new(),
            principal: None,
            credential: "",
            status: 0,
            bytes: 0,
            outcome: "downstream-gone",
            reason: String::new(),
            audit: PendingDelivery::default(),
            metrics: None,
        }
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn shared_request_id(&self) -> Arc<str> {
        Arc::clone(&self.request_id)
    }

    pub(crate) fn method(&self) -> &'static str {
        self.method
    }

    pub(crate) fn source(&self) -> IpAddr {
        self.source
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Counts the rest of the answer with these metrics.
    pub(crate) fn count_with(&mut self, metrics: Arc<RouteMetrics>) {
        self.metrics = Some(metrics);
    }

    /// Notes bytes of the body that the connection took.
    pub(super) fn note_sent(&mut self, bytes: u64) {
        self.bytes += bytes;
        if let Some(metrics) = &self.metrics {
            metrics.sent(bytes);
        }
    }

    /// Notes the end of the body.
    pub(super) fn end_transfer(&mut self, outcome: Outcome) {
        self.outcome = outcome.as_str();
        if let Some(metrics) = &self.metrics {
            metrics.transfer_ended(outcome.into());
        }
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        self.audit.status = self.status;
        self.audit.outcome = self.outcome;
        self.audit.bytes = self.bytes;
        if let Some(metrics) = &self.metrics {
            metrics.ended(self.started.elapsed());
        }
        let duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let principal = self.principal.as_ref();
        info!(
            request_id = &*self.request_id,
            method = self.method,
            route = self.route,
            pbx = &*self.pbx,
            recording = self.recording,
            issuer = principal.map_or("", |principal| principal.issuer()),
            subject = principal.map_or("", |principal| principal.subject()),
            credential = self.credential,
            source = %self.source,
            status = self.status,
            bytes = self.bytes,
            outcome = self.outcome,
            reason = self.reason,
            duration_ms,
            "request"
        );
    }
}
