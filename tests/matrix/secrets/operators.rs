//! The actions and mistakes of an operator: calls of the admin listener, reloads with a mistake in
//! every file, and the commands that report tokens and the audit log.

use std::net::SocketAddr;
use std::path::Path;

use http::Method;

use super::browsers::{OPERATOR, another, beside};
use super::record::Record;
use crate::harness::admin::{ask, post};
use crate::harness::programs::{Running, run_wavegate};
use crate::harness::{LINK_SECRET, NAME, PBX, POLICIES, audit, link, write_secret};

/// Texts in files where they must not be, or that are not a key.
const MARKS: [&str; 3] = [
    "marked-short",
    "marked-secret-written-into-the-configuration",
    "-----BEGIN PRIVATE KEY-----\nbWFya2VkLWJ1dC1uby1rZXktYXQtYWxs\n-----END PRIVATE KEY-----\n",
];

/// The address of the admin listener, in either form of the log.
pub(super) fn admin_address(gateway: &Running) -> SocketAddr {
    let log = gateway.err.text();
    let line = log.lines().find(|line| line.contains("listening")).unwrap();
    let (_, text) = line.split_once("admin").unwrap();
    let text = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let is_of_address = |letter: char| letter.is_ascii_digit() || ".:".contains(letter);
    let end = text.find(|letter| !is_of_address(letter));
    text[..end.unwrap_or(text.len())].parse().unwrap()
}

/// Calls that change something, with wrong tokens and wrong bodies.
pub(super) async fn calls(record: &mut Record, admin: SocketAddr) {
    let (token, wrong) = (another(record), another(record));
    let operator = format!("Bearer {OPERATOR}");
    let nearly = format!("Bearer {}x", &OPERATOR[..30]);
    record.secrets.push(OPERATOR[..30].to_owned());
    let stranger = format!("Bearer {wrong}");
    let json = ("content-type", "application/json");
    let entries = [
        (format!("\"{token}\""), 400),
        (token.clone(), 400),
        (format!("{{\"{token}\":1}}"), 400),
        (format!("{{\"jti\":[\"{token}\"]}}"), 400),
        (format!("{{\"issued_before\":\"{token}\"}}"), 400),
        (format!("{{\"jti\":\"a\",\"jti\":\"{token}\"}}"), 400),
        (token.repeat(20), 413),
        ("{\"jti\":\"nobody\"}".to_owned(), 204),
    ];
    for (entry, expected) in &entries {
        for (fields, expected) in [
            (vec![("authorization", &*operator), json], *expected),
            (vec![("authorization", &*stranger), json], 401),
            (vec![("authorization", &*nearly), json], 401),
            (vec![("authorization", &*wrong), json], 401),
            (vec![json], 401),
            (vec![("authorization", &*operator)], 415),
        ] {
            let reply = post(admin, "/revocations", &fields, entry).await;
            // A call without a valid token is refused before its body is read. One that is too long
            // may get either status.
            let is_long = expected == 415 && entry.len() > 4096;
            assert!(
                reply.status == expected || is_long,
                "{} for {expected}",
                reply.status
            );
            record.keep(reply.status, &format!("{:?} {}", reply.headers, reply.text));
        }
    }
    for path in [
        format!("/cache/{PBX}/{token}"),
        format!("/cache/{token}/{NAME}"),
        format!("/{token}"),
        format!("/metrics?token={token}"),
    ] {
        for method in [Method::DELETE, Method::GET] {
            let reply = ask(admin, method, &path, &[&stranger]).await.unwrap();
            record.keep(reply.status, &format!("{:?} {}", reply.headers, reply.text));
        }
    }
}

/// The pages that monitors read.
pub(super) async fn reads(record: &mut Record, admin: SocketAddr) {
    for path in ["/metrics", "/pbxs", "/readyz", "/livez"] {
        let reply = ask(admin, Method::GET, path, &[]).await.unwrap();
        assert!(!reply.text.is_empty());
        record.keep(reply.status, &reply.text);
    }
}

