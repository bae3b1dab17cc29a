//! People get a page that states the problem and the next step, or a redirect to sign in. Programs
//! get problem documents with the same status. A page repeats nothing of the request but the
//! recording's name, as text.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{
    Answer, Builder, Call, Gateway, NAME, PBX, expired_jwt, gateway, jwt, link, link_from,
};

const PUBLIC: &str = "https://recordings.example";
/// The fields that browsers send when a user opens a link.
const CHROME: &[(&str, &str)] = &[
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "cross-site"),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
];
/// The fields of browsers over plain HTTP, and of old browsers.
const OLD: &[(&str, &str)] = &[(
    "accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
)];
const CURL: &[(&str, &str)] = &[("accept", "*/*")];
/// The fields of an `<audio>` element. [`SCRIPT`] has those of a script that wants HTML.
const AUDIO: &[(&str, &str)] = &[
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-dest", "audio"),
    ("accept", "*/*"),
];
const SCRIPT: &[(&str, &str)] = &[
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("accept", "text/html"),
];

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

fn with(mut call: Call, fields: &[(&str, &str)]) -> Call {
    for (name, value) in fields {
        call = call.header(name, value);
    }
    call
}

/// The text of a page, after the checks that apply to every page.
async fn page(answer: Answer) -> String {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let policy = answer.header("content-security-policy").unwrap().to_owned();
    let status = answer.status();
    let id = answer.header("x-request-id").unwrap().to_owned();
    let html = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
    for part in [
        "<!DOCTYPE html>",
        "<html lang=\"en\">",
        "<title>",
        "<h1>",
        "<main>",
        "prefers-color-scheme",
        &id,
        status.as_str(),
    ] {
        assert!(html.contains(part), "{part}");
    }
    for part in [
        "<script",
        "src=",
        "http://",
        "https://",
        "url(",
        "@import",
        "<form",
        "javascript:",
        "style=\"",
    ] {
        assert!(!html.contains(part), "{part}");
    }
    is_strict(&policy, &html);
    html
}

/// Asserts that the page may load nothing, and may use no style but its own.
fn is_strict(policy: &str, html: &str) {
    use aws_lc_rs::digest;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let (_, style) = html.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let directives: Vec<&str> = policy.split("; ").collect();
    for directive in [
        "default-src 'none'",
        &format!("style-src 'sha256-{hash}'"),
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(directives.contains(&directive), "{policy}");
    }
    assert!(
        policy.contains("frame-ancestors 'self'") && !policy.contains('*'),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("data:"),
        "{policy}"
    );
}

#[tokio::test]
async fn browsers_get_pages_and_programs_get_problem_json() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let path = format!("/recordings/{NAME}");
    let bearer = format!("Bearer {}", jwt("alice"));
    let expired = format!("Bearer {}", expired_jwt("alice"));
    let link = format!("?link={}", link(PBX, NAME));
    for (target, authorization, slug, status) in [
        (path.clone(), None, "bearer-token-missing", 401),
        (path.clone(), Some(&expired), "bearer-token-invalid", 401),
        (
            format!("{path}?link=rubbish"),
            None,
            "link-token-invalid",
            401,
        ),
        (
            format!("/recordings/other.wav{link}"),
            None,
            "link-for-another-recording",
            403,
        ),
        ("/nowhere".to_owned(), None, "no-such-resource", 404),
        (
            "/recordings/none.wav".to_owned(),
            Some(&bearer),
            "recording-not-found",
            404,
        ),
        (
            "/recordings/.wav".to_owned(),
            Some(&bearer),
            "recording-name-invalid",
            400,
        ),
        (
            "/recordings?page_size=x".to_owned(),
            Some(&bearer),
            "list-parameter-invalid",
            400,
        ),
    ] {
        let ask = |method: Method, fields: &[(&str, &str)]| {
            let call = with(gateway.request(method, &target), fields);
            match authorization {
                Some(field) => call.header("authorization", field).send(),
                None => call.send(),
            }
        };
        for fields in [CHROME, OLD] {
            let answer = ask(Method::GET, fields).await;
            assert_eq!(answer.status(), status, "{slug}");
            let html = page(answer).await;
            assert!(!html.contains(slug), "people have no use for {slug}");
        }
        for fields in [CURL, AUDIO, SCRIPT, &[]] {
            let problem = ask(Method::GET, fields).await.problem().await;
            assert_eq!((&*problem.slug, problem.status.as_u16()), (slug, status));
            assert!(!problem.headers.contains_key("content-security-policy"));
        }
        if !target.starts_with("/recordings?") {
            let answer = ask(Method::HEAD, CHROME).await;
            assert_eq!(answer.status(), status, "{slug}");
            assert_eq!(
                answer.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            assert!(answer.bytes().await.unwrap().is_empty());
        }
    }
    // A recording that exists is audio for browsers and for programs.
    for fields in [CHROME, OLD, CURL, AUDIO] {
        let call = with(
            gateway.request(Method::GET, &format!("{path}{link}")),
            fields,
        );
        let answer = call.send().await;
        assert_eq!(
            (answer.status(), answer.header("content-type")),
            (StatusCode::OK, Some("audio/wav"))
        );
    }
}

