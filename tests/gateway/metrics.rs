//! The metrics: the numbers are right, a monitor can read them, and they reveal nothing about
//! callers.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::admin::ask_with;
use crate::harness::idp::Idp;
use crate::harness::metrics::Numbers;
use crate::harness::tls::Identity;
use crate::harness::{Gateway, NAME, PBX, expired_jwt, gateway, jwt, link, soon};

const PAGE: &str = include_str!("../../docs/metrics.md");
const RECORDING: &str = "/recordings/{name}";
const OTHER: &str = "other";

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn answers_and_downloads_are_counted() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 0).start().await;
    let before = Numbers::of(&gateway).await;
    assert_eq!(before.answered(), 0);
    assert_eq!(before.downloads(PBX, "begun"), 0);
    assert_eq!(before.at("cache_max_bytes"), 0, "it is off in this test");

    let status = async |method: Method, path: &str, token: &str| {
        let call = gateway.request(method, path).bearer(token);
        call.send().await.status().as_u16()
    };
    let (token, good) = (jwt("alice"), format!("/recordings/{NAME}"));
    for _ in 0..2 {
        gateway.fetch(NAME).await;
    }
    for (method, path, status_code) in [
        (Method::HEAD, good.as_str(), 200),
        (Method::GET, &format!("/pbx/{PBX}{good}"), 200),
        (Method::GET, "/recordings/absent.wav", 404),
        (Method::GET, "/pbx/nowhere/recordings/absent.wav", 404),
        (Method::GET, "/recordings", 400),
        (Method::GET, "/nowhere", 404),
        (Method::POST, &good, 405),
    ] {
        let answered = status(method.clone(), path, &token).await;
        assert_eq!(answered, status_code, "{method} {path}");
    }
    assert_eq!(status(Method::GET, &good, &expired_jwt("alice")).await, 401);
    pbx.add_recording("broken.wav", wav::music(1));
    let error = Misbehavior::Status(500);
    pbx.inject(ScriptedFault::forever(CallKind::Download, error));
    let broken = "/recordings/broken.wav";
    assert_eq!(status(Method::GET, broken, &token).await, 502);

    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.requests(RECORDING, 200), 3);
    assert_eq!(numbers.requests("/pbx/{pbx}/recordings/{name}", 200), 1);
    assert_eq!(numbers.requests(RECORDING, 404), 1);
    assert_eq!(numbers.requests("/pbx/{pbx}/recordings/{name}", 404), 1);
    assert_eq!(numbers.requests("/recordings", 400), 1);
    assert_eq!(numbers.requests(OTHER, 404), 1);
    assert_eq!(numbers.requests(OTHER, 405), 1);
    assert_eq!(numbers.requests(RECORDING, 401), 1);
    assert_eq!(numbers.requests(RECORDING, 502), 1);
    assert_eq!(numbers.answered(), 11);
    let (seen, begun) = (pbx.seen(), numbers.downloads(PBX, "begun"));
    let failed = numbers.downloads(PBX, "failed");
    assert_eq!(begun, seen.downloads_started);
    assert!(
        failed > 0 && begun + failed == seen.tickets_used,
        "{seen:?}"
    );
    assert_eq!(numbers.downloads(PBX, "not-found"), 1);
    assert_eq!(numbers.at("streams_open"), 0);
    assert_eq!(numbers.waiting(PBX), 0);

    // A reload keeps the counts.
    let counts = |numbers: Numbers| {
        let mut samples = numbers.samples;
        samples.retain(|sample, _| !sample.starts_with("process_"));
        samples
    };
    let ended = soon(async {
        loop {
            let numbers = Numbers::of(&gateway).await;
            if numbers.ended() == 11 {
                return counts(numbers);
            }
        }
    });
    let ended = ended.await;
    gateway.reload().unwrap();
    assert_eq!(counts(Numbers::of(&gateway).await), ended);
}

