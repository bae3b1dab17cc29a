//! Issuers whose access tokens name the client and no audience, as those of Amazon Cognito.

use serde_json::{Value, json};

use super::*;
use crate::harness::programs::{run_wavegate, wavegate};
use crate::harness::{gateway, link as minted_link};

/// The configuration of such an issuer.
const COGNITO: &str =
    "audience_claim = \"client_id\"\nrequired_claims = { token_use = \"access\" }";

/// An access token of such an issuer, with other claims in place of its own.
fn access(further: Value) -> Value {
    let claims = without(bearer_claims(json!({})), "aud");
    with(
        claims,
        with(
            json!({
                "client_id": AUDIENCE, "token_use": "access", "scope": "openid", "version": 2, "auth_time": now(),
                "cognito:groups": ["a"], "username": "alice",
            }),
            further,
        ),
    )
}

#[tokio::test]
async fn the_claim_that_is_configured_decides_where_there_is_no_aud() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .lines("[auth.issuer]", COGNITO)
        .set("auth.cookie", "sso")
        .start()
        .await;
    let refused = "bearer-token-invalid";
    for (claims, expected) in [
        (access(json!({})), "200"),
        (access(json!({"client_id": [AUDIENCE]})), "200"),
        (access(json!({"client_id": ["other", AUDIENCE]})), "200"),
        // If there is an `aud`, it alone decides.
        (access(json!({"aud": AUDIENCE})), "200"),
        (
            access(json!({"aud": AUDIENCE, "client_id": "other"})),
            "200",
        ),
        (access(json!({"aud": [AUDIENCE], "client_id": null})), "200"),
        (access(json!({"aud": "other"})), refused),
        (access(json!({"aud": ["other"]})), refused),
        (access(json!({"aud": []})), refused),
        (access(json!({"aud": ""})), refused),
        (access(json!({"aud": null})), refused),
        (access(json!({"aud": [null]})), refused),
        (access(json!({"aud": {}})), refused),
        (access(json!({"aud": [AUDIENCE, 7]})), refused),
        // One of the two is required.
        (without(access(json!({})), "client_id"), refused),
        (access(json!({"client_id": null})), refused),
        (access(json!({"client_id": ""})), refused),
        (access(json!({"client_id": []})), refused),
        (access(json!({"client_id": [null]})), refused),
        (access(json!({"client_id": [AUDIENCE, null]})), refused),
        (access(json!({"client_id": "other"})), refused),
        (
            access(json!({"client_id": AUDIENCE.to_uppercase()})),
            refused,
        ),
        (
            access(json!({"client_id": format!("{AUDIENCE} ")})),
            refused,
        ),
        (access(json!({"client_id": {AUDIENCE: true}})), refused),
        (access(json!({"client_id": true})), refused),
        (access(json!({"client_id": LINK_AUDIENCE})), refused),
        // A further claim that is required.
        (access(json!({"token_use": "id"})), refused),
        (access(json!({"token_use": "Access"})), refused),
        (access(json!({"token_use": ""})), refused),
        (access(json!({"token_use": null})), refused),
        (access(json!({"token_use": ["access"]})), refused),
        (access(json!({"token_use": true})), refused),
        (without(access(json!({})), "token_use"), refused),
        // An ID token: it has an `aud`, and is for another program.
        (access(json!({"aud": AUDIENCE, "token_use": "id"})), refused),
        // All other claims are checked as before.
        (access(json!({"sub": null})), refused),
        (access(json!({"exp": null})), refused),
        (access(json!({"iss": "https://other.test"})), refused),
    ] {
        let token = jwt(&claims);
        assert_eq!(by_bearer(&gateway, &token).await, expected, "{claims}");
        let by_cookie = by_cookie(&gateway, "sso", &token).await;
        assert_eq!(by_cookie == "200", expected == "200", "{claims}");
    }
    // A duplicate claim is never accepted.
    let good = access(json!({})).to_string();
    for twice in [
        r#""client_id":"recordings""#,
        r#""client_id":"other""#,
        r#""client\u005fid":"recordings""#,
        r#""token_use":"access""#,
    ] {
        let token = bearer(HEADER, &format!("{},{twice}}}", good.trim_end_matches('}')));
        assert_eq!(by_bearer(&gateway, &token).await, refused, "{twice}");
    }
}

