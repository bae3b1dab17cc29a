//! The contents that a discovery document may have.

use super::*;

const ISSUER: &str = "https://sso.example/realms/company";
const DOCUMENT: &str = "https://sso.example/realms/company/.well-known/openid-configuration";

fn fetcher() -> Fetcher {
    Fetcher {
        place: KeyPlace::Discovery(DOCUMENT.parse().unwrap()),
        issuer: ISSUER.to_owned(),
        origins: vec![Url::parse("https://keys.example:8443").unwrap().origin()],
        client: None,
    }
}

#[track_caller]
fn check(metadata: &str, expected: Result<&str, &str>) {
    let found = fetcher().set_of(&DOCUMENT.parse().unwrap(), metadata.as_bytes());
    match (found, expected) {
        (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
        (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
        (found, _) => panic!("{metadata}: {found:?}"),
    }
}

fn metadata(issuer: &str, set: &str) -> String {
    format!(r#"{{"issuer":"{issuer}","jwks_uri":"{set}","token_endpoint":"x"}}"#)
}

#[test]
fn a_set_is_at_the_issuer_or_at_a_configured_origin() {
    for set in [
        "https://sso.example/certs",
        "https://sso.example:443/certs?x=1",
        "https://keys.example:8443/company",
    ] {
        let url = Url::parse(set).unwrap();
        check(&metadata(ISSUER, set), Ok(url.as_str()));
    }
    for set in [
        "https://evil.example/certs",
        "https://sso.example:8443/certs",
        "https://sso.example.evil.example/certs",
        "https://keys.example/company",
        "https://sso.example@evil.example/certs",
    ] {
        check(&metadata(ISSUER, set), Err("jwks_origins"));
    }
    check(
        &metadata(ISSUER, "http://sso.example/certs"),
        Err("not https"),
    );
    check(&metadata(ISSUER, "file:///etc/passwd"), Err("not https"));
    check(&metadata(ISSUER, "/certs"), Err("not a URL"));
}

#[test]
fn an_issuer_mismatch_shows_both_names_escaped() {
    let message_for = |issuer: &str| {
        let document =
            serde_json::json!({"issuer": issuer, "jwks_uri": "https://sso.example/certs"});
        let url = DOCUMENT.parse().unwrap();
        let found = fetcher().set_of(&url, document.to_string().as_bytes());
        found.unwrap_err()
    };
    let both = format!(": its issuer is \"{ISSUER}/\", and the name of this one is \"{ISSUER}\"");
    assert!(message_for(&format!("{ISSUER}/")).ends_with(&both));
    assert!(message_for("a\"\n\u{1b}[2J").contains(r#""a\"\n\u{1b}[2J","#));
    let long = message_for(&"\u{e9}".repeat(5_000));
    assert!(
        long.contains("\u{e9}\"\u{2026}, and") && long.len() < 700,
        "{long}"
    );
}

#[test]
fn an_encoded_answer_is_refused_and_its_coding_named() {
    let require = |codings: &[&str]| {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        require_no_coding(&headers)
    };
    for none in [&[][..], &["identity"], &["Identity"], &[""]] {
        assert_eq!(require(none), Ok(()));
    }
    for (coding, shown) in [
        ("gzip", "\"gzip\""),
        ("br", "\"br\""),
        ("identity, gzip", "\"identity, gzip\""),
        ("x\ty", r#""x\ty""#),
    ] {
        let expected = format!("the answer has the content coding {shown}, and none was asked for");
        assert_eq!(require(&[coding]), Err(expected));
    }
    assert!(require(&["identity", "gzip"]).is_err());
}

#[test]
fn a_byte_order_mark_before_a_document_is_skipped() {
    let set = "https://sso.example/certs";
    check(&format!("\u{FEFF}{}", metadata(ISSUER, set)), Ok(set));
    let twice = format!("\u{FEFF}\u{FEFF}{}", metadata(ISSUER, set));
    check(&twice, Err("no issuer or no jwks_uri"));
}

#[test]
fn a_document_of_another_issuer_is_refused() {
    for issuer in [
        "https://sso.example/realms/other",
        "https://sso.example/realms/company/",
        "HTTPS://sso.example/realms/company",
        "",
    ] {
        check(
            &metadata(issuer, "https://sso.example/certs"),
            Err("another issuer"),
        );
    }
    for text in [
        "",
        "[]",
        "{}",
        r#"{"issuer":1}"#,
        "<html>",
        r#"{"jwks_uri":"https://sso.example/c"}"#,
    ] {
        check(text, Err("no issuer or no jwks_uri"));
    }
}
