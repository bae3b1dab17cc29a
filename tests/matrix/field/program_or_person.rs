//! A program that accepts HTML, or a person at a browser.
//!
//! A person navigates, and a browser says so by `Sec-Fetch-Mode: navigate`. Where it sends no
//! `Sec-Fetch-*` at all, as over plain HTTP and before 2023, it says so by
//! `Upgrade-Insecure-Requests: 1` or by `application/xhtml+xml` in `Accept`. The kind includes:
//! frames, which navigate; HEAD; `Accept` in several fields, with weights and in any case; browsers
//! of 2008 on.
//!
//! Every other request is from a program. It gets a problem document and its challenge, and never a
//! redirect to sign in. Programs send `text/html` alone or beside wildcards (Java's own client,
//! jQuery, w3m); XHTML that is refused (`q=0`), or with less weight than JSON; other values of
//! `Upgrade-Insecure-Requests`. The other requests of a browser count as programs by their
//! `Sec-Fetch-Mode`: a script may ask for XHTML, but cannot say that it navigates.
//!
//! The status is the same for both. Every answer that depends on the reader has `Vary`: problems,
//! pages, the redirect to sign in, and a recording that browsers cannot play.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{Answer, Call, Gateway, NAME, PBX, expired_jwt, gateway, jwt, link};

const HOST: &str = "recordings.example";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const UPGRADE: (&str, &str) = ("upgrade-insecure-requests", "1");

type Fields = &'static [(&'static str, &'static str)];

const PEOPLE: &[Fields] = &[
    // Chrome and Firefox over HTTPS, in a frame, and with fewer fields than usual.
    &[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-user", "?1"),
        UPGRADE,
        ("accept", BROWSER),
    ],
    &[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-site", "cross-site"),
        ("accept", BROWSER),
    ],
    &[("sec-fetch-mode", "navigate"), ("accept", "*/*")],
    &[("sec-fetch-mode", "navigate")],
    // Over plain HTTP.
    &[UPGRADE, ("accept", BROWSER)],
    &[UPGRADE, ("accept", "*/*")],
    &[UPGRADE],
    &[("accept", BROWSER)],
    // Safari of 2010, Internet Explorer 9, Opera 12, Lynx.
    &[(
        "accept",
        "application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5",
    )],
    &[("accept", "text/html, application/xhtml+xml, */*")],
    &[(
        "accept",
        "text/html, application/xml;q=0.9, application/xhtml+xml, image/png, image/webp, */*;q=0.1",
    )],
    &[(
        "accept",
        "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01",
    )],
    &[
        ("accept", "text/html"),
        ("accept", "Application/XHTML+XML;q=0.9"),
        ("accept", "*/*;q=0.8"),
    ],
];

const PROGRAMS: &[Fields] = &[
    &[],
    &[("accept", "*/*")],
    // Java's HttpURLConnection, and other programs that accept HTML.
    &[(
        "accept",
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    )],
    &[("accept", "text/html,*/*")],
    &[("accept", "text/html")],
    &[("accept", "text/html;q=1.0")],
    &[("accept", "text/html, */*; q=0.01")],
    &[("accept", "text/html, text/*;q=0.5, image/*, application/*")],
    &[("accept", "text/html,application/xml;q=0.9,*/*;q=0.8")],
    &[("accept", "text/html"), ("accept", "*/*")],
    &[("accept", "application/json, text/plain, */*")],
    &[("accept", "application/xml")],
    // XHTML, but not as a browser names it.
    &[("accept", "text/html,application/xhtml+xml;q=0")],
    &[("accept", "application/json,application/xhtml+xml;q=0.5")],
    &[("accept", "application/xhtml+xml;q=0.5,*/*")],
    &[("accept", "text/plain;x=application/xhtml+xml")],
    &[("upgrade-insecure-requests", "0"), ("accept", "text/html")],
    &[("upgrade-insecure-requests", "yes")],
    &[("upgrade", "1"), ("accept", "text/html")],
    // A program that looks like a browser by its `User-Agent` only.
    &[
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("accept", "text/html,*/*"),
    ],
    // Scripts, elements and workers, whatever they accept.
    &[
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("accept", BROWSER),
        UPGRADE,
    ],
    &[
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "audio"),
        ("accept", "*/*"),
    ],
    &[("sec-fetch-mode", "same-origin"), ("accept", BROWSER)],
    &[("sec-fetch-mode", "Navigate"), ("accept", BROWSER)],
    &[("sec-fetch-dest", "document"), ("accept", BROWSER), UPGRADE],
    &[("sec-fetch-site", "same-origin"), UPGRADE],
    // A duplicate field does not count.
    &[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-mode", "cors"),
        ("accept", BROWSER),
    ],
];

