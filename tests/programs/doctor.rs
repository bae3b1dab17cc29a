//! `wavegate doctor` names a fault between it and a PBX and the setting to change, and costs one
//! login at most.

mod audited;
mod certificates;
mod p_series;
mod several;
mod strangers;
mod ways;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::programs::{Ended, run_wavegate};
use crate::harness::{Builder, NAME, PBX, gateway};

fn simulator(api: Api) -> wavegate::simulator::Builder {
    Simulator::builder(api).recording(NAME, wav::music(3))
}

async fn run(config: &Path, rest: &[&str]) -> Ended {
    let config = config.to_str().unwrap();
    run_wavegate(&[&["doctor", "--config", config], rest].concat()).await
}

/// The doctor's findings about the only PBX of a configuration.
struct Diagnosis {
    ok: bool,
    pbx: Value,
    text: String,
}

async fn diagnose(builder: &Builder, rest: &[&str]) -> Diagnosis {
    let ended = run(&builder.write(), &[&["--json"], rest].concat()).await;
    let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
    let ok = report["ok"].as_bool().unwrap();
    assert_eq!((ended.code, ended.err.as_str()), (Some(!ok as i32), ""));
    let pbx = report["pbxs"][0].clone();
    assert_eq!(
        (pbx["ok"].as_bool(), pbx["name"].as_str()),
        (Some(ok), Some(PBX))
    );
    Diagnosis {
        ok,
        pbx,
        text: ended.out,
    }
}

impl Diagnosis {
    fn steps(&self) -> Vec<&str> {
        let steps = self.pbx["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| step["name"].as_str().unwrap())
            .collect()
    }

    /// The step with this name: its details, and its advice.
    fn step(&self, name: &str) -> (&str, Option<&str>) {
        let steps = self.pbx["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name);
        let step = step.unwrap_or_else(|| panic!("no step {name} in {}", self.text));
        assert_eq!(step["ok"].as_bool().unwrap(), step["advice"].is_null());
        (step["detail"].as_str().unwrap(), step["advice"].as_str())
    }

    /// Checks that only this step failed, that its text contains `said`, and its advice `advised`.
    #[track_caller]
    fn fails_at(&self, name: &str, said: &str, advised: &str) {
        let steps = self.pbx["steps"].as_array().unwrap();
        let failed: Vec<_> = steps.iter().filter(|step| step["ok"] == false).collect();
        assert!(
            failed.len() == 1 && failed[0]["name"] == name,
            "{}",
            self.text
        );
        let (detail, advice) = self.step(name);
        assert!(detail.contains(said), "{detail}");
        let advice = advice.unwrap();
        assert!(advice.contains(advised), "{advice}");
    }
}

#[tokio::test]
async fn a_healthy_pbx_is_shown_step_by_step() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx);
    let ended = run(&builder.write(), &["--recording", NAME]).await;
    let (url, sha256) = (pbx.url(), pbx.fingerprint());
    let expected = format!(
        "office (s-series-2.0.0 at {url})
  resolve    ok       127.0.0.1
  connect    ok       from our address 127.0.0.1
  tls        ok       TLS 1.2, the certificate is one of pbx.tls.pins
                      subject  CN=S-Series VoIP PBX
                      expires  4096-01-01
                      sha256   {sha256}
  login      ok       accepted
  list       ok       allowed
  ticket     ok       given
  recording  ok       WAV, PCM, 16 bits, 8000 Hz, mono, 3.0 s
"
    );
    assert_eq!(
        (ended.code, ended.out, ended.err),
        (Some(0), expected, String::new())
    );
    let seen = pbx.seen();
    assert_eq!(
        (
            seen.requests.login,
            seen.tickets_issued,
            seen.downloads_started
        ),
        (1, 1, 1)
    );
    assert_eq!((seen.requests.logout, seen.downloads_running), (0, 0));
}

#[tokio::test]
async fn the_document_holds_the_certificate_and_no_secret() {
    let pbx = simulator(Api::SSeries110)
        .switch(Switch::Tls13)
        .start()
        .await
        .unwrap();
    let builder = crate::harness::gateway_for(&pbx, Api::SSeries110).set("pbx.logout", true);
    let found = diagnose(&builder, &["--recording", NAME]).await;
    assert!(found.ok, "{}", found.text);
    let steps = [
        "resolve",
        "connect",
        "tls",
        "login",
        "list",
        "ticket",
        "recording",
        "logout",
    ];
    assert_eq!(found.steps(), steps);
    assert_eq!(found.pbx["api"], "s-series-1.1.0");
    let certificate = &found.pbx["certificate"];
    assert_eq!(certificate["sha256"], pbx.fingerprint());
    assert_eq!(certificate["trusted"], true);
    assert_eq!(certificate["tls"], "TLS 1.3");
    assert_eq!(
        (&certificate["x509_version"], &certificate["key"]),
        (&3.into(), &"EC, 256 bits".into())
    );
    assert_eq!(certificate["not_after"], "4096-01-01T00:00:00Z");
    for secret in pbx
        .seen()
        .secrets
        .iter()
        .map(String::as_str)
        .chain([pbx.password()])
    {
        assert!(!found.text.contains(secret), "{}", found.text);
    }
    assert_eq!((pbx.seen().logouts, pbx.tokens_live()), (1, 0));
}

