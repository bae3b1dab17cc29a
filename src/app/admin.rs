//! What the admin listener is given: reports on the gateway in force.
//!
//! Knows where each of them comes from. Does not know paths or methods.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;

use crate::admin::Calls;
use crate::gateway::Gateway;
use crate::metrics::Levels;
use crate::pbx::Pbx;

/// Reports on the gateway that is in force when they are asked for.
pub(super) fn calls(gateway: &Arc<ArcSwap<Gateway>>) -> Arc<Calls> {
    let (reported, counted) = (Arc::clone(gateway), Arc::clone(gateway));
    Arc::new(Calls {
        pbxs: Box::new(move || health(&reported.load())),
        metrics: Box::new(move || {
            let gateway = counted.load();
            gateway.metrics.text(levels(&gateway))
        }),
    })
}

/// How the PBXs are doing, as JSON.
fn health(gateway: &Gateway) -> String {
    let reports: Vec<_> = gateway.pbxs.iter().map(|pbx| pbx.health()).collect();
    json!({ "pbxs": reports }).to_string()
}

fn levels(gateway: &Gateway) -> Levels {
    let waiting = |pbx: &Arc<Pbx>| (pbx.name().to_owned(), pbx.waiting());
    Levels {
        streams: gateway.admission.open(),
        tape_bytes: 0,
        waiting: gateway.pbxs.iter().map(waiting).collect(),
    }
}
