//! Where a credential may stand: the `Authorization` field, then the query.
//!
//! Knows the places and their order; the first credential found decides, so that a wrong one is never covered by
//! another. Does not know what a token says.
//!
//! Sources: RFC 6750 §2 (one method per request; §2.3 and RFC 9700 §4.3.2 on why not in a query); RFC 9110 §11.1 (the
//! scheme in any case) and §11.6.2 (one `Authorization` field).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::AuthError;

/// The parameters under which others look for a bearer token in a query; here that is a mistake to be told.
const BEARER_PARAMETERS: [&str; 2] = ["access_token", "token"];

/// A credential and where it stood, which says what it must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented<'r> {
    Bearer(&'r str),
    Link(&'r str),
}

/// Finds the credential that decides.
///
/// # Errors
/// When there is none, more than one in the same place, or one in a place where it must not be.
pub(super) fn find<'r>(
    headers: &'r HeaderMap,
    query: Option<&'r str>,
) -> Result<Presented<'r>, AuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    match (fields.next(), fields.next()) {
        (None, _) => in_query(query.unwrap_or_default()),
        (Some(field), None) => in_field(
            field
                .to_str()
                .map_err(|_| AuthError::Malformed("not ASCII"))?,
        ),
        (Some(_), Some(_)) => Err(AuthError::Malformed("more than one authorization field")),
    }
}

fn in_field(field: &str) -> Result<Presented<'_>, AuthError> {
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(AuthError::UnsupportedScheme);
    }
    Ok(Presented::Bearer(token.trim_start_matches(' ')))
}

/// Looks for `link`. Nothing is decoded: no character of a token needs an escape.
fn in_query(query: &str) -> Result<Presented<'_>, AuthError> {
    let mut link = None;
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if BEARER_PARAMETERS.contains(&name) {
            return Err(AuthError::Malformed(
                "a bearer token does not belong into a query",
            ));
        }
        if name == "link" && link.replace(value).is_some() {
            return Err(AuthError::Malformed("more than one link"));
        }
    }
    link.map(Presented::Link).ok_or(AuthError::Missing)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[&str], query: Option<&str>, expected: Result<Presented<'_>, AuthError>) {
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
        use Presented::{Bearer, Link};

        check(&[], None, Err(AuthError::Missing));
        check(&[], Some(""), Err(AuthError::Missing));
        check(&[], Some("download=1"), Err(AuthError::Missing));
        check(&["Bearer a"], None, Ok(Bearer("a")));
        check(&["bearer a"], None, Ok(Bearer("a")));
        check(&["BEARER   a"], None, Ok(Bearer("a")));
        check(&["Bearer a"], Some("link=b"), Ok(Bearer("a")));
        check(&["Bearer "], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer"], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer a, Bearer b"], None, Ok(Bearer("a, Bearer b")));
        check(
            &["Basic YTpi"],
            Some("link=b"),
            Err(AuthError::UnsupportedScheme),
        );
        check(&[""], Some("link=b"), Err(AuthError::UnsupportedScheme));
        check(&["Bearer\ta"], None, Err(AuthError::UnsupportedScheme));
        check(&["Bearer ä"], None, Err(AuthError::Malformed("not ASCII")));
        check(
            &["Bearer a", "Bearer a"],
            None,
            Err(AuthError::Malformed("more than one authorization field")),
        );
        check(&[], Some("link=b"), Ok(Link("b")));
        check(&[], Some("download=1&link=b&x"), Ok(Link("b")));
        check(&[], Some("link"), Ok(Link("")));
        check(&[], Some("link=b=&"), Ok(Link("b=")));
        check(&[], Some("LINK=b"), Err(AuthError::Missing));
        check(
            &[],
            Some("link=b&link=b"),
            Err(AuthError::Malformed("more than one link")),
        );
        check(
            &[],
            Some("access_token=b"),
            Err(AuthError::Malformed(
                "a bearer token does not belong into a query",
            )),
        );
        check(
            &[],
            Some("link=b&token=c"),
            Err(AuthError::Malformed(
                "a bearer token does not belong into a query",
            )),
        );
    }
}
