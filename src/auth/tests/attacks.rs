//! Headers and claims that an attacker would try, with a valid signature. Each is refused for the
//! right reason.
//!
//! Sources: RFC 8725 §2 (threats); the public write-ups of `alg: none`, of RSA keys used as HMAC
//! secrets and of keys sent in `jwk`, `jku` and `x5u`.

use super::*;

pub(super) const GOOD_CLAIMS: &str =
    r#"{"iss":"https://sso.example","sub":"alice","aud":"wavegate","exp":1800000060}"#;
const BAD_HEADER: AuthError = AuthError::Malformed("header is not as required");
const BAD_CLAIMS: AuthError = AuthError::Malformed("claims are not an object with unique members");
const EMPTY_ID: AuthError = AuthError::Malformed("header has an empty kid");
const EXTENSION: AuthError = AuthError::Malformed("header has extensions");
const ENCRYPTED: AuthError = AuthError::Malformed("encrypted or compressed");
const OTHER_KIND: AuthError = AuthError::Malformed("header says it is another kind of token");

#[track_caller]
pub(super) fn check_token(token: &str, expected: AuthError) {
    let outcome = authenticate_bearer(vec![hmac_pair(Some("1"), b'a').1], token);
    assert_eq!(outcome.map(|_| ()), Err(expected), "{token}");
}

/// Checks a token with this header and a valid signature.
#[track_caller]
fn check_header(header: &str, expected: AuthError) {
    check_token(
        &forge(&hmac_pair(None, b'a').0, header, GOOD_CLAIMS),
        expected,
    );
}

/// Checks a token with these claims and a valid signature.
#[track_caller]
fn check_claims(claims: &str, expected: AuthError) {
    check_token(&forge(&hmac_pair(None, b'a').0, HEADER, claims), expected);
}

#[test]
fn the_template_of_the_attacks_is_accepted() {
    let (signing_key, key) = hmac_pair(None, b'a');
    assert!(authenticate_bearer(vec![key], &forge(&signing_key, HEADER, GOOD_CLAIMS)).is_ok());
}

