//! The metrics, as OpenMetrics text.
//!
//! Knows the metrics, their names and labels. A label is one of a few words, or the name of a PBX
//! or an issuer from the configuration; never a part of a request. Does not know who counts, or
//! when. Values of a moment are handed in as [`Levels`].
//!
//! Source: OpenMetrics 1.0, "Text format" and "Metric and label names": the name of a counter ends
//! in `_total`, and a unit stands before that.

mod audit;
mod cache;
mod calls;
mod levels;
mod pbx;
mod plain;
mod process;
mod routes;
mod words;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use audit::AuditMetrics;
pub(crate) use cache::{Eviction, Hit, Mend};
pub(crate) use calls::{Call, CallOutcome};
pub(crate) use levels::{FleetLevels, Levels, PbxLevels};
use pbx::PbxFamilies;
pub(crate) use pbx::{Download, Login, PbxMetrics};
use process::ProcessFigures;
use routes::RouteFamilies;
pub(crate) use routes::{RouteMetrics, TransferEnd};
use words::Words;

/// The form of [`Metrics::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older text format of Prometheus.
    Plain,
}

impl TextFormat {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

const PREFIX: &str = "wavegate";

/// All counters, from the start of the process on, over reloads.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    routes: RouteFamilies,
    pbxs: PbxFamilies,
    cache_max_bytes: Gauge<u64, AtomicU64>,
    hits: Words<Hit, 3>,
    evictions: Words<Eviction, 5>,
    mends: Words<Mend, 3>,
    audit: AuditMetrics,
}

/// The labels of a counted request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Family::default();
        let cache_max_bytes = Gauge::default();
        registry.register(
            "requests",
            "Requests answered, by pattern of the path and status",
            Family::clone(&requests),
        );
        registry.register(
            "build",
            "The program that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let routes = RouteFamilies::register(&mut registry);
        let pbxs = PbxFamilies::register(&mut registry);
        registry.register_with_unit(
            "cache_max",
            "Bytes of recordings that memory may hold, as cache.max_bytes says",
            Unit::Bytes,
            Gauge::clone(&cache_max_bytes),
        );
        Self {
            requests,
            routes,
            pbxs,
            cache_max_bytes,
            hits: cache::hits(&mut registry),
            evictions: cache::evictions(&mut registry),
            mends: cache::mends(&mut registry),
            audit: AuditMetrics::register(&mut registry),
            registry,
        }
    }
}

impl Metrics {
    /// Counts an answer whose status is decided. `route` is the pattern of the path; empty where no
    /// pattern matched.
    pub(crate) fn answered(&self, route: &'static str, status: StatusCode) {
        let answered = RequestLabels {
            route: name_of(route),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
    }

    /// The metrics of the answers of one route, as for [`Metrics::answered`].
    pub(crate) fn route(&self, route: &'static str) -> Arc<RouteMetrics> {
        self.routes.of(name_of(route))
    }

    /// The counters of the PBX of this name; the same counters for the same name.
    pub(crate) fn pbx(&self, name: &str) -> PbxMetrics {
        self.pbxs.of(name, self.mends.clone())
    }

    /// The counters of the audit log.
    pub(crate) fn audit(&self) -> AuditMetrics {
        self.audit.clone()
    }

    /// Sets the gauge of the bound on the cache.
    pub(crate) fn bound_cache(&self, max_bytes: u64) {
        self.cache_max_bytes.set(max_bytes);
    }

    /// Everything, with the figures of the process. Reads files of the system.
    pub(crate) fn text(&self, levels: Levels, format: TextFormat) -> String {
        let mut text = String::new();
        // A text that was cut has no end mark, so no monitor takes it for the whole.
        let _ = self.write(levels, &mut text);
        match format {
            TextFormat::OpenMetrics => text,
            TextFormat::Plain => plain::of(&text),
        }
    }

    fn write(&self, levels: Levels, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.registry)?;
        encode_registry(text, &levels.registry())?;
        encode_registry(text, &ProcessFigures::read().registry())?;
        encode_eof(text)
    }
}

