//! The metrics, the shipped dashboard and the shipped alerts, tried with a real Prometheus.

mod dashboard;
mod server;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use http::StatusCode;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::admin::ask_with;
use crate::harness::programs::{Ended, Running, program};
use crate::harness::{NAME, gateway, jwt};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/alerts.yaml");
const CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/programs/prometheus/cases.yaml"
);

/// Runs promtool to its end; `None` where it is not installed.
async fn promtool(arguments: &[&str], input: Option<&Path>) -> Option<Ended> {
    let mut command = Command::new(program("promtool")?);
    let input = input.map_or(Stdio::null(), |path| File::open(path).unwrap().into());
    Some(
        Running::start(command.args(arguments).stdin(input))
            .end()
            .await,
    )
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(2));
    let pbx = pbx.start().await.unwrap();
    let gateway = gateway(&pbx).start().await;
    gateway.fetch(NAME).await;
    let absent = gateway.get("absent.wav").bearer(&jwt("alice")).send();
    assert_eq!(absent.await.status(), StatusCode::NOT_FOUND);
    let scrape = ask_with(
        gateway.app.admin_address(),
        "/metrics",
        &[("accept", "text/plain")],
    );
    let scrape = scrape.await.text;
    assert!(
        scrape.contains("\nwavegate_first_byte_seconds_bucket{"),
        "{scrape}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.prom");
    std::fs::write(&file, scrape).unwrap();
    let Some(ended) = promtool(&["check", "metrics"], Some(&file)).await else {
        return;
    };
    assert_eq!(
        (ended.code, ended.out.as_str(), ended.err.as_str()),
        (Some(0), "", "")
    );
}

#[tokio::test]
async fn prometheus_takes_the_alerts() {
    let Some(ended) = promtool(
        &["check", "rules", "--lint=all", "--lint-fatal", RULES],
        None,
    )
    .await
    else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn an_alert_fires_on_its_condition_and_not_otherwise() {
    let Some(ended) = promtool(&["test", "rules", CASES], None).await else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Each alert has a case in which it fires.
    let (rules, cases) = (read(RULES), read(CASES));
    for alert in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let tested = format!("alertname: {alert}\n");
        let fires = cases.split(&tested).skip(1).any(|case| {
            let expected = case.split("alertname:").next().unwrap();
            expected.contains("exp_labels")
        });
        assert!(fires, "{alert} never fires in {CASES}");
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}
