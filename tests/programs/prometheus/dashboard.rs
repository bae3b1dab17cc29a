//! The shipped dashboard over a Prometheus that watches a gateway.

use serde_json::Value;
use wavegate::simulator::{Api, Simulator, wav};

use super::RULES;
use super::server::Prometheus;
use crate::harness::idp::Idp;
use crate::harness::store::Store;
use crate::harness::tls::Identity;
use crate::harness::{Gateway, NAME, PATIENCE, gateway, jwt};

const DASHBOARD: &str = include_str!("../../../config/grafana.json");
const OTHER: &str = "20260302110000-1772442847.1-100-200-Inbound.wav";

/// The queries of all panels, each with the title of its panel, as Grafana asks them when all
/// instances are chosen.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| {
            let query = target["expr"].as_str().unwrap();
            let query = query
                .replace("$instance", ".*")
                .replace("$__rate_interval", "1m");
            assert!(!query.contains('$'), "{query}");
            (title.clone(), query)
        })
    });
    queries.collect()
}

/// A gateway that has every metric: TLS, published keys, a shared store.
async fn watched(pbx: &Simulator, idp: &Idp, store: &Store) -> Gateway {
    let builder = gateway(pbx).tls(&Identity::new()).shared(store.addr());
    let lines = format!("jwks_url = \"{}/keys\"", idp.name());
    let lines = idp.lines(builder.folder(), &lines);
    builder.lines("[[auth.issuer]]", &lines).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_returns_data() {
    let pbx = Simulator::builder(Api::SSeries200);
    let pbx = pbx
        .recording(NAME, wav::music(2))
        .recording(OTHER, wav::music(1));
    let (pbx, idp) = (pbx.start().await.unwrap(), Idp::start().await);
    let Some(store) = Store::start().await else {
        return;
    };
    let gateway = watched(&pbx, &idp, &store).await;
    let Some(prometheus) = Prometheus::start(gateway.app.admin_address(), RULES).await else {
        return;
    };
    let mut open = queries();
    assert!(open.len() > 40);
    let watching = async {
        while !open.is_empty() {
            // Rates need traffic between two scrapes.
            gateway.fetch(NAME).await;
            gateway.get(OTHER).bearer(&jwt("alice")).send().await;
            prometheus.next_scrape().await;
            let mut without_data = Vec::new();
            for (title, query) in open.drain(..) {
                let values = prometheus.query(&query).await;
                if !values.iter().any(|value| value.is_finite()) {
                    without_data.push((title, query));
                }
            }
            open = without_data;
        }
    };
    let watched = tokio::time::timeout(PATIENCE, watching).await;
    assert!(watched.is_ok(), "no data: {open:#?}");
    // Prometheus has taken the rules, too, and nothing is wrong with this gateway.
    let rules = prometheus.get("/api/v1/rules").await;
    let group = &rules["data"]["groups"][0];
    let broken = group["rules"].as_array().unwrap().iter();
    let broken: Vec<_> = broken.filter(|rule| rule["health"] == "err").collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let alerts = prometheus.get("/api/v1/alerts").await;
    let alerts = alerts["data"]["alerts"].as_array().unwrap().clone();
    assert!(alerts.is_empty(), "{alerts:#?}");
}