/// The value of the label `route`.
fn name_of(route: &'static str) -> &'static str {
    if route.is_empty() { "other" } else { route }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pbx(name: &str) -> PbxLevels {
        PbxLevels {
            name: name.to_owned(),
            api: "p-series",
            waiting: 3,
            max_waiting: 64,
            free_downloads: 1,
            token_age: None,
            hold_off: None,
            failing: vec![],
        }
    }

    fn levels() -> Levels {
        let branch = PbxLevels {
            waiting: 0,
            token_age: Some(9),
            hold_off: Some("brink"),
            failing: vec![("downloads", true), ("lists", false)],
            ..pbx("branch")
        };
        Levels {
            streams: 2,
            max_streams: 256,
            cache_bytes: 7 << 32,
            pbxs: vec![pbx("office"), branch],
            key_ages: vec![("https://sso.example".to_owned(), 7)],
            audit_waiting: 5,
            certificate_end: Some(1_772_442_847),
            fleet: Some(FleetLevels {
                is_up: true,
                instances: 3,
            }),
        }
    }

    /// The lines of the gateway in order, without comments.
    fn numbers(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text(levels(), TextFormat::OpenMetrics);
        let lines = text.lines().filter(|line| line.starts_with(PREFIX));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn every_metric_is_in_the_text_from_the_start() {
        let metrics = Metrics::default();
        metrics.pbx("office");
        metrics.bound_cache(1 << 40);
        let expected = r#"wavegate_audit_failures_total 0
wavegate_audit_lines_total 0
wavegate_audit_lines_waiting 5
wavegate_audit_syncs_total 0
wavegate_audit_unwritten_total 0
wavegate_cache_bytes 30064771072
wavegate_cache_evictions_total{reason="age"} 0
wavegate_cache_evictions_total{reason="deleted"} 0
wavegate_cache_evictions_total{reason="idle"} 0
wavegate_cache_evictions_total{reason="reload"} 0
wavegate_cache_evictions_total{reason="room"} 0
wavegate_cache_hits_total{kind="cache"} 0
wavegate_cache_hits_total{kind="joined"} 0
wavegate_cache_hits_total{kind="known"} 0
wavegate_cache_max_bytes 1099511627776
wavegate_certificate_end_timestamp_seconds 1772442847
wavegate_fleet_instances 3
wavegate_issuer_keys_age_seconds{issuer="https://sso.example"} 7
wavegate_mends_total{outcome="differs"} 0
wavegate_mends_total{outcome="failed"} 0
wavegate_mends_total{outcome="mended"} 0
wavegate_pbx_agreed_ends_total{pbx="office"} 0
wavegate_pbx_calls_total{pbx="office",operation="list",outcome="done"} 0
wavegate_pbx_calls_total{pbx="office",operation="list",outcome="refused"} 0
wavegate_pbx_calls_total{pbx="office",operation="list",outcome="unanswered"} 0
wavegate_pbx_calls_total{pbx="office",operation="list",outcome="unusable"} 0
wavegate_pbx_calls_total{pbx="office",operation="logout",outcome="done"} 0
wavegate_pbx_calls_total{pbx="office",operation="logout",outcome="refused"} 0
wavegate_pbx_calls_total{pbx="office",operation="logout",outcome="unanswered"} 0
wavegate_pbx_calls_total{pbx="office",operation="logout",outcome="unusable"} 0
wavegate_pbx_calls_total{pbx="office",operation="prolong",outcome="done"} 0
wavegate_pbx_calls_total{pbx="office",operation="prolong",outcome="refused"} 0
wavegate_pbx_calls_total{pbx="office",operation="prolong",outcome="unanswered"} 0
wavegate_pbx_calls_total{pbx="office",operation="prolong",outcome="unusable"} 0
wavegate_pbx_calls_total{pbx="office",operation="refresh",outcome="done"} 0
wavegate_pbx_calls_total{pbx="office",operation="refresh",outcome="refused"} 0
wavegate_pbx_calls_total{pbx="office",operation="refresh",outcome="unanswered"} 0
wavegate_pbx_calls_total{pbx="office",operation="refresh",outcome="unusable"} 0
wavegate_pbx_calls_total{pbx="office",operation="ticket",outcome="done"} 0
wavegate_pbx_calls_total{pbx="office",operation="ticket",outcome="refused"} 0
wavegate_pbx_calls_total{pbx="office",operation="ticket",outcome="unanswered"} 0
wavegate_pbx_calls_total{pbx="office",operation="ticket",outcome="unusable"} 0
wavegate_pbx_downloads_free{pbx="branch"} 1
wavegate_pbx_downloads_free{pbx="office"} 1
wavegate_pbx_downloads_total{pbx="office",outcome="begun"} 0
wavegate_pbx_downloads_total{pbx="office",outcome="empty"} 0
wavegate_pbx_downloads_total{pbx="office",outcome="failed"} 0
wavegate_pbx_downloads_total{pbx="office",outcome="not-found"} 0
wavegate_pbx_failing{pbx="branch",requests="downloads"} 1
wavegate_pbx_failing{pbx="branch",requests="lists"} 0
wavegate_pbx_info{pbx="branch",api="p-series"} 1
wavegate_pbx_info{pbx="office",api="p-series"} 1
wavegate_pbx_logins_held_off{pbx="branch",reason="brink"} 1
wavegate_pbx_logins_held_off{pbx="office",reason="none"} 0
wavegate_pbx_logins_total{pbx="office",outcome="accepted"} 0
wavegate_pbx_logins_total{pbx="office",outcome="locked-out"} 0
wavegate_pbx_logins_total{pbx="office",outcome="refused"} 0
wavegate_pbx_logins_total{pbx="office",outcome="unanswered"} 0
wavegate_pbx_logins_total{pbx="office",outcome="unjudged"} 0
wavegate_pbx_logins_total{pbx="office",outcome="unsent"} 0
wavegate_pbx_requests_waiting_max{pbx="branch"} 64
wavegate_pbx_requests_waiting_max{pbx="office"} 64
wavegate_pbx_requests_waiting{pbx="branch"} 0
wavegate_pbx_requests_waiting{pbx="office"} 3
wavegate_pbx_rows_unreadable_total{pbx="office"} 0
wavegate_pbx_token_age_seconds{pbx="branch"} 9
wavegate_pbx_tokens_ended_early_total{pbx="office"} 0
wavegate_shared_store_up 1
wavegate_streams_max 256
wavegate_streams_open 2
wavegate_transfers_total{outcome="broken"} 0
wavegate_transfers_total{outcome="complete"} 0
wavegate_transfers_total{outcome="left"} 0
wavegate_transfers_total{outcome="overdue"} 0
wavegate_transfers_total{outcome="too-slow"} 0
wavegate_transfers_total{outcome="withdrawn"} 0"#;
        let numbers = numbers(&metrics);
        let version = env!("CARGO_PKG_VERSION");
        let build = format!("wavegate_build_info{{version=\"{version}\"}} 1");
        let (build, others): (Vec<_>, Vec<_>) =
            numbers.into_iter().partition(|line| *line == build);
        assert_eq!(build.len(), 1);
        assert_eq!(others.join("\n"), expected);
    }

    #[test]
    fn each_event_counts_once_under_its_own_word() {
        let metrics = Metrics::default();
        let hits = [Hit::Cache, Hit::Joined, Hit::Known];
        let evictions = [
            Eviction::Idle,
            Eviction::Age,
            Eviction::Room,
            Eviction::Deleted,
            Eviction::Reload,
        ];
        let mends = [Mend::Mended, Mend::Failed, Mend::Differs];
        let tries = [
            Download::Begun,
            Download::NotFound,
            Download::Failed,
            Download::Empty,
        ];
        for (index, hit) in hits.into_iter().enumerate() {
            (0..=index).for_each(|_| metrics.hit(hit));
        }
        for (index, eviction) in evictions.into_iter().enumerate() {
            (0..=index).for_each(|_| metrics.evicted(eviction));
        }
        for (index, mend) in mends.into_iter().enumerate() {
            (0..=index).for_each(|_| metrics.pbx("office").mended(mend));
        }
        for (index, download) in tries.into_iter().enumerate() {
            // One name always has the same counters.
            (0..=index).for_each(|_| metrics.pbx("office").tried(download));
        }
        metrics.answered("/recordings/{name}", StatusCode::OK);
        metrics.answered("/recordings/{name}", StatusCode::OK);
        metrics.answered("", StatusCode::NOT_FOUND);
        metrics.pbx("office").agreed_end();
        let numbers = numbers(&metrics);
        for line in [
            "wavegate_cache_hits_total{kind=\"cache\"} 1",
            "wavegate_cache_hits_total{kind=\"joined\"} 2",
            "wavegate_cache_hits_total{kind=\"known\"} 3",
            "wavegate_cache_evictions_total{reason=\"idle\"} 1",
            "wavegate_cache_evictions_total{reason=\"age\"} 2",
            "wavegate_cache_evictions_total{reason=\"room\"} 3",
            "wavegate_cache_evictions_total{reason=\"deleted\"} 4",
            "wavegate_cache_evictions_total{reason=\"reload\"} 5",
            "wavegate_mends_total{outcome=\"mended\"} 1",
            "wavegate_mends_total{outcome=\"failed\"} 2",
            "wavegate_mends_total{outcome=\"differs\"} 3",
            "wavegate_pbx_downloads_total{pbx=\"office\",outcome=\"begun\"} 1",
            "wavegate_pbx_downloads_total{pbx=\"office\",outcome=\"not-found\"} 2",
            "wavegate_pbx_downloads_total{pbx=\"office\",outcome=\"failed\"} 3",
            "wavegate_pbx_downloads_total{pbx=\"office\",outcome=\"empty\"} 4",
            "wavegate_pbx_agreed_ends_total{pbx=\"office\"} 1",
            "wavegate_requests_total{route=\"/recordings/{name}\",status=\"200\"} 2",
            "wavegate_requests_total{route=\"other\",status=\"404\"} 1",
        ] {
            assert!(
                numbers.iter().any(|number| number == line),
                "{line} is not in {numbers:#?}"
            );
        }
    }
}