#[test]
fn no_header_gets_around_the_key() {
    let mismatch = || AuthError::AlgorithmMismatch(KeyId::default());
    let unknown = |id| AuthError::UnknownKey(KeyId::of(Some(id)));
    for none in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256\\u0000",
        "hs256",
        "HS 256",
        "ES512",
        "dir",
    ] {
        check_header(&format!(r#"{{"alg":"{none}"}}"#), mismatch());
    }
    check_header(r#"{"alg":"RS256"}"#, mismatch());
    check_header(r#"{"alg":"HS512"}"#, mismatch());
    check_header(r#"{"alg":null}"#, BAD_HEADER);
    check_header(r#"{"alg":["HS256"]}"#, BAD_HEADER);
    check_header(r#"{"typ":"JWT"}"#, BAD_HEADER);
    check_header(r#"["HS256"]"#, BAD_HEADER);
    check_header(r#""HS256""#, BAD_HEADER);
    check_header("", AuthError::Malformed("not three segments of base64url"));
    check_header("{}", BAD_HEADER);
    check_header(r#"{"alg":"HS256"} x"#, BAD_HEADER);
    check_header("\u{FEFF}{\"alg\":\"HS256\"}", BAD_HEADER);
    check_header(r#"{"alg":"none","alg":"HS256"}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","\u0061lg":"none"}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","kid":"1","kid":"2"}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","kid":1}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","kid":null}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","kid":["1"]}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","kid":""}"#, EMPTY_ID);
    check_header(
        r#"{"alg":"HS256","kid":"../../dev/null"}"#,
        unknown("../../dev/null"),
    );
    check_header(r#"{"alg":"HS256","crit":[]}"#, EXTENSION);
    check_header(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, EXTENSION);
    check_header(r#"{"alg":"HS256","crit":null}"#, EXTENSION);
    check_header(r#"{"alg":"HS256","b64":true}"#, EXTENSION);
    check_header(r#"{"alg":"HS256","b64":null}"#, EXTENSION);
    check_header(r#"{"alg":"HS256","zip":"DEF"}"#, ENCRYPTED);
    check_header(r#"{"alg":"HS256","enc":"A128GCM"}"#, ENCRYPTED);
    check_header(r#"{"alg":"HS256","typ":"logout+jwt"}"#, OTHER_KIND);
    check_header(r#"{"alg":"HS256","typ":"dpop+jwt"}"#, OTHER_KIND);
    check_header(r#"{"alg":"HS256","typ":""}"#, OTHER_KIND);
    check_header(r#"{"alg":"HS256","typ":7}"#, BAD_HEADER);
    check_header(r#"{"alg":"HS256","typ":null}"#, BAD_HEADER);
    let long = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(12_288));
    let max_bytes = 16_384;
    check_header(&long, AuthError::TooLong { max_bytes });
    let deep = format!(r#"{{"alg":"HS256","x":{}}}"#, "[".repeat(1000));
    check_header(&deep, BAD_HEADER);
}

#[test]
fn no_claims_but_the_required_ones_are_accepted() {
    let wrong_audience = || AuthError::WrongAudience("claim aud");
    let with = |from: &str, to: &str| {
        assert!(GOOD_CLAIMS.contains(from));
        GOOD_CLAIMS.replace(from, to)
    };
    let iss = r#""iss":"https://sso.example","#;
    let sub = r#""sub":"alice","#;
    let aud = r#""aud":"wavegate","#;
    let exp = r#","exp":1800000060"#;
    check_claims(&with(iss, ""), AuthError::Claim("iss"));
    check_claims(
        &with(iss, r#""iss":["https://sso.example"],"#),
        AuthError::Claim("iss"),
    );
    check_claims(
        &with(iss, r#""iss":"https://sso.example/","#),
        AuthError::UnknownIssuer,
    );
    check_claims(
        &with(iss, r#""iss":"HTTPS://sso.example","#),
        AuthError::UnknownIssuer,
    );
    check_claims(&with(iss, r#""iss":"","#), AuthError::UnknownIssuer);
    check_claims(
        &with(
            iss,
            r#""iss":"https://evil.example","iss":"https://sso.example","#,
        ),
        BAD_CLAIMS,
    );
    check_claims(&with(sub, ""), AuthError::Claim("sub"));
    check_claims(&with(sub, r#""sub":"","#), AuthError::Claim("sub"));
    check_claims(&with(sub, r#""sub":7,"#), AuthError::Claim("sub"));
    check_claims(&with(sub, r#""sub":"a\nb","#), AuthError::Claim("sub"));
    check_claims(&with("alice", &"a".repeat(257)), AuthError::Claim("sub"));
    check_claims(
        &with(sub, r#""sub":"alice","\u0073ub":"root","#),
        BAD_CLAIMS,
    );
    check_claims(&with(aud, ""), AuthError::Claim("aud"));
    check_claims(&with(aud, r#""aud":null,"#), AuthError::Claim("aud"));
    check_claims(
        &with(aud, r#""aud":["wavegate",7],"#),
        AuthError::Claim("aud"),
    );
    check_claims(
        &with(aud, r#""aud":{"wavegate":1},"#),
        AuthError::Claim("aud"),
    );
    check_claims(
        &with(aud, r#""aud":[["wavegate"]],"#),
        AuthError::Claim("aud"),
    );
    check_claims(&with(aud, r#""aud":[],"#), wrong_audience());
    check_claims(&with(aud, r#""aud":"","#), wrong_audience());
    check_claims(&with(aud, r#""aud":"wavegate ","#), wrong_audience());
    check_claims(&with(aud, r#""aud":"wavegate-links","#), wrong_audience());
    check_claims(&with(exp, ""), AuthError::Claim("exp"));
    check_claims(&with(exp, r#","exp":1799999990"#), AuthError::Expired);
    check_claims(&with(exp, r#","exp":1,"exp":1800000060"#), BAD_CLAIMS);
    check_claims(
        &with(exp, r#","exp":1800000060,"jti":7"#),
        AuthError::Claim("jti"),
    );
    check_claims(
        &with(exp, r#","exp":1800000060,"jti":"""#),
        AuthError::Claim("jti"),
    );
    check_claims(&format!("{GOOD_CLAIMS}{GOOD_CLAIMS}"), BAD_CLAIMS);
    check_claims(&format!("[{GOOD_CLAIMS}]"), BAD_CLAIMS);
    check_claims(
        r#"["https://sso.example","alice","wavegate",1800000060]"#,
        BAD_CLAIMS,
    );
    check_claims("null", BAD_CLAIMS);
    check_claims(
        &with(aud, &format!(r#""aud":{},"#, "[".repeat(1000))),
        BAD_CLAIMS,
    );
}
