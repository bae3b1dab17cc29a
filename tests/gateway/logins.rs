//! The gateway never locks itself, and every program behind its address, out of the PBX.
//!
//! The fifth refused login in a row blocks the address for ten minutes. So the gateway counts
//! refusals across restarts: these tests start the real program again and again with one state
//! folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use wavegate::app::GatewayParts;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::programs::{run_wavegate, serve};
use crate::harness::{Builder, Call, NAME, PBX, Problem, gateway, jwt};

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

fn ask(addr: std::net::SocketAddr) -> Call {
    Call::new(addr, Method::GET, &format!("/recordings/{NAME}")).bearer(&jwt("alice"))
}

async fn problem(addr: std::net::SocketAddr) -> Problem {
    ask(addr).send().await.problem().await
}

fn retry_after(problem: &Problem) -> u64 {
    let seconds = problem.headers["retry-after"].to_str().unwrap();
    seconds.parse().unwrap()
}

#[tokio::test]
async fn logins_whose_answer_is_lost_do_not_add_up_to_a_lock_out() {
    let pbx = pbx().await;
    pbx.inject(ScriptedFault::forever(
        CallKind::Login,
        Misbehavior::Slow(Duration::from_secs(3600)),
    ));
    let gateway = gateway(&pbx)
        .password("not the password")
        .set("pbx.answer_timeout_ms", 100)
        .start()
        .await;
    let mut slugs = Vec::new();
    for _ in 0..8 {
        slugs.push(gateway.problem(NAME).await.slug);
    }
    assert_eq!(slugs[..2], ["pbx-timeout"; 2]);
    assert_eq!(slugs[2..], ["pbx-held-off"; 6]);
    // On a busy machine a login may time out before it is sent.
    assert!(pbx.seen().requests.login <= 2);
}

#[tokio::test]
async fn restarts_during_a_slow_login_count_as_no_refusal() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let path = builder.write();
    for _ in 0..3 {
        pbx.inject(ScriptedFault::once(
            CallKind::Login,
            Misbehavior::Slow(Duration::from_millis(300)),
        ));
        let before = pbx.seen().connections;
        let (running, addr) = serve(&path).await;
        let asking = tokio::spawn(ask(addr).try_send());
        pbx.until(|seen| seen.connections > before).await;
        assert_eq!(running.stop().await.code, Some(0));
        let _ = asking.await;
    }
    let (running, addr) = serve(&path).await;
    assert_eq!(ask(addr).send().await.status(), StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn five_starts_with_a_wrong_password_cost_two_logins() {
    let pbx = pbx().await;
    let builder = gateway(&pbx)
        .password("not the password")
        .set("pbx.login_retry_s", 1);
    let path = builder.write();
    let mut answers = Vec::new();
    for _ in 0..5 {
        let (running, addr) = serve(&path).await;
        let mut answer = problem(addr).await;
        if answer.slug == "pbx-held-off" {
            answers.push(answer.slug);
            // `Retry-After` says how long to wait.
            let pause = answer.headers["retry-after"].to_str().unwrap();
            assert_eq!(pause, "1");
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer = problem(addr).await;
        }
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        answers.push(answer.slug);
        let ended = running.stop().await;
        assert_eq!(ended.code, Some(0));
        // Each refusal tells the operator what to do.
        assert!(
            ended.err.contains("compare pbx.username and the password"),
            "{}",
            ended.err
        );
    }
    assert_eq!(pbx.seen().requests.login, 2);
    answers.retain(|slug| slug != "pbx-held-off");
    assert_eq!(answers, ["pbx-login-refused"; 5]);

    let _builder = builder.password(pbx.password());
    let (running, addr) = serve(&path).await;
    let answer = ask(addr).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == pbx.recording_bytes(NAME).unwrap());
    assert_eq!(running.stop().await.code, Some(0));
    let seen = pbx.seen();
    assert_eq!((seen.requests.login, seen.logins_ok), (3, 1));
}