#[tokio::test]
async fn the_page_of_an_invalid_link_leads_to_the_recording() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let elsewhere = link_from(PBX, NAME, Some("203.0.113.7".parse().unwrap()));
    for path in [
        format!("/recordings/{NAME}"),
        format!("/pbx/{PBX}/recordings/{NAME}"),
    ] {
        for token in ["rubbish", &elsewhere] {
            let target = format!("{path}?link={token}&download=1");
            let answer = with(gateway.request(Method::GET, &target), CHROME)
                .send()
                .await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            let html = page(answer).await;
            assert!(html.contains(&format!("<a href=\"{path}\">{NAME}</a>")));
            assert!(!html.contains(token));
        }
    }
    // The page of any other problem has no link.
    let answer = with(gateway.get(NAME), CHROME).send().await;
    assert!(!page(answer).await.contains("<a "));
}

#[tokio::test]
async fn pages_repeat_only_the_recordings_name_and_escape_it() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let marks = [
        "<script>alert(1)</script>",
        "\"onmouseover=alert(1) \"",
        "'><b>x",
        "&lt;&#60;",
        "</title></style><img>",
    ];
    for mark in marks {
        let encoded: String = mark.bytes().map(|byte| format!("%{byte:02X}")).collect();
        if mark.contains('/') {
            // The name of a recording cannot contain a slash.
            let target = format!("/recordings/{encoded}?link=x");
            let html = page(
                with(gateway.request(Method::GET, &target), CHROME)
                    .send()
                    .await,
            )
            .await;
            assert!(!html.contains("alert") && !html.contains("<img"));
            continue;
        }
        let target = format!("/recordings/{encoded}?link=MARK&{encoded}={encoded}");
        let call = with(gateway.request(Method::GET, &target), CHROME);
        let call = call
            .header("user-agent", mark)
            .header("referer", mark)
            .header("x-request-id", mark);
        let html = page(call.header("accept-language", mark).send().await).await;
        assert!(!html.contains(mark) && !html.contains("MARK"), "{mark}");
        let text = mark
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let text = text.replace('"', "&quot;").replace('\'', "&#39;");
        assert_eq!(html.matches(&text).count(), 1, "{mark}");
        let places = format!("/pbx/{encoded}/recordings/a.wav?link=x");
        let html = page(
            with(gateway.request(Method::GET, &places), CHROME)
                .send()
                .await,
        )
        .await;
        assert!(!html.contains(mark), "{mark}");
    }
    for target in [
        "/%3Cscript%3E",
        "/recordings/a.wav?page_size=%3Cscript%3E",
        "/recordings?from=%3Cscript%3E",
    ] {
        let call = with(gateway.request(Method::GET, target), CHROME).bearer(&jwt("alice"));
        let html = page(call.send().await).await;
        assert!(!html.to_lowercase().contains("script"), "{target}");
    }
}

fn with_login(builder: Builder) -> Builder {
    builder.set("server.public_url", PUBLIC).set(
        "auth.login_url",
        "https://sso.example/start?app=calls&rd={return}",
    )
}

