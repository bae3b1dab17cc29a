//! The times of a token: `exp`, `nbf` and `iat` at their limits, and values that are not a time.

use super::*;

/// Checks a token whose claims end in `rest`; issuer, subject and audience are right.
#[track_caller]
fn check_claims(rest: &str, expected: Result<(), AuthError>) {
    let (signing_key, key) = hmac_pair(None, b'a');
    let claims = format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"{AUDIENCE}",{rest}}}"#);
    let token = forge(&signing_key, HEADER, &claims);
    assert_eq!(
        authenticate_bearer(vec![key], &token).map(|_| ()),
        expected,
        "{rest}"
    );
}

#[test]
fn times_are_checked_with_ten_seconds_of_skew() {
    let exp = || Err(AuthError::Claim("exp"));
    check_claims(r#""exp":1800000001"#, Ok(()));
    check_claims(r#""exp":1799999991"#, Ok(()));
    check_claims(r#""exp":1799999990"#, Err(AuthError::Expired));
    check_claims(r#""exp":1799999990.9"#, Err(AuthError::Expired));
    check_claims(r#""exp":1799999991.9"#, Ok(()));
    check_claims(r#""exp":1.8e9"#, Ok(()));
    check_claims(r#""exp":253402300799"#, Ok(()));
    check_claims(r#""exp":0"#, Err(AuthError::Expired));
    check_claims(r#""exp":253402300800"#, exp());
    check_claims(r#""exp":1800000001000"#, exp());
    check_claims(r#""exp":18446744073709551616"#, exp());
    check_claims(r#""exp":1e300"#, exp());
    check_claims(r#""exp":-1"#, exp());
    check_claims(r#""exp":-0.5"#, exp());
    check_claims(r#""exp":"1800000001""#, exp());
    check_claims(r#""exp":null"#, exp());
    check_claims(r#""exp":true"#, exp());
    check_claims(r#""exp":[1800000001]"#, exp());
    check_claims(r#""exp":{"$numberLong":"1800000001"}"#, exp());
    check_claims(r#""nbf":1"#, exp());
    check_claims(
        r#""exp":NaN"#,
        Err(AuthError::Malformed(
            "claims are not an object with unique members",
        )),
    );
    check_claims(
        r#""exp":1e999"#,
        Err(AuthError::Malformed(
            "claims are not an object with unique members",
        )),
    );
    check_claims(r#""exp":1800000060,"nbf":1800000010"#, Ok(()));
    check_claims(r#""exp":1800000060,"nbf":1800000010.9"#, Ok(()));
    check_claims(
        r#""exp":1800000060,"nbf":1800000011"#,
        Err(AuthError::NotYetValid("nbf")),
    );
    check_claims(
        r#""exp":1800000060,"nbf":"0""#,
        Err(AuthError::Claim("nbf")),
    );
    check_claims(
        r#""exp":1800000060,"nbf":null,"iat":null,"jti":null"#,
        Ok(()),
    );
    check_claims(r#""exp":1800000060,"nbf":"""#, Err(AuthError::Claim("nbf")));
    check_claims(r#""exp":1800000060,"iat":1800000010"#, Ok(()));
    check_claims(
        r#""exp":1800000060,"iat":1800000011"#,
        Err(AuthError::NotYetValid("iat")),
    );
    check_claims(r#""exp":1800000060,"iat":-5"#, Err(AuthError::Claim("iat")));
}

#[test]
fn a_fraction_of_a_second_of_the_clock_counts() {
    let (signing_key, key) = hmac_pair(None, b'a');
    let authenticator = authenticator(vec![key]);
    let headers = bearer_headers(&minted(&signing_key));
    let authenticate = |now| {
        authenticator
            .authenticate(&headers, None, SOURCE, now)
            .map(|caller| caller.principal().clone())
            .map_err(|rejected| rejected.reason().clone())
            .map(|_| ())
    };
    let end = at(NOW + 60) + SKEW;
    assert_eq!(authenticate(end - Duration::from_nanos(1)), Ok(()));
    assert_eq!(authenticate(end), Err(AuthError::Expired));
    assert_eq!(
        authenticate(SystemTime::UNIX_EPOCH - SKEW),
        Err(AuthError::Clock)
    );
}