#[tokio::test]
async fn a_wrong_password_costs_one_login_and_the_next_look_none() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx).password("not the password");
    let menu = "Settings > PBX > General > API";
    let said = "the PBX refused the login with errno 20003: user name or password is wrong";
    diagnose(&builder, &[]).await.fails_at("login", said, menu);
    assert_eq!(pbx.seen().requests.login, 1);
    // The doctor uses the same login history as `serve`.
    let found = diagnose(&builder, &[]).await;
    found.fails_at(
        "login",
        "no login for another",
        "--retry-login allows one more try",
    );
    assert_eq!(pbx.seen().requests.login, 1);
    let found = diagnose(&builder, &["--retry-login"]).await;
    found.fails_at("login", said, menu);
    assert_eq!(pbx.seen().requests.login, 2);
    diagnose(&builder, &[])
        .await
        .fails_at("login", "refused them twice", menu);
    assert_eq!(pbx.seen().requests.login, 2);
    assert!(!found.text.contains("not the password"));
    // Other credentials permit a new try.
    assert!(diagnose(&builder.password(pbx.password()), &[]).await.ok);
}

#[tokio::test]
async fn a_login_of_the_doctor_counts_for_a_gateway_that_runs() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx)
        .password("not the password")
        .set("pbx.login_retry_s", 1);
    let folder = builder.folder().to_owned();
    let path = builder.write();
    let gateway = builder.start().await;
    for _ in 0..2 {
        let ended = run(&path, &["--retry-login"]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-login-refused");
    assert_eq!(pbx.seen().requests.login, 2);
    assert!(
        folder
            .join("state")
            .join(format!("logins-{PBX}.json"))
            .is_file()
    );
}

#[tokio::test]
async fn a_lock_out_is_told_and_waited_for() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    for attempt in 0..5 {
        let other = gateway(&pbx).password(&format!("wrong {attempt}"));
        assert!(!diagnose(&other, &[]).await.ok);
    }
    let builder = gateway(&pbx);
    let found = diagnose(&builder, &[]).await;
    found.fails_at(
        "login",
        "errno 20002: our address is locked out",
        "tag API-IP",
    );
    diagnose(&builder, &[])
        .await
        .fails_at("login", "locked our address out", "tag API-IP");
    assert_eq!(pbx.seen().requests.login, 6);
    pbx.lift_lockout();
    assert!(diagnose(&builder, &["--retry-login"]).await.ok);
}

/// Answers to a login, and the messages about them.
#[tokio::test]
async fn doctor_explains_a_failed_login_with_its_number() {
    let no_yeastar = "not be a Yeastar";
    let errno = |number: &str| Misbehavior::Errno(number.to_owned());
    let rows = [
        (
            errno("10003"),
            "errno 10003: it does not know this call",
            "Settings > PBX > General > API",
        ),
        (
            errno("20008"),
            "errno 20008: it finds fault",
            "pbx.report_port",
        ),
        (errno("30001"), "errno 30001: something inside", "restart"),
        (errno("99999"), "errno 99999", "vendor's table"),
        (
            Misbehavior::Html { status: 200 },
            "with a web page",
            no_yeastar,
        ),
        (
            Misbehavior::Html { status: 404 },
            "with status 404",
            no_yeastar,
        ),
        (Misbehavior::WrongJson, "cannot be read", no_yeastar),
        (errno(""), "for a reason of its own", no_yeastar),
        (Misbehavior::NotJsonGarbage, "cannot be read", no_yeastar),
        (
            Misbehavior::CloseBeforeAnswer,
            "the connection broke",
            "load",
        ),
        (
            Misbehavior::HugeJson,
            "longer than any answer",
            "the server at pbx.url",
        ),
        (
            Misbehavior::Slow(Duration::from_secs(3600)),
            "within the answer limit",
            "slow or hangs",
        ),
    ];
    for (what, said, advised) in rows {
        let pbx = simulator(Api::SSeries200).start().await.unwrap();
        pbx.inject(ScriptedFault::forever(CallKind::Login, what));
        let found = diagnose(&gateway(&pbx).set("pbx.answer_timeout_ms", 1000), &[]).await;
        found.fails_at("login", said, advised);
        assert!(pbx.seen().requests.login <= 1, "{said}");
    }
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_a_recording() {
    let unknown = NAME.replace("1001", "9999");
    let rows = [
        (
            None,
            unknown.as_str(),
            "ticket",
            "errno 20012: there is no such recording",
            "CDR",
        ),
        (
            Some(Switch::FilesDeleted),
            NAME,
            "ticket",
            "errno 20014",
            "clean-up",
        ),
        (Some(Switch::DownloadErrorsAre403Html), NAME, "", "", ""),
        (
            Some(Switch::ZeroBytes),
            NAME,
            "recording",
            "with nothing",
            "own page",
        ),
        (Some(Switch::Gsm), NAME, "", "GSM 6.10", ""),
        (Some(Switch::Mp3), NAME, "", "MP3", ""),
    ];
    for (switch, name, step, said, advised) in rows {
        let mut pbx = simulator(Api::SSeries200);
        if let Some(switch) = switch {
            pbx = pbx.switch(switch);
        }
        let pbx = pbx.start().await.unwrap();
        let found = diagnose(&gateway(&pbx), &["--recording", name]).await;
        match step {
            "" => assert!(
                found.ok && found.step("recording").0.contains(said),
                "{}",
                found.text
            ),
            _ => found.fails_at(step, said, advised),
        }
        assert_eq!(pbx.seen().requests.login, 1);
    }
}

#[tokio::test]
async fn a_broken_configuration_is_not_examined() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx).set("pbx.max_downloads", 0);
    let ended = run(&builder.write(), &["--json"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""));
    assert!(ended.err.contains("pbx[0].max_downloads"), "{}", ended.err);
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn a_state_that_cannot_be_kept_keeps_it_from_logging_in() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx);
    std::fs::write(builder.folder().join("state"), "no folder").unwrap();
    let found = diagnose(&builder, &[]).await;
    found.fails_at("login", "state_dir", "correct state_dir");
    assert_eq!(pbx.seen().requests.login, 0);
}
