//! What a discovery document may say.

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
fn a_set_is_where_the_issuer_is_or_where_the_operator_says() {
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
    check(&metadata(ISSUER, "/certs"), Err("no URL"));
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
