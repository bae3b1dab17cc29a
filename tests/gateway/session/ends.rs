//! The end of a session: with its token, its issuer, its key, its lifetime, or by sign-out.

use super::*;
use crate::harness::admin::post;

const OPERATOR: &str = "a-token-of-the-tests-for-the-admin-listener";
/// The title of the page for a caller whose cookie is not valid.
const SIGNED_OUT: &str = "You are not signed in any more";

/// A token that expired five seconds ago. A gateway with a skew still accepts it.
pub(super) fn just_ended(subject: &str) -> String {
    let secret = Secret::new(BEARER_SECRET);
    let key = SigningKey::secret(None, Algorithm::Hs256, &secret).unwrap();
    let claims = mint::BearerClaims {
        issuer: ISSUER,
        subject,
        audience: AUDIENCE,
    };
    let then = SystemTime::now() - Duration::from_secs(605);
    mint::bearer(&key, &claims, then, Duration::from_secs(600)).unwrap()
}

/// Replaces a part of the configuration file, and reloads.
pub(super) fn change(gateway: &Gateway, from: &str, to: &str) {
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    gateway.reload().unwrap();
}

#[tokio::test]
async fn only_a_navigation_clears_an_expired_cookie() {
    let pbx = pbx().await;
    let builder = with_sessions(&pbx, "")
        .set("auth.cookie", "sso")
        .set("auth.skew_s", 300);
    let gateway = builder.start().await;
    let token = just_ended("alice");
    let (own_cookie, sso) = (own(&open(&gateway, &token).await), format!("sso={token}"));
    assert_eq!(get(&gateway, &own_cookie).await.status(), StatusCode::OK);
    assert_eq!(get(&gateway, &sso).await.status(), StatusCode::OK);
    change(&gateway, "skew_s = 300", "skew_s = 0");
    let before = pbx.seen().requests.total();

    let answer = navigate(&gateway, &own_cookie).await;
    assert_cleared(&answer);
    assert_eq!(answer.page().await, "Sign in to hear this recording");
    let answer = navigate(&gateway, &sso).await;
    assert_eq!(set_cookies(&answer), ["sso=; Secure; Path=/; Max-Age=0"]);
    assert_eq!(answer.page().await, "Sign in to hear this recording");
    let answer = navigate(&gateway, &format!("{sso}; {own_cookie}")).await;
    assert_eq!(set_cookies(&answer).len(), 3);
    assert_eq!(answer.page().await, "Sign in to hear this recording");
    for cookie in [&own_cookie, &sso] {
        // A player's request and a write get an error.
        let answer = get(&gateway, cookie).await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.problem().await.slug, "session-invalid");
        let write = call(&gateway, Method::POST, "/links").header("cookie", cookie);
        let write = write.header("origin", ORIGIN);
        let answer = write.header("sec-fetch-mode", "navigate").send().await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.page().await, SIGNED_OUT);
    }
    // A cookie that is not authentic, or that is there twice, does not count as expired.
    let (signed, _) = own_cookie.rsplit_once('.').unwrap();
    for cookies in [
        format!("{signed}.AAAA"),
        format!("{own_cookie}; {own_cookie}"),
    ] {
        let answer = get(&gateway, &cookies).await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.problem().await.slug, "session-invalid");
        // A navigation still clears it, since it would prevent the user from signing in.
        let answer = navigate(&gateway, &cookies).await;
        assert_cleared(&answer);
        assert_eq!(answer.page().await, SIGNED_OUT);
    }
    assert_eq!(pbx.seen().requests.total(), before);
    // An expired cookie counts as absent, so the next credential decides.
    let good = format!("{own_cookie}; sso={}", jwt("bob"));
    let answer = navigate(&gateway, &good).await;
    assert_cleared(&answer);
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = navigate(&gateway, &format!("{own_cookie}; sso=x")).await;
    assert_cleared(&answer);
    assert_eq!(answer.page().await, SIGNED_OUT);
}

