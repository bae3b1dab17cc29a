//! `wavegate explain`: its output, its exit code, and that it never prints the token.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::{STARTERS, outcome, pbx};
use crate::harness::idp::{Idp, Mood};
use crate::harness::programs::{Ended, run_wavegate, wavegate};
use crate::harness::{
    ISSUER, NAME, POLICIES, expired_jwt, gateway, jwt, jwt_of, jwt_with, link_from, link_of, soon,
    write_secret,
};

pub(super) const OWN: &str = "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav";

pub(super) async fn explain(config: &Path, token: &str, rest: &[&str]) -> Ended {
    let file = config.with_file_name("token");
    write_secret(&file, token);
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let ended =
        run_wavegate(&[&["explain", "--config", config, "--token-file", file], rest].concat())
            .await;
    for part in token.split('.') {
        assert!(!ended.out.contains(part) && !ended.err.contains(part));
    }
    ended
}

#[tokio::test]
async fn explain_prints_the_decision_its_policies_and_attributes() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx)
        .policies(STARTERS)
        .set("pbx.groups.6400", ["1001"]);
    let config = builder.write();
    let token = jwt_with(
        "alice\u{202e}",
        json!({"roles": ["agent", "a\"b"], "extensions": ["office/1001"], "tenant": "office"}),
    );
    let ended = explain(
        &config,
        &token,
        &["--recording", OWN, "--source", "::ffff:192.0.2.7"],
    )
    .await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let policies = builder.folder().join(POLICIES);
    let line = 1 + STARTERS
        .lines()
        .position(|line| line == "@id(\"own-calls\")")
        .unwrap();
    let (text, now) = ended.out.trim_end().rsplit_once('\n').unwrap();
    let expected = format!(
        "allow\n\
         by policy own-calls ({}:{line})\n\
         principal.issuer: \"https://idp.test\"\n\
         principal.subject: \"alice\\u{{202e}}\"\n\
         principal.roles: \"agent\", \"a\\\"b\"\n\
         principal.extensions: \"office/1001\"\n\
         principal.tenant: \"office\"\n\
         resource.pbx: \"office\"\n\
         resource.name: \"{OWN}\"\n\
         resource.start: \"2026-03-02T10:45:01Z\"\n\
         resource.direction: \"inbound\"\n\
         resource.caller: \"0205550147\"\n\
         resource.callee: \"6400\"\n\
         resource.internal_parties: \"office/6400\", \"office/1001\"\n\
         context.source: \"192.0.2.7\"\n\
         context.credential: \"bearer\"",
        policies.display()
    );
    assert_eq!(text, expected);
    assert!(now.starts_with("context.now: \"20"), "{now}");
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn a_denial_prints_its_reason_and_exits_with_1() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx).policies(&format!(
        "{STARTERS}\n@id(\"quiet\") forbid(principal, action, resource) when {{ principal.subject == \"dave\" }};"
    ));
    let config = builder.write();
    let link = link_of("bob", "office", OWN, None);
    let local = link_from("office", OWN, Some("192.0.2.7".parse().unwrap()));
    let kind = ["--recording", OWN, "--kind", "link"];
    for (token, rest, code, words) in [
        (
            jwt("alice"),
            &["--recording", OWN][..],
            1,
            &["deny\n", "no policy permits it"][..],
        ),
        (
            jwt("dave"),
            &["--recording", OWN],
            1,
            &["deny\nby policy quiet (", "forbidden by quiet"],
        ),
        (
            link.clone(),
            &kind,
            0,
            &[
                "allow\nby policy links (",
                "context.credential: \"link\"",
                "principal.roles: none",
            ],
        ),
        (
            link.clone(),
            &["--recording", NAME, "--kind", "link"],
            1,
            &["deny\nthe link is for another recording"],
        ),
        // The wrong kind, a link for another address, an expired token: refused as the server
        // refuses them.
        (
            link,
            &["--recording", OWN],
            1,
            &["deny (401)\nthe token is not accepted: bearer token: "],
        ),
        (
            local,
            &kind,
            1,
            &["deny (401)\n", "the link is for another address"],
        ),
        (
            expired_jwt("alice"),
            &["--recording", OWN],
            1,
            &["deny (401)\n", "the token has expired"],
        ),
    ] {
        let ended = explain(&config, &token, rest).await;
        assert_eq!(
            (ended.code, ended.err.as_str()),
            (Some(code), ""),
            "{ended:?}"
        );
        for word in words {
            assert!(ended.out.contains(word), "{word}: {}", ended.out);
        }
    }
}

#[tokio::test]
async fn explain_reads_the_token_from_stdin_not_from_arguments() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx).policies(STARTERS);
    let config = builder.write();
    let arguments = [
        "explain",
        "--config",
        config.to_str().unwrap(),
        "--recording",
        OWN,
    ];
    let run = |input: &str, rest: &[&str]| {
        let mut command = wavegate(&[&arguments, rest].concat());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), text.concat())
    };
    let token = jwt_with("carol", json!({"roles": ["supervisor"]}));
    let (code, text) = run(&format!("  {token}\n"), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("allow\nby policy supervisors (") && !text.contains(&token));
    let (code, text) = run("\n", &[]);
    assert!(
        code == Some(1) && text.contains("there is no token"),
        "{text}"
    );
    let (code, text) = run("not a token", &[]);
    assert!(code == Some(1) && text.starts_with("deny (401)"), "{text}");
    assert!(!text.contains("not a token\n"));
    // An argument that looks like a token is refused before any file is read.
    let ended = run_wavegate(&[&arguments[..], &[token.as_str()]].concat()).await;
    assert_eq!(ended.code, Some(2));
}

