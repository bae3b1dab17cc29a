//! `wavegate explain` gives the same decision as the server, for requests to make links and for
//! cookies.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::explain::{OWN, explain};
use super::pbx;
use crate::harness::audit::{dir, of_kind};
use crate::harness::programs::Ended;
use crate::harness::session::{ORIGIN, call, open, with_sessions};
use crate::harness::{
    Answer, Builder, Gateway, ISSUER, NAME, expired_jwt, gateway, jwt, link_of, soon, write_secret,
};

/// Alice may hear and share, bob may only share, carol may only hear, and dave is forbidden both by
/// name.
const SHARING: &str = r#"
@id("hear") permit(principal, action == Wavegate::Action::"listen", resource)
when { ["alice", "carol", "dave"].contains(principal.subject) };
@id("share") permit(principal, action == Wavegate::Action::"share", resource) unless { principal.subject == "carol" };
@id("quiet") forbid(principal, action == Wavegate::Action::"listen", resource) when { principal.subject == "dave" };
"#;

/// The outcome of a request: 200, 201 or the slug of the problem.
async fn came_of(answer: Answer) -> String {
    match answer.status() {
        StatusCode::OK | StatusCode::CREATED => {
            let status = answer.status().as_u16().to_string();
            answer.bytes().await.expect("whole");
            status
        }
        _ => answer.problem().await.slug,
    }
}

/// The outcome, and the policies that decided, where the audit log has a decision.
async fn served(gateway: &Gateway, answer: Answer) -> (String, Vec<String>) {
    let id = answer.header("x-request-id").unwrap().to_owned();
    let outcome = came_of(answer).await;
    let decisions = of_kind(&dir(gateway.folder()), "decision").into_iter();
    let mut decisions = decisions.filter(|decision| decision["id"] == json!(id));
    let policies = decisions.next().map(|decision| {
        let ids = decision["policies"].as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    });
    (outcome, policies.unwrap_or_default())
}

/// The policies that `explain` names.
fn named(ended: &Ended) -> Vec<String> {
    let lines = ended.out.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("by policy "));
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// Checks that `explain` gives this exit code, and an output that starts with `begins`.
async fn check(gateway: &Gateway, token: &str, rest: &[&str], code: i32, begins: &str) -> Ended {
    let config = gateway.folder().join("wavegate.toml");
    let ended = explain(&config, token, &[&["--recording", OWN], rest].concat()).await;
    let told = (ended.code, ended.err.as_str());
    assert_eq!(told, (Some(code), ""), "{begins}: {ended:?}");
    assert!(ended.out.starts_with(begins), "{begins}: {ended:?}");
    ended
}

async fn ask(gateway: &Gateway, query: &str, token: Option<&str>) -> Answer {
    let call = call(gateway, Method::POST, &format!("/links{query}"));
    let call = token
        .into_iter()
        .fold(call, |call, token| call.bearer(token));
    call.json(&json!({"recording": OWN}).to_string())
        .send()
        .await
}

#[tokio::test]
async fn explain_decides_sharing_as_the_server_does() {
    let pbx = pbx([]).await;
    let gateway = with_sessions(&pbx, "").policies(SHARING).audit();
    let gateway = gateway.start().await;
    let share = ["--action", "share"];
    let first = "sharing needs the right to listen, and that is denied\n";
    for (subject, code, outcome, policies, begins, is_first) in [
        (
            "alice",
            0,
            "201",
            vec!["share"],
            "allow\nby policy share (",
            false,
        ),
        (
            "bob",
            1,
            "recording-denied",
            vec![],
            "deny\nno policy permits it\n",
            true,
        ),
        (
            "carol",
            1,
            "recording-denied",
            vec![],
            "deny\nno policy permits it\n",
            false,
        ),
        (
            "dave",
            1,
            "recording-denied",
            vec!["quiet"],
            "deny\nby policy quiet (",
            true,
        ),
    ] {
        let answer = ask(&gateway, "", Some(&jwt(subject))).await;
        let (came_out, decided) = served(&gateway, answer).await;
        assert_eq!(
            (&*came_out, &decided),
            (outcome, &policies.into_iter().map(str::to_owned).collect())
        );
        let ended = check(&gateway, &jwt(subject), &share, code, begins).await;
        assert_eq!(named(&ended), decided, "{subject}");
        assert_eq!(ended.out.contains(first), is_first, "{subject}");
    }
    // carol may hear but not share. A link cannot make links, whatever the policies say.
    check(&gateway, &jwt("carol"), &[], 0, "allow\nby policy hear (").await;
    let link = link_of("alice", "office", OWN, None);
    let answer = ask(&gateway, &format!("?link={link}"), None).await;
    assert_eq!(answer.problem().await.slug, "link-cannot-share");
    let by_link = ["--action", "share", "--kind", "link"];
    check(
        &gateway,
        &link,
        &by_link,
        1,
        "deny\na link cannot make links\n",
    )
    .await;
    check(&gateway, &link, &by_link[2..], 0, "allow\n").await;
}