/// A request from a browser to the public name.
fn ask(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Call {
    let call = gateway
        .request(Method::GET, target)
        .header("host", "recordings.example");
    with(call, fields)
}

#[tokio::test]
async fn a_browser_without_a_credential_is_sent_to_sign_in_and_back() {
    let pbx = pbx().await;
    let limits = "address_failures_per_minute = 1";
    let gateway = with_login(gateway(&pbx))
        .limits()
        .lines("[limits]", limits)
        .start()
        .await;
    let host = "https%3A%2F%2Frecordings.example";
    for (target, back) in [
        (
            format!("/recordings/{NAME}"),
            format!("%2Frecordings%2F{NAME}"),
        ),
        (
            format!("/recordings/{NAME}?download=1"),
            format!("%2Frecordings%2F{NAME}%3Fdownload%3D1"),
        ),
        (
            format!("/recordings/{NAME}?evil=https://evil.example&x=%0d%0aset-cookie:a"),
            format!("%2Frecordings%2F{NAME}"),
        ),
        (
            "/pbx/office/recordings/a%2Bb%20c%26d.wav".to_owned(),
            "%2Fpbx%2Foffice%2Frecordings%2Fa%252Bb%2520c%2526d.wav".to_owned(),
        ),
        ("/recordings".to_owned(), "%2Frecordings".to_owned()),
    ] {
        for fields in [CHROME, OLD] {
            let answer = ask(&gateway, &target, fields).send().await;
            assert_eq!(answer.status(), StatusCode::FOUND, "{target}");
            let location = answer.header("location").unwrap();
            let expected = format!("https://sso.example/start?app=calls&rd={host}{back}");
            assert_eq!(location, expected);
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert!(answer.bytes().await.unwrap().is_empty());
        }
    }
    // Programs, players and scripts get the error and no redirect.
    for fields in [CURL, AUDIO, SCRIPT] {
        let answer = ask(&gateway, &format!("/recordings/{NAME}"), fields)
            .send()
            .await;
        assert!(matches!(answer.status().as_u16(), 401 | 429));
        assert_eq!(answer.header("location"), None);
    }
    // A browser still gets the redirect.
    let answer = ask(&gateway, &format!("/recordings/{NAME}"), CHROME)
        .send()
        .await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn wrong_credentials_and_addresses_lead_to_no_sign_in() {
    let pbx = pbx().await;
    let gateway = with_login(gateway(&pbx)).start().await;
    let expired = format!("Bearer {}", expired_jwt("alice"));
    let path = format!("/recordings/{NAME}");
    for (target, field) in [
        (path.clone(), Some(&*expired)),
        (path.clone(), Some("Bearer")),
        (path.clone(), Some("Basic YTpi")),
        (format!("{path}?link=rubbish"), None),
        (format!("{path}?link="), None),
        (format!("{path}?access_token=x"), None),
    ] {
        let mut call = ask(&gateway, &target, CHROME);
        if let Some(field) = field {
            call = call.header("authorization", field);
        }
        let answer = call.send().await;
        assert_eq!(
            (answer.status(), answer.header("location")),
            (StatusCode::UNAUTHORIZED, None),
            "{target}"
        );
        page(answer).await;
    }
    for (target, status) in [
        ("/nowhere", 404),
        ("/recordings/.wav", 400),
        ("/recordings/a/b", 404),
    ] {
        let answer = ask(&gateway, target, CHROME).send().await;
        assert_eq!(
            (answer.status().as_u16(), answer.header("location")),
            (status, None)
        );
    }
    let other = with(gateway.request(Method::GET, &path), CHROME).header("host", "evil.example");
    let answer = other.send().await;
    assert_eq!(
        (answer.status().as_u16(), answer.header("location")),
        (421, None)
    );
    let signed_in = ask(&gateway, &path, CHROME)
        .bearer(&jwt("alice"))
        .send()
        .await;
    assert_eq!(signed_in.status(), StatusCode::OK);
}

#[tokio::test]
async fn login_url_needs_a_public_url_and_its_placeholder() {
    let pbx = pbx().await;
    for (server, login, words) in [
        ("", "https://sso.example/?rd={return}", "server.public_url"),
        (
            "public_url = \"https://a.example\"",
            "https://sso.example/",
            "{return}",
        ),
        (
            "public_url = \"https://a.example\"",
            "/start?rd={return}",
            "http or https",
        ),
        (
            "public_url = \"https://a.example\"",
            "https://u:p@sso.example/?rd={return}",
            "user name",
        ),
    ] {
        let builder = gateway(&pbx)
            .lines("[server]", server)
            .set("auth.login_url", login);
        let problems = wavegate::app::GatewayParts::load(&builder.write())
            .unwrap_err()
            .to_string();
        assert!(
            problems.starts_with("auth.login_url: ") && problems.contains(words),
            "{problems}"
        );
    }
}

#[tokio::test]
async fn listed_sites_frame_recordings_and_all_sites_frame_links() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("cors.origins", ["https://crm.example"])
        .start()
        .await;
    let policy = |answer: &Answer| {
        let policy = answer.header("content-security-policy");
        policy.map(str::to_owned)
    };
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    let listed = "frame-ancestors 'self' https://crm.example";
    assert_eq!(policy(&answer).as_deref(), Some(listed));
    let by_link = format!("/recordings/{NAME}?link={}", link(PBX, NAME));
    let answer = gateway.request(Method::GET, &by_link).send().await;
    assert_eq!((answer.status(), policy(&answer)), (StatusCode::OK, None));
}

#[tokio::test]
async fn listed_origins_may_show_a_page_in_a_frame_and_no_others() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("cors.origins", ["https://crm.example"])
        .start()
        .await;
    let answer = with(gateway.get(NAME), CHROME).send().await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.ends_with("frame-ancestors 'self' https://crm.example"),
        "{policy}"
    );
}

