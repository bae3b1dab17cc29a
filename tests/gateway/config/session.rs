//! Mistakes in sessions, in the keys that sign sessions and links, and in the listed sites.

use super::*;

/// Checks that these lines give exactly these problems, each with a part of its message.
#[track_caller]
fn check(replace: &[(&str, &str)], expected: &[(&str, &str)]) {
    let folder = folder();
    for (name, secret) in [("session", "for-sessions"), ("short", "")] {
        let secret = format!("a-secret-of-its-own-{secret}");
        write_secret(&folder.path().join("secrets").join(name), &secret);
    }
    let mut text = EXAMPLE.to_owned();
    for (from, to) in replace {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let problems = load(folder.path(), &text).err().unwrap_or_default();
    let keys: Vec<_> = problems.iter().map(|(key, _)| &**key).collect();
    let expected_keys: Vec<_> = expected.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, expected_keys, "{problems:?}");
    for ((_, message), (_, part)) in problems.iter().zip(expected) {
        assert!(message.contains(part), "{message}");
    }
}

const KEY: &str = "#key_file = \"secrets/session\"";
const SIGNING: &str = "#signing_key = \"crm\"";
const COOKIE: &str = "#cookie = \"sso_token\"";

#[test]
fn all_optional_session_and_link_keys_may_be_set() {
    check(
        &[
            (KEY, &KEY[1..]),
            (SIGNING, &SIGNING[1..]),
            (COOKIE, &COOKIE[1..]),
            ("#embed = \"same-site\"", "embed = \"partitioned\""),
            ("#origins = []", "origins = [\"https://crm.example\"]"),
        ],
        &[],
    );
}

#[test]
fn the_session_key_is_long_enough_and_used_nowhere_else() {
    let with = |file: &str| format!("key_file = \"secrets/{file}\"");
    let problem = |part| [("session.key_file", part)];
    check(&[(KEY, &with("short"))], &problem("at least 32 bytes"));
    check(&[(KEY, &with("absent"))], &problem("absent"));
    let bearer = "also a key of issuer \"https://idp.example.com\"";
    check(&[(KEY, &with("bearer"))], &problem(bearer));
    check(&[(KEY, &with("link"))], &problem("links.key"));
    let admin = "token_file = \"secrets/session\"";
    let token = ("#token_file = \"secrets/admin-token\"", admin);
    check(&[(KEY, &KEY[1..]), token], &problem("admin.token_file"));
}

#[test]
fn a_session_is_embedded_in_one_of_two_ways_for_a_time() {
    check(
        &[("#embed = \"same-site\"", "embed = \"none\"")],
        &[("session.embed", "\"same-site\", \"partitioned\"")],
    );
    check(
        &[("#max_ttl_s = 28800", "max_ttl_s = 59")],
        &[("session.max_ttl_s", "60 to 2592000")],
    );
}

#[test]
fn auth_cookie_is_a_valid_name_and_not_the_gateways_own() {
    for (name, part) in [
        ("a b", "cannot be the name"),
        ("", "cannot be the name"),
        ("a=b", "cannot be the name"),
        ("__Host-wavegate", "the gateway's own"),
    ] {
        let line = format!("cookie = \"{name}\"");
        check(&[(COOKIE, &line)], &[("auth.cookie", part)]);
    }
}

#[test]
fn links_signing_key_names_exactly_one_secret_key() {
    let problem = |part| [("links.signing_key", part)];
    let unknown = "signing_key = \"other\"";
    check(&[(SIGNING, unknown)], &problem("no [[links.key]]"));
    let header = "[[links.key]]\n";
    let before = |key: &str| format!("{header}id = \"crm\"\n{key}\n\n{header}");
    let shared = before("algorithm = \"HS256\"\nsecret_file = \"secrets/session\"");
    check(
        &[(SIGNING, &SIGNING[1..]), (header, &shared)],
        &problem("more than one"),
    );
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pair.public_key_pem()).unwrap();
    let path = file.path().display();
    let public = format!("algorithm = \"ES256\"\npublic_key_file = \"{path}\"");
    let other = ("id = \"crm\"", "id = \"other\"");
    check(
        &[(SIGNING, &SIGNING[1..]), other, (header, &before(&public))],
        &problem("no secret_file"),
    );
}

#[test]
fn a_site_is_listed_by_its_origin() {
    for (origin, part) in [
        ("*", "wildcard"),
        ("https://*.crm.example", "name each origin"),
        ("https://crm.example/app", "only scheme, host and port"),
        ("null", "sandboxed frame"),
        ("ftp://crm.example", "not an origin"),
    ] {
        let line = format!("origins = [\"{origin}\"]");
        check(&[("#origins = []", &line)], &[("cors.origins", part)]);
    }
}
