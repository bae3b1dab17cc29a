//! A listener jumps in a long recording, pauses for longer than the gateway waits, and continues.
//! Each time there is sound, and the PBX is asked once in all.

use std::time::Duration;

use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use super::{Browser, url};
use crate::harness::admin::number;
use crate::harness::{NAME, gateway, soon};

/// Reports each step once it has played from there.
const PAGE: &str = r#"<!doctype html>
<title>A long call</title>
<audio id="call" preload="auto" src="LINK"></audio>
<script>
    const call = document.getElementById("call");
    const report = (what) => fetch("/report", { method: "POST", body: JSON.stringify(what) });
    const event = (name) => new Promise((done) => call.addEventListener(name, done, { once: true }));
    const playsOn = async (from) => {
        while (call.currentTime < from + 0.5) await event("timeupdate");
    };
    const jump = async (to) => {
        const begun = performance.now();
        const seeked = event("seeked");
        call.currentTime = to;
        await seeked;
        const ms = Math.round(performance.now() - begun);
        await playsOn(to);
        await report({ step: `to ${to / 60} min`, ms, position: call.currentTime });
    };
    const listen = async () => {
        await call.play();
        await playsOn(0);
        await report({ step: "start", duration: String(call.duration), position: call.currentTime });
        for (const minute of [28, 2, 15]) await jump(minute * 60);
        call.pause();
        const place = call.currentTime;
        // The answer comes when the gateway has let go of it.
        await report({ step: "pause", position: place });
        const begun = performance.now();
        await call.play();
        const ms = Math.round(performance.now() - begun);
        await playsOn(place);
        await report({ step: "resume", ms, position: call.currentTime });
        await jump(22 * 60);
    };
    call.addEventListener("error", () => report({ error: call.error.message }));
    listen().catch((error) => report({ error: String(error) }));
</script>
"#;
/// The steps that the page reports, and the place of each in seconds.
const STEPS: [(&str, f64); 7] = [
    ("start", 0.0),
    ("to 28 min", 1680.0),
    ("to 2 min", 120.0),
    ("to 15 min", 900.0),
    ("pause", 900.0),
    ("resume", 900.0),
    ("to 22 min", 1320.0),
];
const HALF_AN_HOUR: u32 = 1800;
/// The time after which the gateway cuts a player that reads nothing.
const IDLE: Duration = Duration::from_millis(700);

/// Jumps in half an hour of audio from a PBX with these switches, and prints the time of each jump.
/// `range` has lines of `[range]`.
async fn jump_about(title: &str, switches: &[Switch], fault: Option<ScriptedFault>, range: &str) {
    let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(HALF_AN_HOUR));
    for switch in switches {
        builder = builder.switch(*switch);
    }
    if let Some(fault) = fault {
        builder = builder.fault(fault);
    }
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .cache()
        .lines("[range]", range)
        .set("relay.idle_timeout_ms", IDLE.as_millis() as u64)
        .start()
        .await;
    let Some(mut browser) = Browser::show(PAGE, &url(gateway.addr())).await else {
        return;
    };
    let mut steps = Vec::new();
    for (expected, place) in STEPS {
        let (report, _go_on) = browser.report().await;
        let step = report["step"].as_str().unwrap().to_owned();
        let position = report["position"].as_f64().unwrap();
        assert_eq!(step, expected);
        assert!((place + 0.5..place + 30.0).contains(&position), "{report}");
        if let Some(ms) = report["ms"].as_u64() {
            steps.push(format!("{step} {ms} ms"));
        }
        match &*step {
            "start" => {
                let duration = &report["duration"];
                let told: Option<f64> = duration.as_str().and_then(|text| text.parse().ok());
                assert!(
                    told.is_some_and(|told| (told - 1800.0).abs() < 1.0),
                    "{duration}"
                );
            }
            "pause" => {
                tokio::time::sleep(2 * IDLE).await;
                let admin = gateway.app.admin_address();
                soon(async { while number(admin, "wavegate_streams_open").await > 0 {} }).await;
            }
            _ => {}
        }
    }
    println!("{title}: {}", steps.join(", "));

    let seen = pbx.seen();
    let calls = (
        seen.tickets_issued,
        seen.requests.get_random,
        seen.requests.download,
    );
    assert_eq!(calls, (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_and_a_pause_cost_one_ticket_where_the_length_is_told() {
    jump_about("length told", &[Switch::DownloadWithLength], None, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_told_length_jumps_and_a_pause_cost_one_ticket() {
    // Longer than by default, since the simulator is slow on a busy machine.
    jump_about("length not told", &[], None, "wait_ms = 30000").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_ahead_of_what_has_been_read_waits_for_it() {
    let throttle = Misbehavior::Throttle {
        bytes_per_s: 4_000_000,
    };
    let slow = ScriptedFault::forever(CallKind::Download, throttle);
    let switches = [Switch::DownloadWithLength];
    jump_about("length told, 4 MB/s", &switches, Some(slow), "").await;
}
