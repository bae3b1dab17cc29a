//! Where a credential may stand: the `Authorization` field, then the query.
//!
//! Knows the places and their order; the first credential found decides, so that a wrong one is never covered by
//! another. Does not know what a token says.
//!
//! Sources: RFC 6750 §2 (one method per request; §2.3 and RFC 9700 §4.3.2 on why not in a query); RFC 9110 §11.1 (the
//! scheme in any case) and §11.6.2 (one `Authorization` field).

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use super::error::{AuthError, Rejected};

/// The parameters under which others look for a bearer token in a query; here that is a mistake to be told.
const BEARER_PARAMETERS: [&str; 2] = ["access_token", "token"];

/// A credential and where it stood, which says what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
) -> Result<Presented<'r>, Rejected> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    match (fields.next(), fields.next()) {
        (None, _) => in_query(query.unwrap_or_default()),
        (Some(field), None) => in_field(field).map_err(Rejected::Bearer),
        (Some(_), Some(_)) => Err(Rejected::Bearer(AuthError::Malformed(
            "more than one authorization field",
        ))),
    }
}

fn in_field(field: &HeaderValue) -> Result<Presented<'_>, AuthError> {
    let field = field
        .to_str()
        .map_err(|_| AuthError::Malformed("not ASCII"))?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(AuthError::UnsupportedScheme);
    }
    Ok(Presented::Bearer(token.trim_start_matches(' ')))
}

/// Looks for `link`. Nothing is decoded: no character of a token needs an escape.
fn in_query(query: &str) -> Result<Presented<'_>, Rejected> {
    let mut link = None;
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if BEARER_PARAMETERS.contains(&name) {
            return Err(Rejected::Bearer(AuthError::Malformed(
                "a bearer token does not belong into a query",
            )));
        }
        if name == "link" && link.replace(value).is_some() {
            return Err(Rejected::Link(AuthError::Malformed("more than one link")));
        }
    }
    link.map(Presented::Link)
        .ok_or(Rejected::Bearer(AuthError::Missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[&str], query: Option<&str>, expected: Result<Presented<'_>, Rejected>) {
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

        let missing = Err(Rejected::Bearer(AuthError::Missing));
        let no_bearer = Err(Rejected::Bearer(AuthError::UnsupportedScheme));
        let wrong_bearer = |what| Err(Rejected::Bearer(AuthError::Malformed(what)));
        let wrong_link = |what| Err(Rejected::Link(AuthError::Malformed(what)));
        let in_query = wrong_bearer("a bearer token does not belong into a query");

        check(&[], None, missing);
        check(&[], Some(""), missing);
        check(&[], Some("download=1"), missing);
        check(&["Bearer a"], None, Ok(Bearer("a")));
        check(&["bearer a"], None, Ok(Bearer("a")));
        check(&["BEARER   a"], None, Ok(Bearer("a")));
        check(&["Bearer a"], Some("link=b"), Ok(Bearer("a")));
        check(&["Bearer "], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer"], Some("link=b"), Ok(Bearer("")));
        check(&["Bearer a, Bearer b"], None, Ok(Bearer("a, Bearer b")));
        check(&["Basic YTpi"], Some("link=b"), no_bearer);
        check(&[""], Some("link=b"), no_bearer);
        check(&["Bearer\ta"], None, no_bearer);
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
        check(&[], Some("LINK=b"), missing);
        check(&[], Some("link=b&link=b"), wrong_link("more than one link"));
        check(&[], Some("access_token=b"), in_query);
        check(&[], Some("link=b&token=c"), in_query);
        check(&[], Some("access_token=b&link=c"), in_query);
        check(&[], Some("link&link"), wrong_link("more than one link"));
    }
}
