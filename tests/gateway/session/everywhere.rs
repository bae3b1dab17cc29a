//! A credential that is revoked or denied is refused on every route, in every form, and in running
//! transfers.

use serde_json::json;

use super::ends::{revoke, revoking};
use super::*;
use crate::harness::audit::{dir, of_kind};
use crate::harness::{Answer, POLICIES};

/// All credentials of a token, as header fields.
async fn credentials(gateway: &Gateway, token: &str) -> [(&'static str, String); 3] {
    [
        ("authorization", format!("Bearer {token}")),
        ("cookie", own(&open(gateway, token).await)),
        ("cookie", format!("sso={token}")),
    ]
}

fn ask(gateway: &Gateway, method: &Method, target: &str, (name, value): (&str, &str)) -> Call {
    let call = call(gateway, method.clone(), target).header(name, value);
    let call = call.header("sec-fetch-site", "same-origin");
    call.json(&json!({"recording": NAME}).to_string())
}

#[tokio::test]
async fn a_revoked_subject_is_refused_and_counted_on_every_route() {
    let (_pbx, gateway) = revoking(|builder| builder.audit()).await;
    let token = jwt("alice");
    let credentials = credentials(&gateway, &token).await;
    let made = ask(
        &gateway,
        &Method::POST,
        "/links",
        ("authorization", &credentials[0].1),
    );
    assert_eq!(made.send().await.status(), StatusCode::CREATED);
    revoke(
        &gateway,
        &format!(r#"{{"issuer":"{ISSUER}","subject":"alice"}}"#),
    )
    .await;
    let routes = [
        (Method::GET, recording()),
        (Method::GET, format!("/pbx/{PBX}{}", recording())),
        (Method::HEAD, recording()),
        (Method::GET, "/recordings".to_owned()),
        (
            Method::GET,
            format!("/pbx/{PBX}/recordings?from=2026-01-01&to=2026-06-01"),
        ),
        (Method::POST, "/links".to_owned()),
        (Method::POST, "/session".to_owned()),
    ];
    let mut refused = 0;
    for (method, target) in &routes {
        for (name, value) in &credentials {
            let answer = ask(&gateway, method, target, (name, value)).send().await;
            assert_eq!(
                answer.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {target} {name}"
            );
            assert!(set_cookies(&answer).is_empty());
            refused += 1;
            if method != Method::HEAD {
                let slug = answer.problem().await.slug;
                let expected = ["session-invalid", "bearer-token-invalid"];
                assert_eq!(
                    slug,
                    expected[usize::from(*name == "authorization")],
                    "{target}"
                );
            }
        }
    }
    // A link whose key and subject are revoked, on every route.
    let link = crate::harness::link_of("bob", PBX, NAME, None);
    revoke(&gateway, r#"{"issuer":"crm","subject":"bob"}"#).await;
    for (method, target) in &routes {
        let mark = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{mark}link={link}");
        let answer = ask(&gateway, method, &target, ("accept", "*/*"))
            .send()
            .await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} link");
        refused += 1;
    }
    let folder = dir(gateway.folder());
    assert!(gateway.app.shut_down().await);
    let counts = of_kind(&folder, "refused").into_iter();
    let counts = counts.map(|line| line["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), refused);
    // The only decision is the one from before.
    assert_eq!(of_kind(&folder, "decision").len(), 1);
}

/// Begins to read the recording with each credential of alice, and with bob's session.
async fn hearing(gateway: &Gateway) -> (Vec<Answer>, Answer) {
    let begin = async |(name, value): &(&str, String)| {
        let mut answer = ask(gateway, &Method::GET, &recording(), (name, value))
            .send()
            .await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        answer.chunk().await.unwrap().unwrap();
        answer
    };
    let mut of_alice = Vec::new();
    for credential in &credentials(gateway, &jwt("alice")).await {
        of_alice.push(begin(credential).await);
    }
    let bob = ("cookie", own(&open(gateway, &jwt("bob")).await));
    (of_alice, begin(&bob).await)
}

#[tokio::test]
async fn a_reloaded_policy_ends_transfers_of_every_credential() {
    for cache in ["", "max_bytes = 0"] {
        let (pbx, gateway) = revoking(|builder| builder.cache().lines("[cache]", cache)).await;
        let (of_alice, bob) = hearing(&gateway).await;
        let policies =
            "permit(principal, action, resource) unless { principal.subject == \"alice\" };";
        std::fs::write(gateway.folder().join(POLICIES), policies).unwrap();
        gateway.reload().unwrap();
        for answer in of_alice {
            assert!(soon(answer.bytes()).await.is_err(), "{cache}");
        }
        pbx.release_downloads();
        assert!(bob.bytes().await.is_ok(), "{cache}");
    }
}

#[tokio::test]
async fn a_policy_that_denies_one_kind_of_credential_ends_that_alone() {
    let (pbx, gateway) = revoking(|builder| builder).await;
    let (of_alice, bob) = hearing(&gateway).await;
    let policies =
        "permit(principal, action, resource) unless { context.credential == \"session\" };";
    std::fs::write(gateway.folder().join(POLICIES), policies).unwrap();
    gateway.reload().unwrap();
    assert!(soon(bob.bytes()).await.is_err());
    let mut of_alice = of_alice.into_iter();
    let (bearer, session, sso) = (of_alice.next(), of_alice.next(), of_alice.next());
    assert!(soon(session.unwrap().bytes()).await.is_err());
    pbx.release_downloads();
    for answer in [bearer, sso] {
        assert!(answer.unwrap().bytes().await.is_ok());
    }
}

#[tokio::test]
async fn a_revocation_ends_transfers_of_every_credential() {
    for cache in ["", "max_bytes = 0"] {
        let (pbx, gateway) = revoking(|builder| builder.cache().lines("[cache]", cache)).await;
        let (of_alice, bob) = hearing(&gateway).await;
        revoke(
            &gateway,
            &format!(r#"{{"issuer":"{ISSUER}","subject":"alice"}}"#),
        )
        .await;
        for answer in of_alice {
            assert!(soon(answer.bytes()).await.is_err(), "{cache}");
        }
        pbx.release_downloads();
        assert!(bob.bytes().await.is_ok(), "{cache}");
    }
}

/// Replaces a part of the configuration file, and reloads.
fn change(gateway: &Gateway, from: &str, to: &str) {
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    gateway.reload().unwrap();
}

#[tokio::test]
async fn withdrawing_an_issuer_ends_its_transfers() {
    let named = format!("name = \"{ISSUER}\"");
    for (from, to) in [
        (&*named, "name = \"https://another.test\""),
        (&*named, &*format!("{named}\npbxs = [\"other\"]")),
    ] {
        for cache in ["", "max_bytes = 0"] {
            let other = pbx().await;
            let with = |builder: Builder| {
                builder
                    .cache()
                    .lines("[cache]", cache)
                    .beside("other", &other)
            };
            let (_pbx, gateway) = revoking(with).await;
            let (of_alice, bob) = hearing(&gateway).await;
            change(&gateway, from, to);
            for answer in of_alice.into_iter().chain([bob]) {
                assert!(soon(answer.bytes()).await.is_err(), "{to} {cache}");
            }
        }
    }
}

#[tokio::test]
async fn withdrawing_a_link_key_ends_its_transfers() {
    for (from, to) in [
        ("\"crm\"", "\"another\""),
        ("id = \"crm\"", "id = \"crm\"\npbxs = [\"other\"]"),
    ] {
        let other = pbx().await;
        let (_pbx, gateway) = revoking(|builder| builder.beside("other", &other)).await;
        let target = format!("{}?link={}", recording(), link(PBX, NAME));
        let mut by_link = call(&gateway, Method::GET, &target).send().await;
        by_link.chunk().await.unwrap().unwrap();
        change(&gateway, from, to);
        assert!(soon(by_link.bytes()).await.is_err(), "{to}");
    }
}
