//! The view that the admin listener has of the gateway: reports on the gateway in force, and calls
//! to it.
//!
//! Knows where each of them comes from. Does not know paths or methods.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use serde_json::json;

use crate::admin::AdminCalls;
use crate::auth::key_sets::KeySetRefresher;
use crate::fleet::Fleet;
use crate::gateway::Gateway;
use crate::metrics::{FleetLevels, Levels};
use crate::policy::Grant;
use crate::relay::Outcome;
use crate::secret::Secret;
use crate::tls::server::ServerCertificate;

/// Reports and calls of the gateway that is in force when they are asked for.
pub(super) fn calls(
    gateway: &Arc<ArcSwap<Gateway>>,
    certificate: Option<Arc<ServerCertificate>>,
    token: Option<Secret>,
) -> Arc<AdminCalls> {
    let of = || Arc::clone(gateway);
    let (reported, counted, asked, named, judged, listed) = (of(), of(), of(), of(), of(), of());
    Arc::new(AdminCalls {
        pbxs: Box::new(move || health(&reported.load())),
        metrics: Box::new(move |format| {
            let gateway = counted.load();
            let certificate_end = certificate
                .as_ref()
                .and_then(|certificate| certificate.end());
            gateway
                .metrics
                .text(levels(&gateway, certificate_end), format)
        }),
        forget: Box::new(move |pbx, name| {
            let gateway = asked.load();
            let pbx = gateway.pbxs.all().iter().find(|known| known.name() == pbx);
            pbx.is_some_and(|pbx| {
                gateway.recordings.cache.delete(pbx, name);
                // Also transfers that do not come from the cache.
                let of_it = |grant: &Grant| grant.pbx() == pbx.name() && grant.recording() == name;
                gateway.rights.active.abort(Outcome::Deleted, of_it);
                true
            })
        }),
        revoke: Box::new(move |entry| listed.load().callers.revocations.revoke(entry)),
        lacks: Box::new(move || lacks(&judged.load())),
        mask: Box::new(move |name| named.load().front.names.mask(name)),
        token: ArcSwapOption::new(token.map(Arc::new)),
    })
}

/// The reason why the gateway cannot answer requests, if there is one.
fn lacks(gateway: &Gateway) -> Option<&'static str> {
    if !gateway.callers.authenticator.has_keys() {
        Some("the keys of an issuer are not known yet")
    } else if gateway.rights.audit.refuses() {
        Some("the audit log cannot be written")
    } else {
        None
    }
}

/// The health of the PBXs, as JSON.
fn health(gateway: &Gateway) -> String {
    let reports: Vec<_> = gateway.pbxs.all().iter().map(|pbx| pbx.health()).collect();
    json!({ "pbxs": reports }).to_string()
}

fn fleet_levels(fleet: &Fleet) -> FleetLevels {
    FleetLevels {
        is_up: fleet.has_store(),
        instances: fleet.members().count(),
    }
}

fn levels(gateway: &Gateway, certificate_end: Option<Timestamp>) -> Levels {
    let age =
        |keeper: &KeySetRefresher| Some((keeper.issuer().to_owned(), keeper.age()?.as_secs()));
    Levels {
        streams: gateway.recordings.stream_limit.count(),
        max_streams: gateway.recordings.stream_limit.max(),
        cache_bytes: gateway.recordings.cache.bytes_held(),
        certificate_end: certificate_end.map(Timestamp::as_second),
        audit_waiting: gateway.rights.audit.waiting(),
        pbxs: gateway.pbxs.all().iter().map(|pbx| pbx.levels()).collect(),
        key_ages: gateway.callers.keepers.iter().filter_map(age).collect(),
        fleet: gateway.fleet.as_deref().map(fleet_levels),
    }
}
