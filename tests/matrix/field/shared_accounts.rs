//! An account that another program also uses.
//!
//! The one API account of an S-Series is shared, and each login of the other program may end our
//! token. The kind: tokens that end every second or two, now and then, or at once; every
//! generation, including those that exchange tokens; and all this while a third of the PBX's
//! answers is broken.
//!
//! The rule must not permit more: two programs that end each other's tokens do not log in without a
//! pause, no token is renewed without a request, and a refused login counts as before (`logins`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::run_wavegate;
use crate::harness::{Gateway, NAME, admin, gateway, jwt};

/// The time within which the gateway promises to recover.
const BACK_WITHIN: Duration = Duration::from_secs(16);
/// The time for which each row of the table runs.
const WATCHED: Duration = Duration::from_secs(40);
/// Logins that replace ended tokens: this many at once, and then one after each pause.
const AT_ONCE: u64 = 5;
const PAUSE: Duration = Duration::from_secs(10);

async fn pbx(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::pcm_of_size(64 * 1024));
    builder.start().await.unwrap()
}

/// One download; the error is the reason why it was not whole.
async fn download(gateway: &Gateway, whole: &Bytes) -> Result<(), String> {
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    if answer.status() != StatusCode::OK {
        return Err(answer.problem().await.slug);
    }
    let bytes = answer.bytes().await.map_err(|_| "broken off".to_owned())?;
    assert!(bytes == *whole, "a wrong recording");
    Ok(())
}

/// The results of a gateway beside another program.
struct Row {
    api: Api,
    pause_s: u64,
    other_logins: u64,
    logins: u64,
    whole: u64,
    failed: u64,
}