#[tokio::test]
async fn without_a_setting_aud_is_required_as_ever() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).lines("[[auth.issuer]]", &format!(
        "name = \"{OTHER}\"\naudiences = [\"{AUDIENCE}\"]\n{COGNITO}\n[[auth.issuer.key]]\nalgorithm = \"HS256\"\nsecret_file = \"bearer\""
    ));
    let gateway = gateway.start().await;
    // The setting applies to one issuer, not to another.
    assert_eq!(
        by_bearer(&gateway, &jwt(&access(json!({})))).await,
        "bearer-token-invalid"
    );
    assert_eq!(
        by_bearer(&gateway, &jwt(&access(json!({"iss": OTHER})))).await,
        "200"
    );
    assert_eq!(
        by_bearer(&gateway, &jwt(&bearer_claims(json!({})))).await,
        "200"
    );
    let without_use = jwt(&bearer_claims(json!({"iss": OTHER})));
    assert_eq!(
        by_bearer(&gateway, &without_use).await,
        "bearer-token-invalid"
    );
}

#[tokio::test]
async fn the_claims_may_be_names_with_dots_and_paths() {
    let pbx = pbx().await;
    let lines = "audience_claim = \"client.id\"\nrequired_claims = { \"ext.use\" = \"access\", kind = \"a\" }";
    let gateway = gateway(&pbx).lines("[auth.issuer]", lines).start().await;
    let base = || without(bearer_claims(json!({"kind": "a"})), "aud");
    for (claims, expected) in [
        (
            json!({"client": {"id": AUDIENCE}, "ext": {"use": "access"}}),
            "200",
        ),
        (json!({"client.id": AUDIENCE, "ext.use": "access"}), "200"),
        (
            json!({"client.id": AUDIENCE, "ext": {"use": "access"}, "ext.use": "access"}),
            "bearer-token-invalid",
        ),
        (
            json!({"client": null, "ext.use": "access"}),
            "bearer-token-invalid",
        ),
        (
            json!({"client": AUDIENCE, "ext.use": "access"}),
            "bearer-token-invalid",
        ),
        (
            json!({"client.id": AUDIENCE, "ext": null}),
            "bearer-token-invalid",
        ),
        (
            json!({"client.id": AUDIENCE, "ext.use": "access", "kind": "b"}),
            "bearer-token-invalid",
        ),
    ] {
        let token = jwt(&with(base(), claims.clone()));
        assert_eq!(by_bearer(&gateway, &token).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn links_and_sessions_go_by_their_aud() {
    use crate::harness::session::{call, open, own, with_sessions};

    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "")
        .lines("[auth.issuer]", COGNITO)
        .start()
        .await;
    let get = async |target: &str, cookie: &str| {
        let call = call(&gateway, http::Method::GET, target).header("cookie", cookie);
        outcome(call.header("sec-fetch-site", "same-origin").send().await).await
    };
    let target = format!("/recordings/{NAME}");
    let session = open(&gateway, &jwt(&access(json!({})))).await;
    assert_eq!(get(&target, &own(&session)).await, "200");
    let by_link = async |token: &str| get(&format!("{target}?link={token}"), "").await;
    assert_eq!(by_link(&minted_link(PBX, NAME)).await, "200");
    let no_aud = without(
        link_claims(json!({"client_id": LINK_AUDIENCE, "token_use": "access"})),
        "aud",
    );
    assert_eq!(
        by_link(&link(LINK_HEADER, &no_aud.to_string())).await,
        "link-token-invalid"
    );
    let secret = crate::harness::session::SESSION_SECRET.as_bytes();
    let of_session = json!({
        "client_id": "urn:wavegate:session", "iat": now(), "exp": now() + 60,
        "bearer_issuer": ISSUER, "bearer_subject": "alice",
    });
    for (claims, expected) in [
        (of_session.clone(), "session-invalid"),
        (
            with(of_session, json!({"aud": "urn:wavegate:session"})),
            "200",
        ),
    ] {
        let sign = |message: &[u8]| hmac("HS256", secret, message);
        let token = signed(br#"{"alg":"HS256"}"#, claims.to_string().as_bytes(), sign);
        assert_eq!(get(&target, &own(&token)).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn a_reload_takes_the_rules_over() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).lines("[auth.issuer]", COGNITO).start().await;
    let token = jwt(&access(json!({})));
    let plain = jwt(&bearer_claims(json!({})));
    // Twice, so that the second token comes from the cache of verified tokens.
    for _ in 0..2 {
        assert_eq!(by_bearer(&gateway, &token).await, "200");
        assert_eq!(by_bearer(&gateway, &plain).await, "bearer-token-invalid");
    }
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace("audience_claim = \"client_id\"\n", "")
        .replace("token_use = \"access\"\n", "");
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
    assert_eq!(by_bearer(&gateway, &token).await, "bearer-token-invalid");
    assert_eq!(by_bearer(&gateway, &plain).await, "200");
}

#[tokio::test]
async fn explain_and_token_know_the_rules() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).lines("[auth.issuer]", COGNITO);
    let config = builder.write();
    let config = config.to_str().unwrap();
    let explain = async |token: &str| {
        let file = builder.folder().join("token");
        crate::harness::write_secret(&file, token);
        let arguments = [
            "explain",
            "--config",
            config,
            "--recording",
            NAME,
            "--token-file",
        ];
        run_wavegate(&[&arguments[..], &[file.to_str().unwrap()]].concat()).await
    };
    let good = explain(&jwt(&access(json!({})))).await;
    assert_eq!((good.code, &*good.err), (Some(0), ""), "{}", good.out);
    for (claims, words) in [
        (
            access(json!({"token_use": "id"})),
            "claim \"token_use\" of required_claims is missing or has another value",
        ),
        (
            access(json!({"client_id": "other"})),
            "the token is for another audience, by the claim of audience_claim",
        ),
        (
            access(json!({"aud": "other"})),
            "the token is for another audience, by claim aud",
        ),
        (
            without(access(json!({})), "client_id"),
            "the claim that audience_claim names: it is absent, and so is aud",
        ),
    ] {
        let ended = explain(&jwt(&claims)).await;
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.out.starts_with("deny (401)\n") && ended.out.contains(words),
            "{}",
            ended.out
        );
    }
    let minted = run_wavegate(&["token", "--config", config, "--subject", "alice"]).await;
    let ended = explain(minted.out.trim_end()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(
        !wavegate(&["check", "--config", config])
            .output()
            .unwrap()
            .stdout
            .is_empty()
    );
}

#[test]
fn claims_with_another_meaning_cannot_be_audience_claims() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let pbx = tokio.block_on(pbx());
    let check = |lines: &str, expected: Option<(&str, &str)>| {
        let builder = gateway(&pbx).lines("[auth.issuer]", lines);
        let loaded = wavegate::app::GatewayParts::load(&builder.write());
        match (loaded, expected) {
            (Ok(_), None) => {}
            (Err(problems), Some((key, words))) => {
                let text = problems.to_string();
                let line = text
                    .lines()
                    .find(|line| line.starts_with(&format!("auth.issuer[0].{key}: ")));
                assert!(
                    line.is_some_and(|line| line.contains(words)),
                    "{lines}: {text}"
                );
            }
            (loaded, _) => panic!("{lines}: {:?}", loaded.map(drop)),
        }
    };
    let other = "says something else";
    for claim in [
        "iss",
        "sub",
        "jti",
        "exp",
        "nbf",
        "iat",
        "roles",
        "extensions",
        "tenant",
    ] {
        check(
            &format!("audience_claim = \"{claim}\""),
            Some(("audience_claim", other)),
        );
    }
    for key in ["roles_claim", "extensions_claim", "tenant_claim"] {
        let lines = format!("{key} = \"a.b\"\naudience_claim = \"a.b\"");
        check(&lines, Some(("audience_claim", other)));
    }
    // The usual name is free where the configured claim has another.
    check("roles_claim = \"groups\"\naudience_claim = \"roles\"", None);
    check("audience_claim = \"aud\"", None);
    check("audience_claim = \"azp\"", None);
    check("audience_claim = \"https://idp.test/client\"", None);
    check(
        "audience_claim = \"\"",
        Some(("audience_claim", "not the name of a claim")),
    );
    check(
        "audience_claim = \"a..b\"",
        Some(("audience_claim", "not the name of a claim")),
    );
    check(
        "audience_claim = [\"azp\"]",
        Some(("audience_claim", "not a text")),
    );
    check("required_claims = {}", None);
    check("required_claims = { a = \"b\", \"c.d\" = \"e\" }", None);
    check(
        "required_claims = { a = \"\" }",
        Some(("required_claims.a", "1 to 256 bytes")),
    );
    check(
        "required_claims = { a = true }",
        Some(("required_claims.a", "not a text")),
    );
    check(
        "required_claims = { a = [\"b\"] }",
        Some(("required_claims.a", "not a text")),
    );
    check(
        "required_claims = { \"a..b\" = \"c\" }",
        Some(("required_claims.a..b", "not the name of a claim")),
    );
    check(
        "required_claims = \"access\"",
        Some(("required_claims", "not a table")),
    );
    let many: Vec<String> = (0..17).map(|number| format!("c{number} = \"a\"")).collect();
    let many = format!("required_claims = {{ {} }}", many.join(", "));
    check(&many, Some(("required_claims", "more than 16")));
}