/// Makes a mistake in every file, one after the other. Each is reported, and none is applied.
pub(super) async fn reloads(record: &mut Record, gateway: &Running, config: &Path) {
    let token = another(record);
    record
        .secrets
        .extend([MARKS[0], MARKS[1], "bWFya2VkLWJ1dC1uby1rZXktYXQtYWxs"].map(str::to_owned));
    let [short, inline, no_key] = MARKS;
    // Letters and digits, as this part always is: one word for the parser of policies.
    let claims = token.split('.').nth(1).unwrap();
    for (file, text) in [
        ("session", short),
        ("session", LINK_SECRET),
        ("session", no_key),
        ("link", short),
        ("link", no_key),
        ("bearer", no_key),
        ("bearer", short),
        ("idp-ca-0.pem", no_key),
        ("idp-ca-0.pem", &token),
        (
            POLICIES,
            &format!("permit(principal, action, resource);\n{token}"),
        ),
        (
            POLICIES,
            &format!(
                "permit(principal, action, resource) when {{ principal.subject == {token} }};"
            ),
        ),
        (
            POLICIES,
            &format!("permit(principal, action, resource) when {{ {claims} }};"),
        ),
        (
            POLICIES,
            &format!("permit(principal, action, resource) when {{ principal.{claims} }};"),
        ),
        (
            POLICIES,
            &format!("permit(principal, action, resource) when {{ \"{token}\" }};"),
        ),
    ] {
        mistaken(gateway, &beside(config, file), text).await;
    }
    let text = std::fs::read_to_string(config).unwrap();
    let beside_it = |line: &str, more: &str| text.replacen(line, &format!("{line}\n{more}"), 1);
    for text in [
        beside_it("[session]", &format!("key = \"{inline}\"")),
        beside_it("[session]", &format!("max_ttl_s = \"{inline}\"")),
        beside_it("[admin]", &format!("token = \"{inline}\"")),
        beside_it("[admin]", &format!("token = {inline}")),
        beside_it("[auth]", &token),
        beside_it("name = \"office\"", &format!("password = \"{inline}\"")),
        // A file in the place of another.
        text.replace("file = \"policy.cedar\"", "file = \"link\""),
        text.replace("secret_file = \"bearer\"", "public_key_file = \"bearer\""),
        text.replace("secret_file = \"link\"", "secret_file = \"bearer\""),
    ] {
        mistaken(gateway, config, &text).await;
    }
    // The gateway reads the list of revocations again by itself.
    let list = beside(config, "revoked.jsonl");
    let before = std::fs::read_to_string(&list).unwrap();
    let told = |log: &str| {
        log.matches("the list of revocations cannot be read")
            .count()
    };
    for (count, line) in [
        format!("\"{token}\""),
        format!("{{\"{token}\":1}}"),
        format!("{{\"issued_before\":\"{token}\"}}"),
        token.clone(),
    ]
    .iter()
    .enumerate()
    {
        std::fs::write(&list, format!("{before}{line}\n")).unwrap();
        gateway.err.until(|log| told(log) > count).await;
        let in_force = |log: &str| log.matches("the list of revocations is in force").count();
        let entries = in_force(&gateway.err.text());
        std::fs::write(&list, format!("{before}# {count}\n")).unwrap();
        gateway.err.until(|log| in_force(log) > entries).await;
    }
}

/// Reloads with a mistake in a file, and then restores the file.
async fn mistaken(gateway: &Running, file: &Path, text: &str) {
    let told = |log: &str| log.matches("nothing was changed").count();
    let before = told(&gateway.err.text());
    let good = std::fs::read_to_string(file).unwrap();
    write_secret(file, text);
    gateway.signal("HUP");
    gateway.err.until(|log| told(log) > before).await;
    write_secret(file, &good);
    super::forget(gateway).await;
}

/// The output of the commands about good and bad tokens, and about the log.
pub(super) async fn commands(record: &mut Record, config: &Path, folder: &Path) {
    let good = another(record);
    let spoilt = format!("{}AAAA", &good[..good.len() - 4]);
    let of_recording = record.token(link(PBX, NAME));
    let file = beside(config, "token");
    let arguments = ["explain", "--config", config.to_str().unwrap()];
    let rest = ["--token-file", file.to_str().unwrap(), "--recording", NAME];
    for (token, kind, code) in [
        (&*good, "bearer", 0),
        (&*spoilt, "bearer", 1),
        (&*of_recording, "bearer", 1),
        (&*of_recording, "link", 0),
        (&*good, "link", 1),
        (&*format!("{good} {good}"), "bearer", 1),
    ] {
        write_secret(&file, token);
        let ended = run_wavegate(&[&arguments[..], &rest, &["--kind", kind]].concat()).await;
        assert_eq!(ended.code, Some(code), "{kind} {}", ended.err);
        record.keep(0, &format!("{}{}", ended.out, ended.err));
    }
    let dir = audit::dir(folder);
    let dir = dir.to_str().unwrap();
    for by in ["recording", "person", "hour", "day"] {
        for format in ["table", "csv", "json"] {
            let report = ["audit", "report", dir, "--by", by, "--format", format];
            let ended = run_wavegate(&report).await;
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            assert!(ended.out.len() > 20);
            record.keep(0, &ended.out);
        }
    }
    let ended = run_wavegate(&["audit", "verify", dir]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    record.keep(0, &ended.out);
    let mut stories = 0;
    for line in audit::of_kind(&audit::dir(folder), "decision")
        .iter()
        .step_by(5)
    {
        let id = line["id"].as_str().unwrap();
        let ended = run_wavegate(&["why", id, "--dir", dir]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        record.keep(0, &ended.out);
        stories += 1;
    }
    assert!(stories > 3);
}