#[tokio::test]
async fn an_exposed_token_file_or_a_bad_configuration_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let pbx = pbx([]).await;
    let builder = gateway(&pbx);
    let config = builder.write();
    let file = builder.folder().join("open");
    write_secret(&file, &jwt("alice"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = |config: &str| {
        let file = file.to_str().unwrap();
        [
            "explain",
            "--config",
            config,
            "--recording",
            OWN,
            "--token-file",
            file,
        ]
        .map(str::to_owned)
    };
    let run = async |config: &Path| {
        let arguments = arguments(config.to_str().unwrap());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_wavegate(&arguments).await
    };
    let ended = run(&config).await;
    assert!(
        ended.code == Some(1) && ended.err.contains("chmod 600"),
        "{ended:?}"
    );
    std::fs::write(builder.folder().join(POLICIES), "permit").unwrap();
    let ended = run(&config).await;
    assert!(
        ended.code == Some(78) && ended.err.contains("policy.file"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_token_with_roles_can_be_made_for_trying_out() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx)
        .policies(STARTERS)
        .set("auth.issuer.roles_claim", "realm_access.roles")
        .set("auth.issuer.tenant_claim", "https://idp.test/tenant");
    let config = builder.write();
    let path = config.to_str().unwrap();
    let minted = run_wavegate(&[
        "token",
        "--config",
        path,
        "--subject",
        "carol",
        "--role",
        "supervisor",
        "--role",
        "b",
        "--extension",
        "office/1001",
        "--tenant",
        "office",
    ])
    .await;
    let ended = explain(&config, minted.out.trim_end(), &["--recording", OWN]).await;
    for line in [
        "principal.roles: \"supervisor\", \"b\"\n",
        "principal.extensions: \"office/1001\"\n",
        "principal.tenant: \"office\"\n",
    ] {
        assert!(ended.out.contains(line), "{}", ended.out);
    }
}

#[tokio::test]
async fn explain_fetches_published_keys_and_decides_as_the_server() {
    let (pbx, idp, other) = (pbx([OWN]).await, Idp::start().await, Idp::start().await);
    let builder = gateway(&pbx).policies(
        "@id(\"alice\") permit(principal, action, resource) when { principal.subject == \"alice\" };",
    );
    let lines = format!("discovery_url = \"{}/metadata\"", idp.name());
    let lines = idp.lines(builder.folder(), &lines);
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    soon(async { while outcome(&gateway, &idp.jwt("alice"), OWN).await != "200" {} }).await;
    let config = gateway.folder().join("wavegate.toml");
    for (token, fetches, served, words) in [
        (idp.jwt("alice"), 1, "200", "allow\nby policy alice ("),
        (idp.jwt("bob"), 1, "recording-denied", "deny\n"),
        // Signed with another issuer's key.
        (
            other.jwt_as(&idp.name(), "alice"),
            1,
            "bearer-token-invalid",
            "deny (401)\n",
        ),
        (jwt("alice"), 0, "200", "allow\n"),
        (
            jwt_of("https://nobody.example", "alice", json!({})),
            0,
            "bearer-token-invalid",
            "deny (401)\n",
        ),
    ] {
        assert_eq!(outcome(&gateway, &token, OWN).await, served);
        let before = idp.asked();
        let ended = explain(&config, &token, &["--recording", OWN]).await;
        assert!(ended.out.starts_with(words), "{ended:?}");
        assert_eq!((ended.code == Some(0), &*ended.err), (served == "200", ""));
        assert_eq!(idp.asked(), before + fetches, "{words}");
    }
    idp.be(Mood::Down);
    let ended = explain(&config, &idp.jwt("alice"), &["--recording", OWN]).await;
    let told = format!(
        "no decision (503)\nthe keys of the issuer {:?} cannot be fetched: ",
        idp.name()
    );
    assert_eq!((ended.code, &*ended.err), (Some(1), ""));
    assert!(ended.out.starts_with(&told), "{}", ended.out);
    // A token of another issuer still gets its decision.
    let ended = explain(&config, &jwt("alice"), &["--recording", OWN]).await;
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn explain_refuses_a_revoked_token_as_the_server_does() {
    let pbx = pbx([OWN]).await;
    let builder = gateway(&pbx).set("auth.revocation_file", "revoked.jsonl");
    let config = builder.write();
    let rest = ["--recording", OWN];
    let ended = explain(&config, &jwt("alice"), &rest).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let list = builder.folder().join("revoked.jsonl");
    std::fs::write(
        &list,
        format!(r#"{{"issuer":"{ISSUER}","subject":"alice"}}"#),
    )
    .unwrap();
    let gateway = builder.start().await;
    for (subject, code, served) in [("alice", 1, "bearer-token-invalid"), ("bob", 0, "200")] {
        let ended = explain(&config, &jwt(subject), &rest).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.out.contains("the token is revoked"), code == 1);
        assert_eq!(outcome(&gateway, &jwt(subject), OWN).await, served);
    }
    std::fs::write(&list, "{").unwrap();
    let ended = explain(&config, &jwt("bob"), &rest).await;
    assert!(
        ended.code == Some(1) && ended.err.contains("line 1"),
        "{ended:?}"
    );
}
