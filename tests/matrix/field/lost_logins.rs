//! Logins without an answer, with credentials that were accepted before.
//!
//! A PBX that starts up resets the login call, lets it hang, or answers with a page or a status
//! from 500 on. The kind: answers cut in the middle, garbage, a refused connection, the calls that
//! replace a login on Cloud and P-Series, and restarts of the gateway meanwhile.
//!
//! The rule must not permit more: credentials that were never accepted are tried with the caution
//! of `logins`, a refusal ends the trust at once, and earlier tries that the PBX may have judged
//! then count as failures.

use std::path::Path;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use wavegate::app::{App, GatewayParts};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::programs::run_wavegate;
use crate::harness::{Call, Gateway, NAME, admin, gateway, gateway_for, jwt, soon, write_secret};

/// The time that the PBX takes to start.
const OUTAGE: Duration = Duration::from_secs(20);
/// The time within which the gateway promises to recover.
const BACK_WITHIN: Duration = Duration::from_secs(16);

async fn pbx(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

/// Ends all tokens, including the refresh tokens.
fn end_tokens(pbx: &Simulator) {
    pbx.expire_tokens();
    pbx.expire_refresh_tokens();
}

/// Requests the recording until it comes. Returns the number of failures.
async fn until_well(gateway: &Gateway) -> u32 {
    let mut failures = 0;
    loop {
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        if answer.status() == StatusCode::OK {
            answer.bytes().await.unwrap();
            return failures;
        }
        assert!(answer.status().is_server_error(), "{}", answer.status());
        answer.problem().await;
        failures += 1;
    }
}

/// A PBX that starts up for a while, after it accepted the credentials. Returns the number of
/// failed requests meanwhile.
async fn outage(api: Api, call: &str, trouble: &str) -> u32 {
    let pbx = pbx(api).await;
    let gateway = gateway(&pbx).start().await;
    gateway.fetch(NAME).await;
    let tries = || {
        let requests = pbx.seen().requests;
        requests.login + requests.refresh
    };
    pbx.inject(format!("{call}:{trouble}:times=forever").parse().unwrap());
    match call {
        "refresh" => pbx.expire_tokens(),
        _ => end_tokens(&pbx),
    }
    let before = tries();
    let asking = until_well(&gateway);
    let ending = async {
        sleep(OUTAGE).await;
        let tries = tries() - before;
        pbx.clear_faults();
        (Instant::now(), tries)
    };
    let (failures, (well, tries)) = tokio::join!(asking, ending);
    let waited = well.elapsed();
    println!("{api} {call}:{trouble}: {tries} tries, {failures} failures, back after {waited:?}");
    assert!(waited <= BACK_WITHIN, "{api} {trouble}: {waited:?}");
    // At 0, 1, 3, 7 and 15 s. A refused exchange before them is one more call.
    assert!(tries <= 6, "{api} {trouble}: {tries}");
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_login_is_over_soon_after_the_pbx_is_well() {
    let apis = [Api::SSeries200, Api::Cloud110, Api::PSeries];
    let troubles = [
        "reset-after=0",
        "slow=3600s",
        "html=200",
        "html=503",
        "status=500",
        "close-before-answer",
        "cut-after=9",
        "garbage",
    ];
    let mut outages = tokio::task::JoinSet::new();
    for api in apis {
        for trouble in troubles {
            outages.spawn(outage(api, "login", trouble));
        }
    }
    // The pair of tokens is still valid, and no login is spent.
    for trouble in [
        "reset-after=0",
        "slow=3600s",
        "status=500",
        "close-before-answer",
    ] {
        outages.spawn(outage(Api::PSeries, "refresh", trouble));
    }
    for failures in outages.join_all().await {
        // At most one failure for each login that was tried.
        assert!(failures <= 6, "{failures}");
    }
}

#[tokio::test]
async fn a_refusal_ends_trust_and_counts_lost_tries_as_failures() {
    let pbx = pbx(Api::SSeries200).await;
    let builder = gateway(&pbx).set("pbx.login_retry_s", 1);
    let path = builder.write();
    let gateway = builder.start().await;
    gateway.fetch(NAME).await;
    // The PBX judges these logins, but their answers are lost.
    pbx.set_password("another one");
    pbx.inject(ScriptedFault::times(
        3,
        CallKind::Login,
        Misbehavior::Reset { after_bytes: 0 },
    ));
    end_tokens(&pbx);
    let mut slugs = Vec::new();
    for _ in 0..4 {
        slugs.push(gateway.problem(NAME).await.slug);
    }
    assert_eq!(slugs[3], "pbx-login-refused", "{slugs:?}");
    assert!(
        slugs[..3].iter().all(|slug| slug == "pbx-unreachable"),
        "{slugs:?}"
    );
    // A fifth failure in a row would lock our address out.
    let held_off = gateway.problem(NAME).await;
    assert_eq!(held_off.slug, "pbx-held-off");
    let pause: u64 = held_off.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((590..=600).contains(&pause), "{pause}");
    let logins = logins(&gateway).await;
    assert_eq!(logins["state"], "held-off");
    assert_eq!(
        (&logins["refused"], &logins["unanswered"]),
        (&1.into(), &3.into())
    );
    assert_eq!(logins["accepted"], false);
    assert!(gateway.app.shut_down().await);
    assert_eq!(
        (pbx.seen().requests.login, pbx.seen().logins_refused),
        (5, 4)
    );

    // A restart changes nothing.
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    let addr = app.plain_addresses()[0];
    let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
    let problem = call.bearer(&jwt("alice")).send().await.problem().await;
    assert_eq!(problem.slug, "pbx-held-off");
    assert_eq!(pbx.seen().requests.login, 5);
}

#[tokio::test]
async fn a_refusal_after_one_lost_try_leaves_one_more_try_as_ever() {
    let pbx = pbx(Api::SSeries200).await;
    let gateway = gateway(&pbx).set("pbx.login_retry_s", 1).start().await;
    gateway.fetch(NAME).await;
    pbx.set_password("another one");
    pbx.inject(ScriptedFault::once(
        CallKind::Login,
        Misbehavior::Reset { after_bytes: 0 },
    ));
    end_tokens(&pbx);
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-unreachable");
    soon(async {
        while pbx.seen().requests.login < 4 {
            gateway.problem(NAME).await;
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    // After two refusals no login is tried until the credentials change.
    for _ in 0..3 {
        assert_eq!(gateway.problem(NAME).await.slug, "pbx-login-refused");
    }
    assert_eq!(logins(&gateway).await["state"], "stopped");
    assert_eq!(
        (pbx.seen().requests.login, pbx.seen().logins_refused),
        (4, 3)
    );
}

#[tokio::test]
async fn the_trust_belongs_to_one_password_and_not_to_the_next() {
    let pbx = pbx(Api::SSeries200).await;
    let builder = gateway(&pbx).set("pbx.answer_timeout_ms", 200);
    builder.write();
    let gateway = builder.start().await;
    gateway.fetch(NAME).await;
    write_secret(&gateway.folder().join("password"), "another one");
    pbx.inject(ScriptedFault::forever(
        CallKind::Login,
        Misbehavior::Slow(Duration::from_secs(3600)),
    ));
    gateway.reload().unwrap();
    let mut slugs = Vec::new();
    for _ in 0..6 {
        slugs.push(gateway.problem(NAME).await.slug);
    }
    // These credentials were never accepted, so the gateway is cautious.
    assert_eq!(slugs[2..], ["pbx-held-off"; 4], "{slugs:?}");
    let logins = logins(&gateway).await;
    assert_eq!(
        (&logins["accepted"], &logins["unanswered"]),
        (&false.into(), &2.into())
    );
}

#[tokio::test]
async fn pbxs_and_doctor_say_why_logins_wait_and_until_when() {
    let pbx = pbx(Api::SSeries200).await;
    let builder = gateway(&pbx)
        .set("pbx.queue_timeout_ms", 0)
        .set("pbx.answer_timeout_ms", 200);
    let path = builder.write();
    let gateway = builder.start().await;
    gateway.fetch(NAME).await;
    pbx.inject(ScriptedFault::forever(
        CallKind::Login,
        Misbehavior::Slow(Duration::from_secs(3600)),
    ));
    end_tokens(&pbx);
    // Up to the pause of fifteen seconds, so that there is time to look.
    until_counted(&gateway, "unanswered", 5).await;
    let told = logins(&gateway).await;
    assert_eq!(
        (&told["state"], &told["accepted"]),
        (&"held-off".into(), &true.into())
    );
    assert!(
        told["reason"].as_str().unwrap().contains("got no answer"),
        "{told}"
    );
    assert!(told["until"].as_str().unwrap().ends_with('Z'), "{told}");
    let said = doctor(&path).await;
    assert!(
        said.contains("got no answer") && said.contains("until 20"),
        "{said}"
    );

    pbx.clear_faults();
    pbx.set_password("another one");
    until_counted(&gateway, "refused", 1).await;
    let told = logins(&gateway).await;
    assert_eq!(
        (&told["state"], &told["accepted"]),
        (&"held-off".into(), &false.into())
    );
    assert!(
        !told["reason"].as_str().unwrap().contains("got no answer"),
        "{told}"
    );
    let said = doctor(&path).await;
    assert!(said.contains("would lock our address out"), "{said}");
}

/// Requests a recording until this many logins have ended in this way.
async fn until_counted(gateway: &Gateway, way: &str, count: u32) {
    soon(async {
        while logins(gateway).await[way] != count {
            gateway.problem(NAME).await;
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// The state of the logins to the PBX, as the admin listener reports it.
async fn logins(gateway: &Gateway) -> Value {
    let admin = gateway.app.admin_address();
    let reply = admin::ask(admin, Method::GET, "/pbxs", &[]).await.unwrap();
    let document: Value = serde_json::from_str(&reply.text).unwrap();
    document["pbxs"][0]["logins"].clone()
}

/// The output of `wavegate doctor`, with its lines joined.
async fn doctor(config: &Path) -> String {
    let ended = run_wavegate(&["doctor", "--config", config.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_login_that_hangs_is_given_up_with_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let simulated = Simulator::builder(Api::SSeries200)
        .switch(Switch::PlainHttp)
        .start();
    let simulated = simulated.await.unwrap();
    let gateway = gateway_for(&simulated, Api::SSeries200)
        .pbx_url(url)
        .without_pin()
        .set("pbx.answer_timeout_ms", 600000)
        .start()
        .await;
    let asking = gateway.get(NAME).bearer(&jwt("alice")).send();
    let serving = async {
        answer(&listener, "login", r#"{"status":"Success","token":"a"}"#).await;
        answer(
            &listener,
            "get_random",
            r#"{"status":"Failed","errno":"20004"}"#,
        )
        .await;
        let (mut hanging, head) = request(&listener).await;
        assert!(head.contains("login"), "{head}");
        // The gateway closes the connection, and sends nothing before that.
        let mut rest = Vec::new();
        let _ = soon(hanging.read_to_end(&mut rest)).await;
    };
    let (answer, ()) = tokio::join!(asking, serving);
    assert_eq!(answer.problem().await.slug, "pbx-timeout");
}

/// Accepts one request, and returns its first line.
async fn request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = soon(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(count, 0, "a request");
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| {
            rest.lines()
                .next()
                .unwrap()
                .trim()
                .parse::<usize>()
                .unwrap()
        });
        if body.len() >= length {
            let first = head.lines().next().unwrap().to_owned();
            return (stream, first);
        }
    }
}

async fn answer(listener: &TcpListener, path: &str, json: &str) {
    let (mut stream, head) = request(listener).await;
    assert!(head.contains(path), "{head}");
    let length = json.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{json}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
}
