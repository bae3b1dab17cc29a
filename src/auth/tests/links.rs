//! Link tokens: their claims, and that they are never accepted as bearer tokens, or the other way
//! round.

use std::net::Ipv6Addr;

use super::*;

const RIGHT: &str =
    r#""pbx":"office","recording":"20170901181806-1504261084.7-1001-1003-Internal.wav""#;
const TIMES: &str = r#""iat":1800000000,"exp":1800000600"#;

fn authenticate_link(token: &str, source: IpAddr) -> Result<Principal, AuthError> {
    let query = format!("download=1&link={token}");
    authenticator(vec![hmac_pair(None, b'a').1])
        .authenticate(&HeaderMap::new(), Some(&query), source, at(NOW))
        .map(|caller| caller.principal().clone())
        .map_err(|rejected| rejected.reason().clone())
}

fn signed(claims: &str) -> String {
    let claims = format!(r#"{{"aud":"{LINK_AUDIENCE}",{claims}}}"#);
    forge(&hmac_pair(Some("crm"), b'l').0, HEADER, &claims)
}

/// Checks a link with these claims besides its audience, and with a valid signature.
#[track_caller]
fn check(claims: &str, expected: Result<(), AuthError>) {
    assert_eq!(
        authenticate_link(&signed(claims), SOURCE).map(|_| ()),
        expected,
        "{claims}"
    );
}

fn minted_link(ttl: u64, ip: Option<IpAddr>) -> String {
    let name = NAME.parse().unwrap();
    let claims = mint::LinkClaims {
        audience: LINK_AUDIENCE,
        subject: "alice",
        pbx: "office",
        recording: &name,
        ip,
    };
    mint::link(
        &hmac_pair(Some("crm"), b'l').0,
        &claims,
        at(NOW),
        Duration::from_secs(ttl),
    )
    .unwrap()
}

#[test]
fn a_minted_link_is_accepted_and_names_its_recording() {
    let principal = authenticate_link(&minted_link(600, None), SOURCE).unwrap();
    assert_eq!((principal.issuer(), principal.subject()), ("crm", "alice"));
    assert_eq!(principal.expires_at(), at(NOW + 600));
    assert!(principal.token_id().is_some());
    let Credential::Link(scope) = principal.credential() else {
        panic!("not a link")
    };
    assert_eq!((scope.pbx(), scope.recording().as_str()), ("office", NAME));
}

#[test]
fn a_link_names_its_recording_and_its_subject() {
    let wrong = |claim| Err(AuthError::Claim(claim));
    check(&format!(r#""sub":"a",{RIGHT},{TIMES}"#), Ok(()));
    check(&format!(r#"{RIGHT},{TIMES}"#), wrong("sub"));
    check(&format!(r#""sub":"",{RIGHT},{TIMES}"#), wrong("sub"));
    check(
        &format!(r#""sub":"a","pbx":"office",{TIMES}"#),
        wrong("recording"),
    );
    for recording in [
        "7",
        "null",
        r#"["a.wav"]"#,
        r#""""#,
        r#""../etc/passwd""#,
        r#""a/b""#,
        r#""a\u0000""#,
        r#"".hidden""#,
    ] {
        check(
            &format!(r#""sub":"a","pbx":"office","recording":{recording},{TIMES}"#),
            wrong("recording"),
        );
    }
    let twice = Err(AuthError::Malformed(
        "claims are not an object with unique members",
    ));
    check(
        &format!(r#""sub":"a","recording":"x",{RIGHT},{TIMES}"#),
        twice,
    );
    check(
        &format!(r#""sub":"a","recording":"a.wav",{TIMES}"#),
        wrong("pbx"),
    );
    check(
        &format!(r#""sub":"a","recording":"a.wav","pbx":["office"],{TIMES}"#),
        wrong("pbx"),
    );
    check(
        &format!(r#""sub":"a","recording":"a.wav","pbx":"",{TIMES}"#),
        wrong("pbx"),
    );
    check(
        &format!(r#""sub":"a","recording":"a.wav","pbx":"branch",{TIMES}"#),
        Err(AuthError::LinkPbx),
    );
    check(
        &format!(r#""sub":"a","recording":"a.wav","pbx":"Office",{TIMES}"#),
        Err(AuthError::LinkPbx),
    );
}

#[test]
fn a_link_lives_no_longer_than_its_key_allows() {
    let too_long = || Err(AuthError::LinkTooLong { max_s: 600 });
    let check_times =
        |times: &str, expected| check(&format!(r#""sub":"a",{RIGHT},{times}"#), expected);
    check_times(r#""exp":1800000600"#, Ok(()));
    check_times(r#""exp":1800000601"#, too_long());
    check_times(r#""iat":1799999900,"exp":1800000500"#, Ok(()));
    check_times(r#""iat":1799999900,"exp":1800000501"#, too_long());
    check_times(r#""iat":1800000010,"exp":1800000610"#, Ok(()));
    check_times(
        r#""iat":1800000011,"exp":1800000600"#,
        Err(AuthError::NotYetValid("iat")),
    );
    check_times(
        r#""iat":"now","exp":1800000600"#,
        Err(AuthError::Claim("iat")),
    );
    check_times(
        r#""nbf":1800000011,"exp":1800000600"#,
        Err(AuthError::NotYetValid("nbf")),
    );
    // `null` counts as absent: the lifetime is then counted from now.
    check_times(r#""iat":null,"nbf":null,"exp":1800000600"#, Ok(()));
    check_times(r#""iat":null,"exp":1800000601"#, too_long());
    check_times(r#""exp":1799999990"#, Err(AuthError::Expired));
    check_times(r#""exp":253402300799"#, too_long());
    check_times(r#""iat":1800000000"#, Err(AuthError::Claim("exp")));
}

#[test]
fn the_shorter_of_two_link_lifetimes_counts() {
    for (all, own, longest) in [
        (900, None, 900),
        (900, Some(600), 600),
        (300, Some(600), 300),
    ] {
        let seconds = Duration::from_secs;
        let key = LinkKey {
            key: hmac_pair(None, b'l').1,
            pbxs: None,
            max_ttl: own.map(seconds),
        };
        let links = Links {
            audience: LINK_AUDIENCE.to_owned(),
            max_ttl: seconds(all),
            keys: vec![key],
        };
        let authenticator = Authenticator::new(Vec::new(), Some(links), SKEW);
        let authenticate = |ttl| {
            let query = format!("link={}", minted_link(ttl, None));
            authenticator.authenticate(&HeaderMap::new(), Some(&query), SOURCE, at(NOW))
        };
        assert_eq!(authenticate(longest).unwrap().principal().issuer(), "link");
        assert_eq!(
            authenticate(longest + 1),
            Err(CredentialError::Link(AuthError::LinkTooLong {
                max_s: longest
            }))
        );
    }
}

#[test]
fn a_link_for_one_address_works_from_that_address_only() {
    let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
    let other = IpAddr::V6(Ipv6Addr::LOCALHOST);
    for (claimed, source, expected) in [
        (SOURCE, SOURCE, Ok(())),
        (SOURCE, mapped, Ok(())),
        (mapped, SOURCE, Ok(())),
        (other, other, Ok(())),
        (SOURCE, other, Err(AuthError::LinkAddress)),
        (other, mapped, Err(AuthError::LinkAddress)),
    ] {
        let token = minted_link(60, Some(claimed));
        assert_eq!(
            authenticate_link(&token, source).map(|_| ()),
            expected,
            "{claimed} from {source}"
        );
    }
    for ip in [
        r#""192.0.2.0/24""#,
        r#""""#,
        r#"["192.0.2.7"]"#,
        "null",
        r#""192.0.2.7 ""#,
        r#""192.000.002.007""#,
    ] {
        check(
            &format!(r#""sub":"a",{RIGHT},{TIMES},"ip":{ip}"#),
            Err(AuthError::Claim("ip")),
        );
    }
}

#[test]
fn a_link_and_a_bearer_token_are_never_interchangeable() {
    let bearer_key = hmac_pair(None, b'a').0;
    let link = minted_link(60, None);
    assert_eq!(
        authenticate_bearer(vec![hmac_pair(None, b'a').1], &link),
        Err(AuthError::Claim("iss"))
    );
    // The audience separates them even if both have the same key.
    let claims =
        format!(r#"{{"iss":"{ISSUER}","aud":"{LINK_AUDIENCE}","sub":"a",{RIGHT},{TIMES}}}"#);
    let link_of_issuer = forge(&bearer_key, HEADER, &claims);
    let outcome = authenticate_bearer(vec![hmac_pair(None, b'a').1], &link_of_issuer);
    assert_eq!(outcome, Err(AuthError::WrongAudience("claim aud")));
    assert_eq!(
        authenticate_link(&minted(&bearer_key), SOURCE),
        Err(AuthError::Signature(KeyId::default()))
    );
    let bearer_of_link_key = minted(&hmac_pair(Some("crm"), b'l').0);
    assert_eq!(
        authenticate_link(&bearer_of_link_key, SOURCE),
        Err(AuthError::WrongAudience("claim aud"))
    );
}

#[test]
fn a_bearer_token_in_a_query_is_refused() {
    let authenticator = authenticator(vec![hmac_pair(None, b'a').1]);
    let token = minted(&hmac_pair(None, b'a').0);
    for name in ["access_token", "token"] {
        let query = format!("{name}={token}");
        let outcome = authenticator.authenticate(&HeaderMap::new(), Some(&query), SOURCE, at(NOW));
        assert_eq!(
            outcome,
            Err(CredentialError::Bearer(AuthError::Malformed(
                "a bearer token is not accepted in a query"
            )))
        );
    }
}

#[test]
fn a_right_credential_does_not_make_up_for_a_wrong_one() {
    let authenticator = authenticator(vec![hmac_pair(None, b'a').1]);
    let link = format!("link={}", minted_link(60, None));
    let outcome =
        authenticator.authenticate(&bearer_headers("x.y.z"), Some(&link), SOURCE, at(NOW));
    assert!(matches!(
        outcome,
        Err(CredentialError::Bearer(AuthError::Malformed(_)))
    ));
    let good = bearer_headers(&minted(&hmac_pair(None, b'a').0));
    let outcome = authenticator
        .authenticate(&good, Some("link=wrong"), SOURCE, at(NOW))
        .unwrap();
    assert_eq!(outcome.principal().credential(), &Credential::Bearer);
}

#[test]
fn links_are_refused_where_none_are_configured() {
    let authenticator = Authenticator::new(Vec::new(), None, SKEW);
    let query = format!("link={}", minted_link(60, None));
    let outcome = authenticator.authenticate(&HeaderMap::new(), Some(&query), SOURCE, at(NOW));
    assert_eq!(
        outcome,
        Err(CredentialError::Link(AuthError::LinksDisabled))
    );
}