#[tokio::test]
async fn a_page_says_when_to_try_again() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .limits()
        .set("limits.address_requests_per_second", 1)
        .set("limits.address_burst", 1)
        .start()
        .await;
    loop {
        let answer = with(gateway.get(NAME), CHROME).send().await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let pause = answer.header("retry-after").unwrap().to_owned();
            assert!(page(answer).await.contains(&format!("again in {pause} s")));
            return;
        }
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn every_answer_has_nosniff_no_referrer_and_resource_policy() {
    let pbx = pbx().await;
    let gateway = with_login(gateway(&pbx)).start().await;
    let path = format!("/recordings/{NAME}");
    let link = format!("{path}?link={}", link(PBX, NAME));
    let bearer = format!("Bearer {}", jwt("alice"));
    for (method, target, authorization, fields) in [
        (Method::GET, &*path, Some(&bearer), CURL),
        (Method::HEAD, &*path, Some(&bearer), CURL),
        (Method::GET, &*link, None, AUDIO),
        (
            Method::GET,
            "/recordings?from=2026-03-01&to=2026-03-02",
            Some(&bearer),
            CURL,
        ),
        (Method::GET, "/nowhere", None, CURL),
        (Method::GET, "/nowhere", None, CHROME),
        (Method::GET, &*path, None, CHROME),
        (Method::POST, &*path, None, CURL),
        (
            Method::OPTIONS,
            &*path,
            None,
            &[
                ("origin", "https://a.example"),
                ("access-control-request-method", "GET"),
            ],
        ),
    ] {
        let call = gateway
            .request(method.clone(), target)
            .header("host", "recordings.example");
        let mut call = with(call, fields);
        if let Some(field) = authorization {
            call = call.header("authorization", field);
        }
        let answer = call.send().await;
        let expected = if target == link {
            "cross-origin"
        } else {
            "same-site"
        };
        for (field, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", expected),
        ] {
            assert_eq!(answer.header(field), Some(value), "{method} {field}");
        }
        for field in ["server", "set-cookie", "x-powered-by"] {
            assert_eq!(answer.header(field), None, "{method} {field}");
        }
        assert!(answer.bytes().await.is_ok());
    }
}

#[tokio::test]
async fn browsers_save_recordings_that_they_cannot_play() {
    let gsm = "20260302091407-1772442845.1-1001-1003-Internal.wav";
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.recording(gsm, wav::gsm(1)).start().await.unwrap();
    let gateway = gateway(&pbx).start().await;
    for (name, fields, kind) in [
        (gsm, CHROME, "attachment"),
        (gsm, OLD, "attachment"),
        (gsm, CURL, "inline"),
        (gsm, AUDIO, "inline"),
        (NAME, CHROME, "inline"),
    ] {
        let answer = with(gateway.get(name), fields)
            .bearer(&jwt("alice"))
            .send()
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        let expected = format!("{kind}; filename=\"{name}\"");
        assert_eq!(
            answer.header("content-disposition"),
            Some(&*expected),
            "{fields:?}"
        );
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes == pbx.recording_bytes(name).unwrap());
    }
}