#[tokio::test]
async fn explain_names_the_setting_that_links_lack() {
    let pbx = pbx([]).await;
    let public = format!("public_url = \"{ORIGIN}\"");
    let key = "signing_key = \"crm\"";
    let branch = super::pbx([]).await;
    let configured = |builder: Builder, server: &str, links: &str| {
        builder.lines("[server]", server).lines("[links]", links)
    };
    for (server, links, outcome, begins) in [
        (
            &*public,
            "",
            "links-unconfigured",
            "deny (501)\nlinks.signing_key is not configured\n",
        ),
        (
            "",
            key,
            "links-unconfigured",
            "deny (501)\nserver.public_url is not configured\n",
        ),
        (&public, key, "201", "allow\n"),
    ] {
        let gateway = configured(gateway(&pbx), server, links).start().await;
        let answer = ask(&gateway, "", Some(&jwt("alice"))).await;
        assert_eq!(came_of(answer).await, outcome);
        let code = i32::from(outcome != "201");
        check(
            &gateway,
            &jwt("alice"),
            &["--action", "share"],
            code,
            begins,
        )
        .await;
        // A link cannot make links, whatever is configured. Hearing does not depend on these
        // settings.
        let link = link_of("alice", "office", OWN, None);
        let by_link = ["--action", "share", "--kind", "link"];
        check(
            &gateway,
            &link,
            &by_link,
            1,
            "deny\na link cannot make links\n",
        )
        .await;
        check(&gateway, &jwt("alice"), &[], 0, "allow\n").await;
    }
    let limited = "signing_key = \"near\"\n[[links.key]]\nid = \"near\"\nalgorithm = \"HS256\"\nsecret_file = \"near\"\npbxs = [\"branch\"]";
    let builder = configured(gateway(&pbx), &public, limited).beside("branch", &branch);
    write_secret(
        &builder.folder().join("near"),
        "a-secret-of-the-tests-for-near-links-0123456",
    );
    let gateway = builder.start().await;
    let answer = ask(&gateway, "", Some(&jwt("alice"))).await;
    let document: Value = serde_json::from_str(&answer.problem().await.text).unwrap();
    let why = "the key of links.signing_key is not for this PBX";
    assert_eq!(document["reason"], format!("pbx: {why}"));
    let begins = format!("deny (400)\n{why}\n");
    check(&gateway, &jwt("alice"), &["--action", "share"], 1, &begins).await;
    let branch = ["--action", "share", "--pbx", "branch"];
    check(&gateway, &jwt("alice"), &branch, 0, "allow\n").await;
}

/// Sends a request with a cookie: to share the recording, or to hear it.
async fn by_cookie(gateway: &Gateway, cookie: &str, shares: bool) -> Answer {
    let call = match shares {
        true => call(gateway, Method::POST, "/links").json(&json!({"recording": OWN}).to_string()),
        false => call(gateway, Method::GET, &format!("/recordings/{OWN}")),
    };
    let call = call.header("cookie", cookie);
    call.header("sec-fetch-site", "same-origin").send().await
}

