//! The values of a moment, for gauges.
//!
//! Knows their names. Does not know who measures them.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::PREFIX;
use super::words::Labels;

type GaugeFamily = Family<Labels, Gauge<u64, AtomicU64>>;

/// The values of a moment.
pub(crate) struct Levels {
    /// Recordings and lists that are being answered, and how many may be.
    pub(crate) streams: usize,
    pub(crate) max_streams: usize,
    /// Bytes of recordings in memory.
    pub(crate) cache_bytes: u64,
    pub(crate) pbxs: Vec<PbxLevels>,
    /// Name of each issuer that publishes its keys, and the seconds since they were fetched.
    pub(crate) key_ages: Vec<(String, u64)>,
    /// Lines that wait to be written into the audit log.
    pub(crate) audit_waiting: usize,
    /// The end of the listener's certificate, in seconds since 1970; `None` without TLS.
    pub(crate) certificate_end: Option<i64>,
    /// The state of the shared store; `None` for an instance on its own.
    pub(crate) fleet: Option<FleetLevels>,
}

/// The state of one PBX.
pub(crate) struct PbxLevels {
    pub(crate) name: String,
    /// The name of its API.
    pub(crate) api: &'static str,
    /// Requests that wait for it, and how many may.
    pub(crate) waiting: usize,
    pub(crate) max_waiting: usize,
    /// Downloads that may begin at once.
    pub(crate) free_downloads: usize,
    /// The seconds since the PBX token was got; `None` where there is none.
    pub(crate) token_age: Option<u64>,
    /// The word for the reason why no login is tried now.
    pub(crate) hold_off: Option<&'static str>,
    /// Kinds of requests that were made, and whether the last one of each kind failed.
    pub(crate) failing: Vec<(&'static str, bool)>,
}

/// The state of the store that a fleet shares.
pub(crate) struct FleetLevels {
    /// The store answers.
    pub(crate) is_up: bool,
    /// Instances, as the store counted them last.
    pub(crate) instances: usize,
}

impl Levels {
    pub(super) fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "streams_open",
            "Recordings and lists that are being answered, those that wait for a PBX included",
            ConstGauge::new(self.streams),
        );
        registry.register(
            "streams_max",
            "Recordings and lists that may be answered at once, as relay.max_streams says",
            ConstGauge::new(self.max_streams),
        );
        registry.register_with_unit(
            "cache",
            "Bytes of recordings in memory",
            Unit::Bytes,
            ConstGauge::new(self.cache_bytes),
        );
        registry.register(
            "audit_lines_waiting",
            "Lines that wait to be written into the audit log",
            ConstGauge::new(self.audit_waiting),
        );
        let ages = GaugeFamily::default();
        for (issuer, age) in self.key_ages {
            set(&ages, vec![("issuer", issuer)], age);
        }
        registry.register_with_unit(
            "issuer_keys_age",
            "Time since the published keys of an issuer were fetched",
            Unit::Seconds,
            ages,
        );
        if let Some(end) = self.certificate_end {
            registry.register_with_unit(
                "certificate_end_timestamp",
                "End of the validity of the certificate of server.tls, since 1970",
                Unit::Seconds,
                ConstGauge::new(end),
            );
        }
        if let Some(fleet) = self.fleet {
            fleet.register(&mut registry);
        }
        register_pbxs(self.pbxs, &mut registry);
        registry
    }
}

impl FleetLevels {
    fn register(self, registry: &mut Registry) {
        registry.register(
            "shared_store_up",
            "1 while the shared store answers, else 0",
            ConstGauge::new(u64::from(self.is_up)),
        );
        registry.register(
            "fleet_instances",
            "Instances of the fleet, as the shared store counted them last",
            ConstGauge::new(count(self.instances)),
        );
    }
}

fn register_pbxs(pbxs: Vec<PbxLevels>, registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str| {
        let family = GaugeFamily::default();
        registry.register(name, help, Family::clone(&family));
        family
    };
    let apis = gauge("pbx_info", "1 for each PBX, with the name of its API");
    let waiting = gauge(
        "pbx_requests_waiting",
        "Requests that wait for the first byte of a PBX",
    );
    let max_waiting = gauge(
        "pbx_requests_waiting_max",
        "Requests that may wait for the first byte of a PBX, as max_waiting says",
    );
    let free = gauge(
        "pbx_downloads_free",
        "Downloads of a PBX that may begin at once, of those that max_downloads allows",
    );
    let held_off = gauge(
        "pbx_logins_held_off",
        "1 while no login to a PBX may be tried, with the reason, else 0",
    );
    let failing = gauge(
        "pbx_failing",
        "1 while the last request of this kind failed by a fault of the PBX or of our account on it, else 0",
    );
    let token_ages = GaugeFamily::default();
    for pbx in pbxs {
        let labels = vec![("pbx", pbx.name)];
        let and = |label, word: &str| [labels.clone(), vec![(label, word.to_owned())]].concat();
        set(&apis, and("api", pbx.api), 1);
        let reason = and("reason", pbx.hold_off.unwrap_or("none"));
        set(&held_off, reason, u64::from(pbx.hold_off.is_some()));
        for (kind, fails) in pbx.failing {
            set(&failing, and("requests", kind), u64::from(fails));
        }
        set(&waiting, labels.clone(), count(pbx.waiting));
        set(&max_waiting, labels.clone(), count(pbx.max_waiting));
        set(&free, labels.clone(), count(pbx.free_downloads));
        if let Some(age) = pbx.token_age {
            set(&token_ages, labels, age);
        }
    }
    registry.register_with_unit(
        "pbx_token_age",
        "Time since the token of a PBX was got",
        Unit::Seconds,
        token_ages,
    );
}

fn set(family: &GaugeFamily, labels: Labels, value: u64) {
    family.get_or_create_owned(&labels).set(value);
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