/// The fields on which the answer depends.
const VARY: [&str; 6] = [
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Upgrade-Insecure-Requests",
    "Accept",
];

fn ask(gateway: &Gateway, method: Method, target: &str, fields: Fields) -> Call {
    let call = gateway.request(method, target).header("host", HOST);
    fields
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value))
}

#[track_caller]
fn varies(answer: &Answer) {
    let all = answer.headers().get_all("vary").iter();
    let all: Vec<&str> = all
        .flat_map(|field| field.to_str().unwrap().split(", "))
        .collect();
    for field in VARY {
        assert_eq!(
            all.iter().filter(|one| **one == field).count(),
            1,
            "{all:?}"
        );
    }
}

#[tokio::test]
async fn only_a_person_is_shown_a_page_or_the_way_to_sign_in() {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let open = gateway(&pbx).start().await;
    let signing_in = gateway(&pbx)
        .set("server.public_url", format!("https://{HOST}"))
        .set("auth.login_url", "https://sso.example/start?rd={return}")
        .start()
        .await;
    let path = format!("/recordings/{NAME}");
    let is_page = |answer: &Answer| {
        let kind = answer.header("content-type");
        kind == Some("text/html; charset=utf-8")
    };
    for fields in PEOPLE {
        let answer = ask(&signing_in, Method::GET, &path, fields).send().await;
        assert_eq!(answer.status(), StatusCode::FOUND, "{fields:?}");
        assert!(
            answer
                .header("location")
                .unwrap()
                .starts_with("https://sso.example/")
        );
        varies(&answer);
        let answer = ask(&open, Method::GET, &path, fields).send().await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        varies(&answer);
        assert_eq!(
            answer.page().await,
            "Sign in to hear this recording",
            "{fields:?}"
        );
        for gateway in [&open, &signing_in] {
            // A HEAD, a POST, or a request with a wrong token is not redirected to sign in.
            let head = ask(gateway, Method::HEAD, &path, fields).send().await;
            assert_eq!((head.status().as_u16(), is_page(&head)), (401, true));
            assert_eq!(head.header("location"), None);
            varies(&head);
            assert!(head.bytes().await.unwrap().is_empty());
            let post = ask(gateway, Method::POST, &path, fields).send().await;
            assert_eq!((post.status().as_u16(), is_page(&post)), (405, true));
            let expired = ask(gateway, Method::GET, &path, fields).bearer(&expired_jwt("alice"));
            let expired = expired.send().await;
            assert_eq!((expired.status().as_u16(), is_page(&expired)), (401, true));
        }
    }
    for fields in PROGRAMS {
        for gateway in [&open, &signing_in] {
            let answer = ask(gateway, Method::GET, &path, fields).send().await;
            varies(&answer);
            assert_eq!(answer.header("location"), None, "{fields:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            let problem = answer.problem().await;
            let told = (&*problem.slug, problem.status.as_u16());
            assert_eq!(told, ("bearer-token-missing", 401), "{fields:?}");
            let head = ask(gateway, Method::HEAD, &path, fields).send().await;
            assert_eq!((head.status().as_u16(), is_page(&head)), (401, false));
            assert!(head.bytes().await.unwrap().is_empty());
            let nowhere = ask(gateway, Method::GET, "/nowhere", fields).send().await;
            assert_eq!(nowhere.problem().await.slug, "no-such-resource");
        }
    }
    // The recording itself is the same for both.
    let by_link = format!("{path}?link={}", link(PBX, NAME));
    for fields in PEOPLE.iter().chain(PROGRAMS) {
        let answer = ask(&open, Method::GET, &by_link, fields).send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{fields:?}");
        assert_eq!(answer.header("vary"), None);
        assert!(
            answer
                .header("content-disposition")
                .unwrap()
                .starts_with("inline")
        );
    }
}

#[tokio::test]
async fn only_people_save_a_recording_that_browsers_cannot_play() {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::gsm(1));
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .set("relay.browser_cache", "revalidated")
        .cache()
        .start()
        .await;
    let path = format!("/recordings/{NAME}");
    for (rows, kind) in [(PEOPLE, "attachment"), (PROGRAMS, "inline")] {
        for fields in rows {
            let call = || ask(&gateway, Method::GET, &path, fields).bearer(&jwt("alice"));
            let answer = call().send().await;
            assert_eq!(answer.status(), StatusCode::OK, "{fields:?}");
            let disposition = answer.header("content-disposition").unwrap();
            assert!(disposition.starts_with(kind), "{fields:?} {disposition}");
            varies(&answer);
            let tag = answer.header("etag").unwrap().to_owned();
            // RFC 9110 §15.4.5: a 304 has the same fields.
            let known = call().header("if-none-match", &tag).send().await;
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
            varies(&known);
        }
    }
}