#[tokio::test]
async fn the_page_of_metrics_explains_every_number() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = gateway(&pbx).tls(&Identity::new());
    let lines = format!("jwks_url = \"{}/keys\"", idp.name());
    let lines = idp.lines(builder.folder(), &lines);
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    gateway.fetch(NAME).await;
    let numbers = soon(async {
        loop {
            let numbers = Numbers::of(&gateway).await;
            let has_keys = |sample: &String| sample.starts_with("wavegate_issuer_keys_age");
            if numbers.samples.keys().any(has_keys) {
                return numbers;
            }
        }
    })
    .await;
    // The numbers of a fleet are looked at where there is one (tests/programs/fleet/trouble.rs).
    let is_here = |row: &&str| row.starts_with("| `") && !row.contains("absent without `[shared]`");
    let rows = PAGE.lines().filter(is_here);
    let mut explained: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let samples = numbers.samples.keys();
    let told = samples.filter_map(|sample| sample.split('{').next());
    // Of a histogram the page has the name of the family.
    let parts = ["_seconds_bucket", "_seconds_count", "_seconds_sum"];
    let told = told.map(|name| {
        let family = parts.iter().find_map(|part| name.strip_suffix(part));
        family.map_or(name.to_owned(), |family| format!("{family}_seconds"))
    });
    let told: BTreeSet<String> = told.collect();
    explained.sort_unstable();
    assert_eq!(explained, told.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn metrics_show_open_streams_and_waiting_requests() {
    let (slow, hung) = (pbx().await, pbx().await);
    let stall = Misbehavior::Stall { after_bytes: 1_000 };
    slow.inject(ScriptedFault::forever(CallKind::Download, stall));
    hung.inject("any:stall-after=0:times=forever".parse().unwrap());
    let gateway = gateway(&slow)
        .beside("hung", &hung)
        .set("pbx[1].answer_timeout_ms", 600000)
        .start()
        .await;
    let gateway = Arc::new(gateway);

    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    let caller = Arc::clone(&gateway);
    let stuck = tokio::spawn(async move {
        let path = format!("/pbx/hung/recordings/{NAME}");
        let call = caller.request(Method::GET, &path);
        call.bearer(&jwt("alice")).send().await
    });
    hung.until(|seen| seen.requests.login == 1).await;

    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.at("streams_open"), 2);
    assert_eq!((numbers.waiting(PBX), numbers.waiting("hung")), (0, 1));
    assert_eq!(numbers.downloads("hung", "begun"), 0);
    assert_eq!(numbers.answered(), 1);

    drop(answer);
    stuck.abort();
    let left = async |stay: u64| {
        while Numbers::of(&gateway).await.at("streams_open") != stay {
            tokio::task::yield_now().await;
        }
    };
    crate::harness::soon(left(0)).await;
    assert_eq!(Numbers::of(&gateway).await.waiting("hung"), 0);
}

#[tokio::test]
async fn the_numbers_name_no_recording_no_person_and_no_address() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let (token, link) = (jwt("alice"), link(PBX, NAME));
    gateway.fetch(NAME).await;
    for path in [
        format!("/recordings/{NAME}?link={link}"),
        format!("/recordings/{token}"),
        format!("/pbx/{token}/recordings/{NAME}"),
        format!("/{token}"),
    ] {
        let _ = gateway.request(Method::GET, &path).send().await;
    }
    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.answered(), 5);
    let secrets = pbx.seen().secrets;
    let (address, user, password) = (pbx.addr().to_string(), pbx.username(), pbx.password());
    let (host, _) = address.split_once(':').unwrap();
    let hidden = [NAME, "alice", "bob", &token, &link, host, user, password];
    for word in hidden.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(!numbers.text.contains(word), "{word} in {}", numbers.text);
    }
}

#[tokio::test]
async fn times_bytes_and_ends_of_answers_are_counted_by_route() {
    let pbx = pbx().await;
    pbx.add_recording("cut.wav", wav::music(4));
    let gateway = gateway(&pbx).start().await;
    let recording = gateway.fetch(NAME).await;
    gateway.get("absent.wav").bearer(&jwt("alice")).send().await;
    let cut = Misbehavior::Cut {
        after_bytes: 20_000,
        with_length: true,
    };
    pbx.inject(ScriptedFault::forever(CallKind::Download, cut));
    let answer = gateway.get("cut.wav").bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.is_err());

    let numbers = ended(&gateway, 3).await;
    let of = |metric: &str| numbers.at(&format!("{metric}{{route=\"{RECORDING}\"}}"));
    assert_eq!(of("first_byte_seconds_count"), 2, "not of a refusal");
    assert_eq!(of("duration_seconds_count"), 3);
    let last = |metric: &str| {
        numbers.at(&format!(
            "{metric}_bucket{{le=\"+Inf\",route=\"{RECORDING}\"}}"
        ))
    };
    assert_eq!(
        (last("first_byte_seconds"), last("duration_seconds")),
        (2, 3)
    );
    let (sent, whole) = (of("sent_bytes_total"), recording.len() as u64);
    assert!(sent > whole && sent <= whole + 20_000, "{sent} of {whole}");
    let transfers = |end: &str| numbers.at(&format!("transfers_total{{outcome=\"{end}\"}}"));
    assert_eq!((transfers("complete"), transfers("broken")), (1, 1));
    assert_eq!((transfers("left"), transfers("withdrawn")), (0, 0));
}

/// The numbers once this many answers have ended.
async fn ended(gateway: &Gateway, answers: u64) -> Numbers {
    soon(async {
        loop {
            let numbers = Numbers::of(gateway).await;
            if numbers.ended() == answers {
                return numbers;
            }
        }
    })
    .await
}

