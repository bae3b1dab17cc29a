//! Claims without a value: `null`, and an empty text where it can only mean the same.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::harness::gateway;
use crate::harness::programs::run_wavegate;
use crate::harness::session::{ORIGIN, call, open, own, with_sessions};

/// Only a principal without tenant, roles and extensions may hear, so that any value read from a
/// claim denies.
const NOBODYS: &str = "permit(principal, action, resource);
     forbid(principal, action, resource) when { principal has tenant };
     forbid(principal, action, resource) unless { principal.roles.isEmpty() && principal.extensions.isEmpty() };";

#[tokio::test]
async fn null_in_an_optional_claim_counts_as_absent() {
    let pbx = pbx().await;
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso");
    let gateway = builder.policies(NOBODYS).start().await;
    let nothing = json!({
        "nbf": null, "iat": null, "jti": null, "roles": null, "extensions": null, "tenant": null,
    });
    let mut rows = vec![json!({}), nothing.clone()];
    let each = nothing.as_object().unwrap().keys();
    rows.extend(each.map(|claim| json!({ claim: null })));
    rows.extend(["roles", "extensions", "tenant"].map(|claim| json!({ claim: "" })));
    rows.push(json!({"roles": "", "extensions": "", "tenant": ""}));
    rows.push(
        json!({"roles": [], "extensions": null, "tenant": "", "email": null, "groups": [null, ""]}),
    );
    for row in rows {
        let token = jwt(&bearer_claims(row.clone()));
        let get = async |name: &str, value: &str| {
            let call = call(&gateway, Method::GET, &format!("/recordings/{NAME}"));
            let call = call.header(name, value);
            call.header("sec-fetch-site", "same-origin")
                .send()
                .await
                .status()
        };
        assert_eq!(
            get("authorization", &format!("Bearer {token}")).await,
            StatusCode::OK,
            "{row}"
        );
        assert_eq!(
            get("cookie", &format!("sso={token}")).await,
            StatusCode::OK,
            "{row}"
        );
        // A session made of it has the same rights.
        let session = open(&gateway, &token).await;
        assert_eq!(get("cookie", &own(&session)).await, StatusCode::OK, "{row}");
    }
}