#[tokio::test]
async fn a_cookie_is_explained_as_the_server_takes_it() {
    let pbx = pbx([OWN]).await;
    let builder = with_sessions(&pbx, "")
        .set("auth.cookie", "sso").set("auth.revocation_file", "revoked.jsonl")
        .policies(
            "@id(\"by-session\") permit(principal, action, resource) when { context.credential == \"session\" };\n\
             @id(\"by-sso\") permit(principal, action == Wavegate::Action::\"listen\", resource)\n\
             when { context.credential == \"sso\" };\n\
             @id(\"not-bob\") forbid(principal, action, resource) when { principal.subject == \"bob\" };",
        )
        .audit();
    let revoked = format!(r#"{{"issuer":"{ISSUER}","subject":"carol"}}"#);
    let list = builder.folder().join("revoked.jsonl");
    std::fs::write(&list, "").unwrap();
    let gateway = builder.start().await;
    let session = async |subject| open(&gateway, &jwt(subject)).await;
    let (alice, bob, carol) = (
        session("alice").await,
        session("bob").await,
        session("carol").await,
    );
    std::fs::write(&list, revoked).unwrap();
    let ended = format!("__Host-wavegate={carol}");
    soon(async {
        while by_cookie(&gateway, &ended, true).await.status() == StatusCode::CREATED {}
    })
    .await;
    let refused = "deny (401)\nthe token is not accepted: ";
    let (own, sso) = (("session", "__Host-wavegate"), ("sso", "sso"));
    for ((kind, name), value, shares, outcome, begins) in [
        (own, &alice, false, "200", "allow\nby policy by-session ("),
        (own, &alice, true, "201", "allow\nby policy by-session ("),
        (
            own,
            &bob,
            false,
            "recording-denied",
            "deny\nby policy not-bob (",
        ),
        (
            own,
            &carol,
            false,
            "session-invalid",
            &format!("{refused}the token is revoked"),
        ),
        (
            own,
            &jwt("alice"),
            false,
            "session-invalid",
            &format!("{refused}cookie: "),
        ),
        (
            sso,
            &jwt("alice"),
            false,
            "200",
            "allow\nby policy by-sso (",
        ),
        (
            sso,
            &jwt("alice"),
            true,
            "recording-denied",
            "deny\nno policy permits it\n",
        ),
        (
            sso,
            &jwt("bob"),
            true,
            "recording-denied",
            "deny\nby policy not-bob (",
        ),
        (
            sso,
            &jwt("carol"),
            false,
            "session-invalid",
            &format!("{refused}the token is revoked"),
        ),
        (
            sso,
            &expired_jwt("alice"),
            false,
            "session-invalid",
            &format!("{refused}cookie: the token has expired"),
        ),
        (
            sso,
            &alice,
            false,
            "session-invalid",
            &format!("{refused}cookie: "),
        ),
    ] {
        let answer = by_cookie(&gateway, &format!("{name}={value}"), shares).await;
        let (came_out, decided) = served(&gateway, answer).await;
        assert_eq!(came_out, outcome, "{kind}: {begins}");
        let action = if shares { "share" } else { "listen" };
        let rest = ["--kind", kind, "--action", action];
        let code = i32::from(!begins.starts_with("allow"));
        let ended = check(&gateway, value, &rest, code, begins).await;
        assert_eq!(named(&ended), decided, "{kind}: {begins}");
        let line = format!("\ncontext.credential: \"{kind}\"\n");
        assert_eq!(ended.out.contains(&line), !begins.starts_with(refused));
    }
    // The input is the value of one cookie, not a whole `Cookie` field.
    let config = gateway.folder().join("wavegate.toml");
    let both = format!("{alice}; sso=x");
    let ended = explain(&config, &both, &["--recording", OWN, "--kind", "session"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("more than the value of one cookie"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_cookie_is_no_credential_without_its_setting() {
    let pbx = pbx([NAME]).await;
    let gateway = gateway(&pbx).start().await;
    for (kind, name, key) in [
        ("session", "__Host-wavegate", "session.key_file"),
        ("sso", "sso", "auth.cookie"),
    ] {
        let answer = by_cookie(&gateway, &format!("{name}={}", jwt("alice")), false).await;
        assert_eq!(came_of(answer).await, "bearer-token-missing");
        let begins = format!(
            "deny (401)\nthe token is not accepted: this cookie is not looked at, since {key} is not configured"
        );
        check(&gateway, &jwt("alice"), &["--kind", kind], 1, &begins).await;
    }
}
