//! Finds the credential of a request: in the `Authorization` field, then in the query.
//!
//! Knows the places and their order. The first credential found decides, so that a later one never
//! makes up for a wrong one. Does not know the contents of a token.
//!
//! Sources: RFC 6750 §2 (one method per request; §2.3 and RFC 9700 §4.3.2 on why not in a query);
//! RFC 9110 §11.1 (the scheme in any case) and §11.6.2 (one `Authorization` field).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use super::error::{AuthError, CredentialError};

/// Query parameters that other servers accept for a bearer token. Here they are an error with its
/// own text.
const BEARER_PARAMETERS: [&str; 2] = ["access_token", "token"];

/// A credential by the place where it stood, which decides its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestCredential<'r> {
    Bearer(&'r str),
    Link(&'r str),
}

/// Finds the credential that decides.
///
/// # Errors
/// When there is none, more than one in the same place, or one in a place where it is not allowed.
pub(super) fn find<'r>(
    headers: &'r HeaderMap,
    query: Option<&'r str>,
) -> Result<RequestCredential<'r>, CredentialError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    match (fields.next(), fields.next()) {
        (None, _) => in_query(query.unwrap_or_default()),
        (Some(field), None) => in_field(field).map_err(CredentialError::Bearer),
        (Some(_), Some(_)) => Err(CredentialError::Bearer(AuthError::Malformed(
            "more than one authorization field",
        ))),
    }
}

fn in_field(field: &HeaderValue) -> Result<RequestCredential<'_>, AuthError> {
    let field = field
        .to_str()
        .map_err(|_| AuthError::Malformed("not ASCII"))?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(AuthError::UnsupportedScheme);
    }
    Ok(RequestCredential::Bearer(token.trim_start_matches(' ')))
}

/// Decodes a link token. No character of a token needs an escape, but some programs escape
/// everything except letters, and an unreserved character and its escape are equivalent (RFC 3986
/// §6.2.2.2). Other escapes are left as they are, and nothing is decoded twice.
pub(super) fn unescaped(token: &str) -> Cow<'_, str> {
    let mut pieces = token.split('%');
    let mut text = Cow::Borrowed(pieces.next().unwrap_or_default());
    for piece in pieces {
        let text = text.to_mut();
        let escape = piece.split_at_checked(2);
        match escape.and_then(|(digits, rest)| Some((unreserved(digits)?, rest))) {
            Some((character, rest)) => {
                text.push(character);
                text.push_str(rest);
            }
            None => {
                text.push('%');
                text.push_str(piece);
            }
        }
    }
    text
}

/// The character that two hexadecimal digits stand for, if it is unreserved (RFC 3986 §2.3).
fn unreserved(digits: &str) -> Option<char> {
    let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = u8::from_str_radix(digits, 16).ok()?;
    let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (are_digits && is_unreserved).then(|| char::from(byte))
}

/// Looks for `link`. Values are not decoded here, and names never are.
fn in_query(query: &str) -> Result<RequestCredential<'_>, CredentialError> {
    let mut link = None;
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if BEARER_PARAMETERS.contains(&name) {
            return Err(CredentialError::Bearer(AuthError::Malformed(
                "a bearer token is not accepted in a query",
            )));
        }
        if name == "link" && link.replace(value).is_some() {
            return Err(CredentialError::Link(AuthError::Malformed(
                "more than one link",
            )));
        }
    }
    link.map(RequestCredential::Link)
        .ok_or(CredentialError::Bearer(AuthError::Missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_unescaped(token: &str, expected: &str) {
        assert_eq!(unescaped(token), expected, "{token}");
    }

    #[test]
    fn only_escapes_of_unreserved_characters_are_decoded() {
        check_unescaped("a.b-c_d~e", "a.b-c_d~e");
        check_unescaped("a%2Eb%2Dc%5Fd%7Ee", "a.b-c_d~e");
        check_unescaped("a%2eb%2dc%5fd%7ee", "a.b-c_d~e");
        check_unescaped("%65yJ%30", "eyJ0");
        check_unescaped("", "");
        for same in [
            "a%", "a%2", "%%", "%25", "%2G", "%+5", "%+41", "% 2E", "a%00", "%0A", "%20", "%2B",
            "%2F", "%3D", "%26", "%C3%A9", "%2\u{e9}", "%\u{e9}", "+", "a=b",
        ] {
            check_unescaped(same, same);
        }
        // An escape that results from decoding is not decoded again.
        check_unescaped("%252E", "%252E");
        check_unescaped("%2%45", "%2E");
        check_unescaped("%%32E", "%2E");
    }

    proptest! {
        #[test]
        fn an_escaped_token_is_the_same_token(token in "[A-Za-z0-9._-]{0,80}", which in any::<u128>()) {
            let escape = |(at, byte): (usize, u8)| match which >> (at % 128) & 1 {
                1 => format!("%{byte:02x}"),
                _ => char::from(byte).to_string(),
            };
            let escaped: String = token.bytes().enumerate().map(escape).collect();
            prop_assert_eq!(unescaped(&escaped), token);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = unescaped(&text);
        }
    }

    #[track_caller]
    fn check(
        fields: &[&str],
        query: Option<&str>,
        expected: Result<RequestCredential<'_>, CredentialError>,
    ) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_bytes(field.as_bytes()).unwrap(),
            );
        }
        assert_eq!(find(&headers, query), expected);
    }

    #[test]
    fn the_first_credential_decides() {
        use RequestCredential::{Bearer, Link};

        let missing = || Err(CredentialError::Bearer(AuthError::Missing));
        let no_bearer = || Err(CredentialError::Bearer(AuthError::UnsupportedScheme));
        let wrong_bearer = |what| Err(CredentialError::Bearer(AuthError::Malformed(what)));
        let wrong_link = |what| Err(CredentialError::Link(AuthError::Malformed(what)));
        let in_query = || wrong_bearer("a bearer token is not accepted in a query");

        check(&[], None, missing());
        check(&[], Some(""), missing());
        check(&[], Some("download=1"), missing());
        check(&["Bearer a"], None, Ok(Bearer("a")));
        check(&["bearer a"], None, Ok(Bearer("a")));
        check(&["BEARER   a"], None, Ok(Bearer("a")));
        check(&["Bearer a"], Some("link=b"), Ok(Bearer("a")));
        check(&["Bearer "], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer"], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer a, Bearer b"], None, Ok(Bearer("a, Bearer b")));
        check(&["Basic YTpi"], Some("link=b"), no_bearer());
        check(&[""], Some("link=b"), no_bearer());
        check(&["Bearer\ta"], None, no_bearer());
        check(&["Bearer ä"], None, wrong_bearer("not ASCII"));
        check(
            &["Bearer a", "Bearer a"],
            None,
            wrong_bearer("more than one authorization field"),
        );
        check(&[], Some("link=b"), Ok(Link("b")));
        check(&[], Some("download=1&link=b&x"), Ok(Link("b")));
        check(&[], Some("link"), Ok(Link("")));
        check(&[], Some("link=b=&"), Ok(Link("b=")));
        check(&[], Some("LINK=b"), missing());
        check(&[], Some("link=b&link=b"), wrong_link("more than one link"));
        check(&[], Some("access_token=b"), in_query());
        check(&[], Some("link=b&token=c"), in_query());
        check(&[], Some("access_token=b&link=c"), in_query());
        check(&[], Some("link&link"), wrong_link("more than one link"));
    }
}