#[tokio::test]
async fn a_lock_out_stops_logins_until_its_end_or_a_reload() {
    let pbx = pbx().await;
    // Another program behind our address.
    for attempt in 0..5 {
        let other = gateway(&pbx).password(&format!("wrong {attempt}"));
        let other = other.start().await;
        assert_eq!(other.problem(NAME).await.slug, "pbx-login-refused");
    }
    let builder = gateway(&pbx).set("log.level", "debug");
    let path = builder.write();
    for start in 0..3 {
        let (running, addr) = serve(&path).await;
        for _ in 0..2 {
            let problem = problem(addr).await;
            assert_eq!(problem.slug, "pbx-held-off", "start {start}");
            assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!((500..=600).contains(&retry_after(&problem)));
        }
        if start == 2 {
            pbx.lift_lockout();
            running.signal("HUP");
            let read_again = |log: &str| log.contains("the configuration was read again");
            running.err.until(read_again).await;
            assert_eq!(ask(addr).send().await.status(), StatusCode::OK);
        }
        assert_eq!(running.stop().await.code, Some(0));
    }
    // Five logins of the other program, one that met the block, and the last one.
    assert_eq!(pbx.seen().requests.login, 7);
}

#[tokio::test]
async fn tokens_that_keep_dying_early_do_not_cost_a_login_each() {
    let pbx = pbx().await;
    pbx.inject(ScriptedFault::forever(
        CallKind::GetRandom,
        Misbehavior::DeadTokenAfterTicket,
    ));
    let builder = gateway(&pbx).set("pbx.queue_timeout_ms", 50);
    let path = builder.write();
    let gateway = builder.start().await;

    // Three requests with two tokens each: the first login, and five that replace a dead token.
    for _ in 0..3 {
        assert_eq!(gateway.problem(NAME).await.slug, "pbx-token-refused");
    }
    for _ in 0..5 {
        let problem = gateway.problem(NAME).await;
        assert_eq!(problem.slug, "pbx-held-off");
        assert!((1..=10).contains(&retry_after(&problem)));
    }
    assert_eq!(pbx.seen().requests.login, 6);

    // The other program is gone, and the operator reloads the configuration.
    pbx.clear_faults();
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-held-off");
    gateway
        .app
        .reload(GatewayParts::load(&path).unwrap())
        .unwrap();
    gateway.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 7);
}

#[tokio::test]
async fn a_state_that_cannot_be_kept_is_an_error_at_start() {
    let history = format!("logins-{PBX}.json");
    type Spoil = fn(&Path, &Path);
    let rows: [(&str, Spoil); 5] = [
        ("a damaged file", |_, file| {
            std::fs::write(file, "{\"refusals\": 1, ").unwrap()
        }),
        ("an empty file", |_, file| std::fs::write(file, "").unwrap()),
        ("a folder in the file's place", |_, file| {
            std::fs::create_dir(file).unwrap()
        }),
        ("a folder in the way of writing", |_, file| {
            std::fs::create_dir(file.with_extension("json.new")).unwrap()
        }),
        ("a file in the folder's place", |folder, _| {
            std::fs::remove_dir(folder).unwrap();
            std::fs::write(folder, "").unwrap();
        }),
    ];
    for (name, spoil) in rows {
        let pbx = pbx().await;
        let builder: Builder = gateway(&pbx);
        let path: PathBuf = builder.write();
        let folder = builder.folder().join("state");
        std::fs::create_dir(&folder).unwrap();
        spoil(&folder, &folder.join(&history));

        let ended = run_wavegate(&["serve", "--config", path.to_str().unwrap()]).await;

        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        let line = ended.err.lines().last().unwrap();
        assert!(
            line.contains("\"ERROR\"") && line.contains("state_dir"),
            "{name}: {line}"
        );
        assert!(line.contains(folder.to_str().unwrap()), "{name}: {line}");
        assert_eq!(pbx.seen().connections, 0);
    }
}

#[tokio::test]
async fn a_possible_refusal_is_not_retried_at_every_request() {
    for (answer, most) in [
        ("html=401", 1),
        ("status=403", 1),
        ("html=200", 2),
        ("status=400", 2),
        ("garbage", 2),
        ("errno=99999", 2),
    ] {
        for api in [Api::SSeries200, Api::PSeries] {
            let fault = format!("login:{answer}:times=forever").parse().unwrap();
            let pbx = Simulator::builder(api).fault(fault).start().await.unwrap();
            let gateway = gateway(&pbx).start().await;
            for _ in 0..10 {
                let status = gateway.problem(NAME).await.status;
                assert!(status.is_server_error(), "{api} {answer}");
            }
            assert!(pbx.seen().requests.login <= most, "{api} {answer}");
        }
    }
}