async fn share(api: Api, pause_s: u64) -> Row {
    let pbx = pbx(api).await;
    let gateway = gateway(&pbx)
        .set("relay.max_reads_per_minute", 100000)
        .start()
        .await;
    let whole = pbx.recording_bytes(NAME).unwrap();
    download(&gateway, &whole).await.unwrap();
    let (mut done, mut failed) = (1, 0);
    pbx.start_other_program(Duration::from_secs(pause_s));
    let _ = timeout(WATCHED, async {
        loop {
            match download(&gateway, &whole).await {
                Ok(()) => done += 1,
                Err(_) => failed += 1,
            }
            // Like a person who clicks, not as fast as possible.
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let seen = pbx.seen();
    Row {
        api,
        pause_s,
        other_logins: seen.other_logins,
        logins: seen.logins_ok,
        whole: done,
        failed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_another_program_callers_wait_and_no_login_war_begins() {
    let mut rows = JoinSet::new();
    for api in [Api::SSeries200, Api::Cloud110, Api::PSeries] {
        for pause_s in [1, 5, 30, 120] {
            rows.spawn(share(api, pause_s));
        }
    }
    for row in rows.join_all().await {
        let Row {
            api,
            pause_s,
            other_logins,
            logins,
            whole,
            failed,
        } = row;
        println!(
            "{api}: the other program every {pause_s} s: {other_logins} logins of it, {logins} of ours, \
             {whole} downloads whole, {failed} failed"
        );
        // The first login, one for each token that was ended, and no more than the rule permits.
        let allowed = 1 + AT_ONCE + WATCHED.as_secs() / PAUSE.as_secs();
        assert!(logins <= allowed.min(1 + other_logins), "{api} {pause_s}");
        assert!(logins >= 2.min(1 + other_logins), "{api} {pause_s}");
        assert!(whole > 20, "{api} {pause_s}: {whole} whole");
        assert!(failed * 20 <= whole, "{api} {pause_s}: {failed} failed");
    }
}

#[tokio::test]
async fn with_every_token_ended_throughput_follows_the_rule() {
    let mut rows = JoinSet::new();
    for api in [Api::SSeries101, Api::Cloud110, Api::PSeries] {
        rows.spawn(ended_at_once(api));
    }
    rows.join_all().await;
}

async fn ended_at_once(api: Api) {
    let pbx = pbx(api).await;
    let gateway = gateway(&pbx).start().await;
    let begun = Instant::now();
    // The sixth renewal waits, and so does the caller.
    for logins in 1..=2 + AT_ONCE {
        gateway.fetch(NAME).await;
        assert_eq!(pbx.seen().logins_ok, logins, "{api}");
        pbx.expire_tokens();
        pbx.expire_refresh_tokens();
    }
    assert_eq!(pbx.seen().requests.login, 2 + AT_ONCE);
    assert!(begun.elapsed() >= PAUSE, "{api}");
}

#[tokio::test]
async fn a_renewal_wait_ends_at_the_queue_timeout_with_a_reason() {
    const QUEUE_TIMEOUT: Duration = Duration::from_millis(500);
    let pbx = pbx(Api::SSeries200).await;
    let builder = gateway(&pbx).set("pbx.queue_timeout_ms", 500);
    let path = builder.write();
    let gateway = builder.start().await;
    for _ in 0..=AT_ONCE {
        gateway.fetch(NAME).await;
        pbx.expire_tokens();
    }
    let begun = Instant::now();
    let problem = gateway.problem(NAME).await;
    assert!(begun.elapsed() >= QUEUE_TIMEOUT);
    assert_eq!(problem.slug, "pbx-held-off");
    let pause: u64 = problem.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=10).contains(&pause), "{pause}");

    let admin = gateway.app.admin_address();
    let reply = admin::ask(admin, http::Method::GET, "/pbxs", &[])
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&reply.text).unwrap();
    let logins = &document["pbxs"][0]["logins"];
    assert_eq!(logins["state"], "held-off");
    assert!(
        logins["reason"]
            .as_str()
            .unwrap()
            .contains("another program"),
        "{logins}"
    );
    assert_eq!(logins["renewals"], 5);
    let reply = admin::ask(admin, http::Method::GET, "/metrics", &[])
        .await
        .unwrap();
    let ended = "wavegate_pbx_tokens_ended_early_total{pbx=\"office\"} 6";
    assert!(
        reply.text.lines().any(|line| line == ended),
        "{}",
        reply.text
    );
    let ended = run_wavegate(&["doctor", "--config", path.to_str().unwrap()]).await;
    let said = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("another program that logs in"), "{said}");

    // The operator has stopped the other program, and reloads the configuration.
    gateway.reload().unwrap();
    gateway.fetch(NAME).await;
}

/// Sixteen callers, and a PBX that breaks a third of its answers. Returns the number of whole
/// downloads.
async fn broken_at_random(seed: u64) -> usize {
    const CALLERS: usize = 16;
    const DOWNLOADS: usize = 120;
    let pbx = pbx(Api::SSeries200).await;
    let whole = pbx.recording_bytes(NAME).unwrap();
    let gateway = gateway(&pbx)
        .set("relay.max_reads_per_minute", 100000)
        .set("pbx.answer_timeout_ms", 2000)
        .set("pbx.first_byte_timeout_ms", 3000)
        .set("pbx.idle_timeout_ms", 2000)
        .start()
        .await;
    let gateway = Arc::new(gateway);
    pbx.break_at_random(seed);
    let left = Arc::new(AtomicUsize::new(DOWNLOADS));
    let outcomes = Arc::new(Mutex::new(BTreeMap::<_, usize>::new()));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (gateway, whole) = (Arc::clone(&gateway), whole.clone());
        let (left, outcomes) = (Arc::clone(&left), Arc::clone(&outcomes));
        callers.spawn(async move {
            let next = |left: usize| left.checked_sub(1);
            while left.fetch_update(Relaxed, Relaxed, next).is_ok() {
                let failure = download(&gateway, &whole).await.err();
                *outcomes.lock().unwrap().entry(failure).or_default() += 1;
            }
        });
    }
    callers.join_all().await;
    pbx.stop_breaking();
    let well = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (gateway, whole) = (Arc::clone(&gateway), whole.clone());
        callers.spawn(async move {
            while download(&gateway, &whole).await.is_err() {
                assert!(well.elapsed() <= BACK_WITHIN);
            }
        });
    }
    callers.join_all().await;
    let waited = well.elapsed();
    let outcomes = outcomes.lock().unwrap();
    let done = outcomes.get(&None).copied().unwrap_or_default();
    println!("seed {seed}: {done} of {DOWNLOADS} whole, all well after {waited:?}: {outcomes:?}");
    assert!(waited <= BACK_WITHIN, "seed {seed}: {waited:?}");
    assert!(done >= DOWNLOADS / 2, "seed {seed}: {done} of {DOWNLOADS}");
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_of_answers_broken_leaves_half_whole_and_none_wrong() {
    let mut seeds = JoinSet::new();
    for seed in 1..=5 {
        seeds.spawn(broken_at_random(seed));
    }
    seeds.join_all().await;
}