#[tokio::test]
async fn required_claims_may_not_be_null_or_empty() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("auth.cookie", "sso").start().await;
    let mut rows = Vec::new();
    for claim in ["iss", "sub", "aud", "exp"] {
        for value in [
            json!(null),
            json!(""),
            json!([]),
            json!([null]),
            json!([""]),
            json!({}),
        ] {
            rows.push(json!({ claim: value }));
        }
    }
    rows.push(json!({"aud": [AUDIENCE, null]}));
    for claim in ["nbf", "iat", "jti"] {
        for value in [json!(""), json!([]), json!([null]), json!({}), json!(false)] {
            rows.push(json!({ claim: value }));
        }
    }
    // A list gives roles or numbers, so none of its elements may be empty.
    for claim in ["roles", "extensions", "tenant"] {
        for value in [
            json!([null]),
            json!([""]),
            json!({}),
            json!(false),
            json!(0),
        ] {
            rows.push(json!({ claim: value }));
        }
    }
    rows.push(json!({"roles": ["agent", null]}));
    rows.push(json!({"roles": ["agent", ""]}));
    rows.push(json!({"tenant": [null, "a"]}));
    let count = rows.len();
    assert!(count > 50, "{count}");
    for row in rows {
        let token = jwt(&bearer_claims(row.clone()));
        assert_eq!(
            by_bearer(&gateway, &token).await,
            "bearer-token-invalid",
            "{row}"
        );
        assert_eq!(
            by_cookie(&gateway, "sso", &token).await,
            "session-invalid",
            "{row}"
        );
    }
    // A duplicate claim is refused as well, whatever the values.
    let good = bearer_claims(json!({})).to_string();
    for twice in [
        r#""nbf":null,"nbf":1"#,
        r#""iat":null,"\u0069at":null"#,
        r#""jti":null,"jti":"a""#,
        r#""roles":null,"roles":["supervisor"]"#,
        r#""roles":["agent"],"roles":"""#,
        r#""tenant":"","tenant":"a""#,
        r#""extensions":null,"extensions":null"#,
    ] {
        let token = bearer(HEADER, &format!("{},{twice}}}", good.trim_end_matches('}')));
        assert_eq!(
            by_bearer(&gateway, &token).await,
            "bearer-token-invalid",
            "{twice}"
        );
    }
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn configured_names_and_paths_are_read_in_the_same_way() {
    let pbx = pbx().await;
    let builder = gateway(&pbx)
        .policies(NOBODYS)
        .set("auth.issuer.roles_claim", "realm_access.roles")
        .set(
            "auth.issuer.extensions_claim",
            "https://idp.test/ext.numbers",
        )
        .set("auth.issuer.tenant_claim", "org.id");
    let gateway = builder.start().await;
    for (claims, expected) in [
        (json!({"realm_access": {"roles": null}}), "200"),
        (json!({"realm_access": {"roles": ""}}), "200"),
        (json!({"realm_access.roles": null}), "200"),
        // `null` on the way of a path means that the claim is absent.
        (json!({"realm_access": null}), "200"),
        (json!({"realm_access": {}, "org": null}), "200"),
        (
            json!({"https://idp.test/ext": {"numbers": ""}, "org": {"id": ""}}),
            "200",
        ),
        (
            json!({"https://idp.test/ext.numbers": null, "org.id": null}),
            "200",
        ),
        // A claim that is not configured is ignored, whatever its value.
        (
            json!({"roles": ["supervisor"], "tenant": 7, "extensions": {}}),
            "200",
        ),
        (
            json!({"realm_access": {"roles": ["a"]}}),
            "recording-denied",
        ),
        (json!({"org": {"id": "a"}}), "recording-denied"),
        // A value on the way that is not an object, and a claim that is there twice.
        (json!({"realm_access": ""}), "bearer-token-invalid"),
        (json!({"realm_access": []}), "bearer-token-invalid"),
        (json!({"realm_access": false}), "bearer-token-invalid"),
        (
            json!({"realm_access": {"roles": [null]}}),
            "bearer-token-invalid",
        ),
        (
            json!({"realm_access": null, "realm_access.roles": ["a"]}),
            "bearer-token-invalid",
        ),
        (
            json!({"realm_access": {"roles": null}, "realm_access.roles": null}),
            "bearer-token-invalid",
        ),
    ] {
        let token = jwt(&bearer_claims(claims.clone()));
        assert_eq!(by_bearer(&gateway, &token).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn a_link_may_omit_optional_claims_but_not_its_own() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let minute = now() + 60;
    for (claims, expected) in [
        (json!({"nbf": null, "iat": null, "jti": null}), "200"),
        (json!({"iat": null, "exp": minute}), "200"),
        // Its lifetime then counts from now, and may not be longer.
        (
            json!({"iat": null, "exp": now() + 1_000}),
            "link-token-invalid",
        ),
        (
            json!({"iat": null, "exp": 253_402_300_799_u64}),
            "link-token-invalid",
        ),
        (json!({"iat": now() - 600}), "link-token-invalid"),
        (json!({"roles": 7, "tenant": {}}), "200"),
        (json!({"recording": null}), "link-token-invalid"),
        (json!({"recording": ""}), "link-token-invalid"),
        (json!({"pbx": null}), "link-token-invalid"),
        (json!({"pbx": ""}), "link-token-invalid"),
        (json!({"ip": null}), "link-token-invalid"),
        (json!({"ip": ""}), "link-token-invalid"),
        (json!({"sub": null}), "link-token-invalid"),
        (json!({"aud": null}), "link-token-invalid"),
        (json!({"exp": null}), "link-token-invalid"),
        (json!({"iat": ""}), "link-token-invalid"),
        (json!({"jti": ""}), "link-token-invalid"),
    ] {
        let token = link(LINK_HEADER, &link_claims(claims.clone()).to_string());
        assert_eq!(by_link(&gateway, &token).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn a_token_without_iat_falls_under_every_issued_before() {
    let pbx = pbx().await;
    // The first entry has a time before any token.
    for entry in [
        r#"{"issued_before":"1970-01-01T00:00:00Z"}"#.to_owned(),
        format!(r#"{{"issuer":"{ISSUER}","issued_before":"1969-01-01T00:00:00Z"}}"#),
        format!(
            r#"{{"issuer":"{ISSUER}","subject":"alice","issued_before":"1970-01-01T00:00:00Z"}}"#
        ),
    ] {
        let builder = with_sessions(&pbx, "").set("auth.revocation_file", "revoked");
        let list = builder.folder().join("revoked");
        std::fs::write(&list, "").unwrap();
        let gateway = builder.set("auth.cookie", "sso").start().await;
        let tokens = [
            json!({"iat": null}),
            json!({}),
            json!({"iat": 0}),
            json!({"iat": now()}),
        ]
        .map(|claims| jwt(&bearer_claims(claims)));
        let mut sessions = Vec::new();
        for token in &tokens {
            sessions.push(open(&gateway, token).await);
        }
        std::fs::write(&list, &entry).unwrap();
        gateway.reload().unwrap();
        let status = async |name: &str, value: &str| {
            let call = call(&gateway, Method::GET, &format!("/recordings/{NAME}"));
            let call = call.header(name, value).header("origin", ORIGIN);
            let call = call.header("sec-fetch-site", "same-origin");
            // A transfer that has begun before the gateway reads the list again is cut, perhaps
            // before its head.
            let answer = call.try_send().await;
            answer.map_or(0, |answer| answer.status().as_u16())
        };
        // The gateway reads the list again by itself after some time.
        let first = format!("Bearer {}", tokens[0]);
        crate::harness::soon(async { while status("authorization", &first).await != 401 {} }).await;
        for ((token, session), expected) in tokens.iter().zip(&sessions).zip([401, 401, 200, 200]) {
            assert_eq!(
                status("authorization", &format!("Bearer {token}")).await,
                expected,
                "{entry}"
            );
            assert_eq!(
                status("cookie", &format!("sso={token}")).await,
                expected,
                "{entry}"
            );
            assert_eq!(status("cookie", &own(session)).await, expected, "{entry}");
        }
    }
}

/// The answer of `POST /links` to this body.
async fn ask_for_a_link(gateway: &Gateway, body: &Value) -> (u16, Value) {
    let call = call(gateway, Method::POST, "/links").bearer(&jwt(&bearer_claims(json!({}))));
    let answer = call.json(&body.to_string()).send().await;
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn a_link_request_may_have_null_for_optional_members() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    for wish in [
        json!({"recording": NAME, "ttl_s": null, "ip": null}),
        json!({"recording": NAME, "ttl_s": null}),
        json!({"recording": NAME, "ip": null, "ttl_s": 60}),
        json!({"recording": NAME, "pbx": null, "download": null, "ttl_s": null, "ip": null}),
    ] {
        let (status, document) = ask_for_a_link(&gateway, &wish).await;
        assert_eq!(status, 201, "{wish} {document}");
        let url = document["url"]
            .as_str()
            .unwrap()
            .strip_prefix(ORIGIN)
            .unwrap();
        assert!(url.starts_with(&format!("/pbx/{PBX}/")) && !url.contains("download"));
        let got = call(&gateway, Method::GET, url).send().await;
        assert_eq!(got.status(), StatusCode::OK);
    }
    for (wish, reason) in [
        (
            json!({"recording": null, "ttl_s": null}),
            "recording: missing",
        ),
        (json!({"recording": ""}), "recording: "),
        (
            json!({"recording": NAME, "ttl_s": ""}),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            json!({"recording": NAME, "ttl_s": [null]}),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            json!({"recording": NAME, "ip": ""}),
            "ip: invalid IP address syntax",
        ),
        (
            json!({"recording": NAME, "pbx": ""}),
            "pbx: no PBX of this name is configured",
        ),
        (
            json!({"recording": NAME, "download": ""}),
            "download: neither true nor false",
        ),
        (json!({"recording": NAME, "x": null}), "x: not known here"),
    ] {
        let (status, document) = ask_for_a_link(&gateway, &wish).await;
        let told = document["reason"].as_str().unwrap_or_default();
        assert!(
            status == 400 && told.starts_with(reason),
            "{wish} {document}"
        );
    }
}

#[tokio::test]
async fn check_notes_a_forbid_that_spares_principals_without_tenant() {
    let pbx = pbx().await;
    let check = async |policies: &str| {
        let builder = gateway(&pbx).policies(policies);
        let config = builder.write();
        let ended = run_wavegate(&["check", "--config", config.to_str().unwrap()]).await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{}", ended.out);
        ended.out
    };
    let passes_over = "permit(principal, action, resource);\n\n@id(\"tenants\")\nforbid(principal, action, resource)\n\
         when { principal has tenant && principal.tenant != resource.pbx };\n";
    let told = check(passes_over).await;
    assert!(
        told.contains(
            "note: policy tenants (line 3) forbids nothing to a principal without a tenant"
        ),
        "{told}"
    );
    let meets = "permit(principal, action, resource) when { principal has tenant };\nforbid(principal, action, resource)\n\
         unless { principal has tenant && principal.tenant == resource.pbx };
         forbid(principal, action, resource) when { !(principal has tenant) || resource.pbx == \"a\" };";
    assert!(!check(meets).await.contains("note:"));
    assert!(
        !check(crate::harness::policies::STARTERS)
            .await
            .contains("note:")
    );
}
