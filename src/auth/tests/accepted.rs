//! Accepted tokens: every algorithm, and every way to choose a key.

use super::*;

#[test]
fn every_algorithm_is_accepted_with_its_own_key() {
    for algorithm in Algorithm::ALL {
        let (signing_key, key) = key_pair(algorithm);
        let principal = authenticate_bearer(vec![key], &minted(&signing_key)).unwrap();
        assert_eq!(
            (principal.issuer(), principal.subject()),
            (ISSUER, "alice"),
            "{algorithm}"
        );
        assert_eq!(principal.credential(), &Credential::Bearer);
        assert_eq!(principal.expires_at(), at(NOW + 60));
        assert_eq!(principal.token_id().map(str::len), Some(36));
    }
}

#[test]
fn two_tokens_of_one_subject_have_one_principal_id() {
    let (signing_key, _) = hmac_pair(None, b'a');
    let id = |subject| {
        let claims = mint::BearerClaims {
            issuer: ISSUER,
            subject,
            audience: AUDIENCE,
        };
        let token = mint::bearer(&signing_key, &claims, at(NOW), Duration::from_secs(60)).unwrap();
        let principal = authenticate_bearer(vec![hmac_pair(None, b'a').1], &token).unwrap();
        (principal.id(), principal.token_id().map(str::to_owned))
    };
    let ((alice, first), (again, second), (bob, _)) = (id("alice"), id("alice"), id("bob"));
    assert_ne!(first, second);
    assert_eq!(alice, again);
    assert_eq!(alice, PrincipalId::new(ISSUER, "alice"));
    assert_ne!(alice, bob);
    // A subject is unique within its issuer only, and the two are never joined into one text.
    assert_ne!(alice, PrincipalId::new("https://other.example", "alice"));
    assert_ne!(PrincipalId::new("a", "bc"), PrincipalId::new("ab", "c"));
}

#[test]
fn no_algorithm_is_accepted_with_the_key_of_another() {
    for signed_with in Algorithm::ALL {
        for configured in Algorithm::ALL
            .into_iter()
            .filter(|configured| *configured != signed_with)
        {
            let token = minted(&key_pair(signed_with).0);
            let error = authenticate_bearer(vec![key_pair(configured).1], &token).unwrap_err();
            assert_eq!(
                error,
                AuthError::AlgorithmMismatch(KeyId::default()),
                "{signed_with} against {configured}"
            );
        }
    }
}

/// Signs with key `a` under a key id, and verifies with the configured keys, each given by id and
/// letter.
#[track_caller]
fn check_choice(
    kid: Option<&str>,
    configured: &[(Option<&str>, u8)],
    expected: Result<(), AuthError>,
) {
    let token = minted(&hmac_pair(kid, b'a').0);
    let keys = configured
        .iter()
        .map(|(id, letter)| hmac_pair(*id, *letter).1)
        .collect();
    assert_eq!(authenticate_bearer(keys, &token).map(|_| ()), expected);
}

#[test]
fn the_key_id_chooses_the_keys_that_are_tried() {
    check_choice(None, &[(None, b'a')], Ok(()));
    check_choice(Some("1"), &[(Some("1"), b'a')], Ok(()));
    check_choice(Some("1"), &[(None, b'a')], Ok(()));
    check_choice(None, &[(Some("1"), b'a')], Ok(()));
    check_choice(Some("1"), &[(Some("2"), b'x'), (Some("1"), b'a')], Ok(()));
    check_choice(Some("1"), &[(Some("1"), b'x'), (Some("1"), b'a')], Ok(()));
    check_choice(Some("1"), &[(Some("2"), b'x'), (None, b'a')], Ok(()));
    check_choice(
        None,
        &[(None, b'x'), (None, b'y'), (None, b'z'), (None, b'a')],
        Ok(()),
    );
    check_choice(
        Some("1"),
        &[(Some("2"), b'a')],
        Err(AuthError::UnknownKey(KeyId::of(Some("1")))),
    );
    check_choice(
        Some("1"),
        &[(Some("1"), b'x'), (None, b'a')],
        Err(AuthError::Signature(KeyId::of(Some("1")))),
    );
    check_choice(
        Some("1"),
        &[(Some("1"), b'x'), (Some("2"), b'a')],
        Err(AuthError::Signature(KeyId::of(Some("1")))),
    );
    check_choice(
        None,
        &[
            (None, b'w'),
            (None, b'x'),
            (None, b'y'),
            (None, b'z'),
            (None, b'a'),
        ],
        Err(AuthError::Signature(KeyId::default())),
    );
    check_choice(None, &[], Err(AuthError::UnknownKey(KeyId::default())));
}

#[test]
fn a_key_verifies_the_tokens_of_its_own_issuer_only() {
    let (signing_key, key) = hmac_pair(None, b'a');
    let issuer = |name: &str, key| Issuer {
        name: name.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        required: RequiredClaims::default(),
        keys: KeyRing::fixed(vec![key]),
        claims: AttributeClaims::default(),
        pbxs: None,
    };
    let issuers = vec![
        issuer(ISSUER, hmac_pair(None, b'b').1),
        issuer("https://other.example", key),
    ];
    let authenticator = Authenticator::new(issuers, None, SKEW);
    let authenticate = |issuer| {
        let claims = mint::BearerClaims {
            issuer,
            subject: "alice",
            audience: AUDIENCE,
        };
        let token = mint::bearer(&signing_key, &claims, at(NOW), Duration::from_secs(60)).unwrap();
        authenticator
            .authenticate(&bearer_headers(&token), None, SOURCE, at(NOW))
            .map(|caller| caller.principal().clone())
            .map_err(|rejected| rejected.reason().clone())
            .map(|_| ())
    };
    assert_eq!(authenticate("https://other.example"), Ok(()));
    assert_eq!(
        authenticate(ISSUER),
        Err(AuthError::Signature(KeyId::default()))
    );
    assert_eq!(
        authenticate("https://third.example"),
        Err(AuthError::UnknownIssuer)
    );
}

#[test]
fn one_matching_audience_is_enough() {
    let check = |claims: &str| {
        let (signing_key, key) = hmac_pair(None, b'a');
        let claims = format!(r#" {{"iss":"{ISSUER}","sub":"Zoë","exp":1800000060,{claims}}} "#);
        let header =
            r#"{"typ":"application/at+jwt","x5t":"x","alg":"HS256","kid":"any","cty":null}"#;
        authenticate_bearer(vec![key], &forge(&signing_key, header, &claims)).map(|_| ())
    };
    assert_eq!(check(r#""aud":["other","wavegate"]"#), Ok(()));
    assert_eq!(check(r#""aud":"\u0077avegate""#), Ok(()));
    assert_eq!(
        check(r#""aud":"backup","pbx":["a"],"recording":7,"ip":null,"realm":{"a":[1]}"#),
        Ok(())
    );
}

#[test]
fn nothing_shows_a_key_or_a_token() {
    let shown = format!(
        "{:?} {:?}",
        hmac_pair(Some("1"), b'a'),
        authenticator(vec![hmac_pair(None, b'a').1])
    );
    assert!(
        shown.contains("Hs256") && !shown.contains("97, 97") && !shown.contains("aaaa"),
        "{shown}"
    );
}
