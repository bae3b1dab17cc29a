//! Roles, extensions and tenant from a token: only in the right form, and each once.

use super::*;

fn read(further: &str, pbxs: Option<&[&str]>) -> Result<Principal, AuthError> {
    let (signing, key) = hmac_pair(None, b'a');
    let mut authenticator = authenticator(vec![key]);
    let names = pbxs.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    for issuer in &mut authenticator.issuers {
        issuer.pbxs = names.clone();
        issuer.claims.roles = "realm_access.roles".to_owned();
    }
    let (exp, claims) = (NOW + 60, further);
    let claims =
        format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"alice","exp":{exp}{claims}}}"#);
    let token = forge(&signing, HEADER, &claims);
    let headers = bearer_headers(&token);
    let principal = authenticator.authenticate(&headers, None, SOURCE, at(NOW));
    principal
        .map(|caller| caller.principal().clone())
        .map_err(|rejected| rejected.reason().clone())
}

#[track_caller]
fn check(further: &str, roles: &[&str], extensions: &[(&str, &str)], tenant: Option<&str>) {
    let principal = read(further, None).unwrap();
    let attributes = principal.attributes();
    let found: Vec<_> = attributes
        .extensions()
        .iter()
        .map(|extension| (extension.pbx(), extension.number()))
        .collect();
    assert_eq!(
        (attributes.roles(), found.as_slice(), attributes.tenant()),
        (
            roles
                .iter()
                .map(|role| (*role).to_owned())
                .collect::<Vec<_>>()
                .as_slice(),
            extensions,
            tenant
        ),
        "{further}"
    );
}

#[test]
fn claims_give_roles_extensions_and_tenant() {
    check("", &[], &[], None);
    check(
        r#","realm_access":{"roles":["a","b"]}"#,
        &["a", "b"],
        &[],
        None,
    );
    check(r#","realm_access":{"roles":"a b"}"#, &["a b"], &[], None);
    check(
        r#","realm_access":{"groups":["a"]},"roles":["b"]"#,
        &[],
        &[],
        None,
    );
    check(
        r#","extensions":["office/1001","branch/*97"],"tenant":"\u0061cme""#,
        &[],
        &[("office", "1001"), ("branch", "*97")],
        Some("acme"),
    );
}

#[test]
fn a_null_or_empty_claim_counts_as_absent() {
    for nothing in [
        r#","realm_access":null"#,
        r#","realm_access":{"roles":null}"#,
        r#","realm_access":{"roles":""}"#,
        r#","realm_access":{"roles":[]}"#,
        r#","realm_access.roles":null"#,
        r#","extensions":null,"tenant":null"#,
        r#","extensions":"","tenant":"""#,
        r#","extensions":[],"tenant":[]"#,
    ] {
        check(nothing, &[], &[], None);
    }
    // Beside a value that is not empty.
    check(
        r#","realm_access":{"roles":["a"]},"extensions":null,"tenant":"""#,
        &["a"],
        &[],
        None,
    );
}

#[test]
fn the_longest_token_bounds_the_number_of_roles() {
    let roles = |count: usize| {
        let roles: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
        format!(r#","realm_access":{{"roles":[{}]}}"#, roles.join(","))
    };
    let most = read(&roles(1_024), None).unwrap();
    assert_eq!(most.attributes().roles().len(), 1_024);
    let too_many = AuthError::TooManyValues {
        key: "roles_claim",
        max: 1_024,
    };
    assert_eq!(read(&roles(1_025), None).map(drop), Err(too_many));
}

#[track_caller]
fn refused(further: &str, pbxs: Option<&[&str]>, key: &str) {
    match read(further, pbxs) {
        Err(AuthError::Attribute(found, _)) => assert_eq!(found, key, "{further}"),
        other => panic!("{further}: {:?}", other.map(drop)),
    }
}

#[test]
fn a_repeated_or_malformed_claim_is_refused() {
    for twice in [
        r#","realm_access":{"roles":["a"]},"realm_access":{"roles":["a"]}"#,
        r#","realm_access":{"roles":["a"],"roles":["b"]}"#,
        r#","realm_access":{"roles":["a"],"role\u0073":["b"]}"#,
        r#","realm_access":{},"realm_access":{"roles":["supervisor"]}"#,
        r#","realm_access":{"roles":[]},"realm_access.roles":["supervisor"]"#,
        r#","realm_access":"supervisor""#,
        r#","realm_access":"""#,
        r#","realm_access":{"roles":["a",null]}"#,
        r#","realm_access":{"roles":[""]}"#,
        r#","realm_access":null,"realm_access":{"roles":["supervisor"]}"#,
        r#","realm_access":{"roles":null,"roles":["supervisor"]}"#,
        r#","realm_access":{"roles":false}"#,
        r#","realm_access":{"roles":["a",{}]}"#,
    ] {
        refused(twice, None, "roles_claim");
    }
    refused(r#","tenant":"a","tenant":"b""#, None, "tenant_claim");
    refused(r#","tenant":1"#, None, "tenant_claim");
    refused(r#","tenant":[null]"#, None, "tenant_claim");
    refused(r#","tenant":[""]"#, None, "tenant_claim");
    refused(r#","tenant":null,"tenant":"b""#, None, "tenant_claim");
    refused(r#","tenant":"","tenant":"b""#, None, "tenant_claim");
    refused(
        r#","extensions":"office/1","extensions":"office/2""#,
        None,
        "extensions_claim",
    );
}

#[test]
fn a_bare_number_is_accepted_only_with_one_pbx() {
    let bare = r#","extensions":["1001"]"#;
    let principal = read(bare, Some(&["office"])).unwrap();
    let [extension] = principal.attributes().extensions() else {
        panic!("not one");
    };
    assert_eq!((extension.pbx(), extension.number()), ("office", "1001"));
    assert!(principal.reaches("office") && !principal.reaches("branch"));
    for pbxs in [None, Some(&["office", "branch"][..]), Some(&[][..])] {
        refused(bare, pbxs, "extensions_claim");
    }
}

#[test]
fn attributes_of_an_unverified_token_are_not_read() {
    let (_, key) = hmac_pair(None, b'a');
    let (other, _) = hmac_pair(None, b'b');
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"alice","exp":{},"roles":7}}"#,
        NOW + 60
    );
    let refused = authenticate_bearer(vec![key], &forge(&other, HEADER, &claims));
    assert_eq!(refused.unwrap_err(), AuthError::Signature(KeyId::default()));
}
