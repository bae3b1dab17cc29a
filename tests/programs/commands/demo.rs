//! The demo and the simulator, as a new user runs them; and the end of all of them.

use std::process::Command;

use http::Method;
use serde_json::Value;
use url::Url;
use wavegate::simulator::Switch;
use wavegate::simulator::wav;

use super::pbx;
use crate::harness::programs::{Running, program, run_wavegate, serve, wavegate};
use crate::harness::{Call, gateway};

/// Starts a demo, and waits until it reports that it is ready.
async fn demo(arguments: &[&str]) -> (Running, Value) {
    let running = Running::start(&mut wavegate(&[&["demo", "--json"], arguments].concat()));
    let tour = tour(&running).await;
    (running, tour)
}

async fn tour(running: &Running) -> Value {
    let line = running.out.until(|text| text.ends_with('\n')).await;
    assert_eq!(line.lines().count(), 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

fn text<'t>(tour: &'t Value, member: &str) -> &'t str {
    tour[member].as_str().unwrap()
}

async fn get(url: &str) -> Call {
    let url: Url = url.parse().unwrap();
    let addr = url.socket_addrs(|| None).unwrap()[0];
    let query = url.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", url.path(), query.unwrap_or_default());
    Call::new(addr, Method::GET, &target)
}

#[tokio::test]
async fn the_demo_prints_one_line_and_everything_in_it_works() {
    let (running, tour) = demo(&["--listen", "127.0.0.1:0"]).await;
    let members = tour.as_object().unwrap().keys();
    let mut members: Vec<_> = members.map(String::as_str).collect();
    members.sort_unstable();
    let expected = ["admin", "bearer", "curl", "gateway", "link", "recordings"];
    assert_eq!(members, expected);

    let by_link = get(text(&tour, "link")).await.send().await;
    assert_eq!(by_link.status(), 200);
    let recording = by_link.bytes().await.unwrap();
    // Every run makes the same recordings, so they are compared byte for byte with those of the
    // simulated PBX.
    let on_pbx = wav::demo_recordings();
    assert!(text(&tour, "link").contains(&on_pbx[1].0) && recording == on_pbx[1].1);
    assert_eq!(tour["recordings"].as_array().unwrap().len(), on_pbx.len());
    for (name, bytes) in &on_pbx {
        let url = format!("{}/recordings/{name}", text(&tour, "gateway"));
        let answer = get(&url).await.bearer(text(&tour, "bearer")).send().await;
        assert_eq!(answer.status(), 200, "{name}");
        assert!(answer.bytes().await.unwrap() == *bytes, "{name}");
    }
    let admin: Url = text(&tour, "admin").parse().unwrap();
    assert!(admin.socket_addrs(|| None).unwrap()[0].ip().is_loopback());

    if program("curl").is_some() {
        let folder = tempfile::tempdir().unwrap();
        let mut sh = Command::new("sh");
        sh.arg("-c").arg(text(&tour, "curl"));
        let ended = Running::start(sh.current_dir(folder.path())).end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let file = std::fs::read(folder.path().join("recording.wav")).unwrap();
        assert!(file == recording);
    }

    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out.lines().count(), 1);
}

#[tokio::test]
async fn two_demos_run_side_by_side() {
    // Both try the same port, and at most one gets it.
    let both = [(); 2].map(|()| Running::start(&mut wavegate(&["demo", "--json"])));
    let mut gateways = Vec::new();
    for running in &both {
        let tour = tour(running).await;
        let answer = get(text(&tour, "link")).await.send().await;
        assert_eq!(answer.status(), 200);
        gateways.push(text(&tour, "gateway").to_owned());
    }
    assert_ne!(gateways[0], gateways[1]);
    for running in both {
        assert_eq!(running.stop().await.code, Some(0));
    }
}

#[tokio::test]
async fn the_demo_and_the_simulator_refuse_every_address_but_loopback() {
    for command in ["demo", "simulate"] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let ended = run_wavegate(&[command, "--listen", address]).await;
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (Some(1), ""),
                "{command} {address}"
            );
            assert!(ended.err.contains("loopback only"), "{}", ended.err);
        }
    }
}

#[tokio::test]
async fn a_taken_address_that_was_asked_for_is_an_error() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run_wavegate(&["demo", "--json", "--listen", &address]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains(&address), "{}", ended.err);
}

#[tokio::test]
async fn sigterm_and_sigint_are_an_orderly_end() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let path = builder.write();
    for signal in ["TERM", "INT"] {
        let (demo, _) = demo(&["--listen", "127.0.0.1:0"]).await;
        let (gateway, _) = serve(&path).await;
        let simulator = Running::start(&mut wavegate(&["simulate"]));
        simulator
            .out
            .until(|text| text.contains("recording "))
            .await;
        for running in [demo, gateway, simulator] {
            running.signal(signal);
            let ended = running.end().await;
            assert_eq!(ended.code, Some(0), "{signal}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn the_simulator_lists_its_switches() {
    let ended = run_wavegate(&["simulate", "--switch", "list"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let names: Vec<_> = ended
        .out
        .lines()
        .map(|line| line.split_once(' ').unwrap().0)
        .collect();
    let switches: Vec<_> = Switch::ALL.iter().map(|switch| switch.as_str()).collect();
    assert_eq!(names, switches);

    let ended = run_wavegate(&["simulate", "--switch", "no-such-switch"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no-such-switch"), "{}", ended.err);
}