#[tokio::test]
async fn calls_to_a_pbx_are_counted_by_operation_and_outcome() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 0).start().await;
    gateway.fetch(NAME).await;
    gateway.get("absent.wav").bearer(&jwt("alice")).send().await;
    let page = format!("/recordings?from=2025-01-01&to={}", "2025-01-02");
    let listed = gateway.request(Method::GET, &page).bearer(&jwt("alice"));
    assert_eq!(listed.send().await.status(), StatusCode::OK);
    let page = Misbehavior::Status(500);
    pbx.inject(ScriptedFault::forever(CallKind::GetRandom, page));
    pbx.add_recording("other.wav", wav::music(1));
    let answer = gateway.get("other.wav").bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);

    let (numbers, seen) = (Numbers::of(&gateway).await, pbx.seen());
    let calls = |operation: &str, outcome: &str| {
        let labels = format!("pbx=\"{PBX}\",operation=\"{operation}\",outcome=\"{outcome}\"");
        numbers.at(&format!("pbx_calls_total{{{labels}}}"))
    };
    let all = |operation: &str| {
        let outcomes = ["done", "refused", "unusable", "unanswered"];
        outcomes.map(|outcome| calls(operation, outcome))
    };
    let [done, refused, unusable, unanswered] = all("ticket");
    assert_eq!(
        done + refused + unusable,
        seen.requests.get_random,
        "{seen:?}"
    );
    assert!(
        done >= 1 && refused >= 1 && unusable >= 1,
        "{:?}",
        all("ticket")
    );
    assert_eq!(unanswered, 0);
    // A ticket and a table.
    assert_eq!(all("list"), [2, 0, 0, 0]);
    assert_eq!(all("refresh"), [0; 4]);
}

#[tokio::test]
async fn the_state_of_each_pbx_is_a_number() {
    let (well, wrong) = (pbx().await, pbx().await);
    let gateway = gateway(&well).beside("wrong", &wrong).start().await;
    let of = |metric: &str, pbx: &str, labels: &str| format!("{metric}{{pbx=\"{pbx}\"{labels}}}");
    let downloads = ",requests=\"downloads\"";
    let none = ",reason=\"none\"";
    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.find(&of("pbx_failing", PBX, downloads)), None);
    assert_eq!(numbers.find(&of("pbx_token_age_seconds", PBX, "")), None);
    assert_eq!(numbers.at(&of("pbx_logins_held_off", PBX, none)), 0);
    assert_eq!(numbers.at(&of("pbx_downloads_free", PBX, "")), 4);
    assert_eq!(
        numbers.at(&of("pbx_info", PBX, ",api=\"s-series-2.0.0\"")),
        1
    );

    let stall = Misbehavior::Stall { after_bytes: 1_000 };
    well.inject(ScriptedFault::forever(CallKind::Download, stall));
    wrong.inject("login:errno=20003:times=forever".parse().unwrap());
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    let path = format!("/pbx/wrong/recordings/{NAME}");
    let refused = gateway.request(Method::GET, &path).bearer(&jwt("alice"));
    assert_eq!(refused.send().await.status(), StatusCode::BAD_GATEWAY);

    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.at(&of("pbx_failing", PBX, downloads)), 0);
    assert_eq!(numbers.at(&of("pbx_failing", "wrong", downloads)), 1);
    assert!(numbers.at(&of("pbx_token_age_seconds", PBX, "")) < 60);
    assert_eq!(
        numbers.find(&of("pbx_token_age_seconds", "wrong", "")),
        None
    );
    assert_eq!(numbers.at(&of("pbx_logins_held_off", PBX, none)), 0);
    assert_eq!(
        numbers.find(&of("pbx_logins_held_off", "wrong", none)),
        None
    );
    let reason = ",reason=\"login-refused\"";
    assert_eq!(numbers.at(&of("pbx_logins_held_off", "wrong", reason)), 1);
    assert_eq!(numbers.at(&of("pbx_downloads_free", PBX, "")), 3);
}

#[tokio::test]
async fn the_older_text_format_is_for_those_who_accept_nothing_newer() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let newer = "application/openmetrics-text;version=1.0.0";
    let both = format!("{newer},text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    for (accept, is_plain) in [
        ("text/plain", true),
        ("*/*", false),
        (newer, false),
        (&both, false),
    ] {
        let addr = gateway.app.admin_address();
        let reply = ask_with(addr, "/metrics", &[("accept", accept)]).await;
        let plain = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(
            reply.header("content-type") == Some(plain),
            is_plain,
            "{accept}"
        );
        assert_eq!(reply.text.ends_with("# EOF\n"), !is_plain, "{accept}");
        let counter = "# TYPE wavegate_audit_lines_total counter\n";
        assert_eq!(reply.text.contains(counter), is_plain, "{accept}");
    }
}