/// A gateway with a list of revocations, and a PBX that sends only the beginning of the recording.
pub(super) async fn revoking(with: impl FnOnce(Builder) -> Builder) -> (Simulator, Gateway) {
    let pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(4_000_000));
    let pbx = pbx.start().await.unwrap();
    pbx.hold_downloads(1_000_000);
    let builder = with_sessions(&pbx, "").cache();
    let builder = builder.set("admin.token_file", "admin-token");
    write_secret(&builder.folder().join("admin-token"), OPERATOR);
    let builder = builder
        .set("auth.revocation_file", "revoked.jsonl")
        .set("auth.cookie", "sso");
    let gateway = with(builder).start().await;
    (pbx, gateway)
}

pub(super) async fn revoke(gateway: &Gateway, entry: &str) {
    let token = format!("Bearer {OPERATOR}");
    let fields = [
        ("authorization", &*token),
        ("content-type", "application/json"),
    ];
    let reply = post(gateway.app.admin_address(), "/revocations", &fields, entry).await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn revoking_a_token_ends_its_session_and_transfers() {
    let token = jwt("alice");
    let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
    for entry in [
        format!(r#"{{"jti":"{jti}"}}"#),
        format!(r#"{{"jti":"{jti}","issuer":"{ISSUER}"}}"#),
        format!(r#"{{"issuer":"{ISSUER}","subject":"alice"}}"#),
        format!(r#"{{"issuer":"{ISSUER}","issued_before":"2999-01-01T00:00:00Z"}}"#),
        r#"{"issued_before":"2999-01-01T00:00:00Z"}"#.to_owned(),
    ] {
        let (_pbx, gateway) = revoking(|builder| builder).await;
        let cookie = own(&open(&gateway, &token).await);
        let mut playing = get(&gateway, &cookie).await;
        assert_eq!(playing.status(), StatusCode::OK);
        playing.chunk().await.unwrap().unwrap();

        revoke(&gateway, &entry).await;

        // The PBX sends no more, so the transfer ended because of the revocation.
        assert!(soon(playing.bytes()).await.is_err(), "{entry}");
        let refused = get(&gateway, &cookie).await.problem().await;
        assert_eq!(refused.slug, "session-invalid", "{entry}");
        // The token cannot open a new session either.
        let again = call(&gateway, Method::POST, "/session").bearer(&token);
        let refused = again.send().await.problem().await;
        assert_eq!(refused.slug, "bearer-token-invalid", "{entry}");
    }
}

#[tokio::test]
async fn other_revocations_do_not_end_a_session() {
    let (pbx, gateway) = revoking(|builder| builder).await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let of_bob = format!(r#"{{"issuer":"{ISSUER}","subject":"bob"}}"#);
    revoke(&gateway, &of_bob).await;
    revoke(&gateway, r#"{"jti":"another"}"#).await;
    // A session is as old as its token, not as its cookie.
    revoke(&gateway, r#"{"issued_before":"2020-01-01T00:00:00Z"}"#).await;
    pbx.release_downloads();
    let answer = get(&gateway, &cookie).await;
    assert_eq!(answer.bytes().await.unwrap().len(), 4_000_000);
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_with_its_issuer() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let other = format!("name = \"{ISSUER}\"");
    change(&gateway, &other, "name = \"https://another.test\"");
    let refused = get(&gateway, &cookie).await.problem().await;
    assert_eq!(refused.slug, "session-invalid");
    change(&gateway, "name = \"https://another.test\"", &other);
    assert_eq!(get(&gateway, &cookie).await.status(), StatusCode::OK);
    let path = gateway.folder().join("session");
    write_secret(&path, "another-secret-of-the-tests-for-sessions");
    gateway.reload().unwrap();
    let refused = get(&gateway, &cookie).await.problem().await;
    assert_eq!(refused.slug, "session-invalid");
}

#[tokio::test]
async fn signing_out_clears_the_cookie_whatever_its_value() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    for cookies in [
        cookie.clone(),
        own("x"),
        format!("{cookie}; {cookie}"),
        "a=b".to_owned(),
    ] {
        for (name, site) in [
            ("origin", ORIGIN),
            ("origin", CRM),
            ("sec-fetch-site", "same-origin"),
        ] {
            let call = call(&gateway, Method::DELETE, "/session").header("cookie", &cookies);
            let answer = call.header(name, site).send().await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            assert_cleared(&answer);
        }
    }
    let by_bearer = call(&gateway, Method::DELETE, "/session").bearer(&jwt("alice"));
    assert_cleared(&by_bearer.send().await);
}
