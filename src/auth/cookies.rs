//! Cookies that hold a credential: the gateway's own, and the one of the company's single sign-on.
//!
//! Knows where cookies stand in a request and which of them count. Does not know the meaning of
//! their values, or how a cookie is set.
//!
//! Sources: RFC 6265 §4.2 (`Cookie`), §5.4 (names may repeat, and the order says nothing); RFC 9113
//! §8.2.3 (several `Cookie` fields in one request).

use cookie::Cookie;
use http::HeaderMap;
use http::header::COOKIE;

use super::error::AuthError;
use super::session::Sessions;

/// The name of the gateway's own cookie. A browser accepts a cookie with this prefix only from this
/// exact host, over TLS and for all paths.
///
/// Source: draft-ietf-httpbis-rfc6265bis, "Cookie Name Prefixes".
pub(crate) const SESSION_COOKIE: &str = "__Host-wavegate";

/// The cookies that are accepted. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    /// Reads the gateway's own cookie.
    pub sessions: Option<Sessions>,
    /// The name of the cookie of single sign-on. Its value is a JWT of one of the issuers.
    pub sso: Option<String>,
}

/// Returns true if the text can be the name of a cookie: a token by RFC 6265 §4.1.1.
pub(crate) fn is_cookie_name(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

/// The value of the cookie `name`. It is not decoded: no character of a token needs an escape.
///
/// # Errors
/// When there is more than one such cookie, since it is unclear which one counts, or when it is not
/// text.
pub(super) fn value<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, AuthError> {
    let fields = headers.get_all(COOKIE).iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut found = None;
    for pair in pairs.map(<[u8]>::trim_ascii) {
        let Some(value) = value_in(pair, name)? else {
            continue;
        };
        if found.replace(value).is_some() {
            return Err(AuthError::Malformed("more than one cookie of this name"));
        }
    }
    Ok(found)
}

/// The value in one pair, if the pair has this name. Other cookies of this host may hold anything.
fn value_in<'r>(pair: &'r [u8], name: &str) -> Result<Option<&'r str>, AuthError> {
    let rest = pair.strip_prefix(name.as_bytes());
    if !rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"=")) {
        return Ok(None);
    }
    let pair = str::from_utf8(pair).map_err(|_| AuthError::Malformed("a cookie is not text"))?;
    Cookie::parse(pair)
        .ok()
        .as_ref()
        .and_then(Cookie::value_raw)
        .map(Some)
        .ok_or(AuthError::Malformed("a cookie cannot be read"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(fields: &[&[u8]], expected: Result<Option<&str>, AuthError>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        assert_eq!(value(&headers, "sid"), expected, "{fields:?}");
    }

    #[test]
    fn one_cookie_of_the_name_counts_and_no_other() {
        let twice = || Err(AuthError::Malformed("more than one cookie of this name"));
        let not_text = || Err(AuthError::Malformed("a cookie is not text"));
        check(&[], Ok(None));
        check(&[b""], Ok(None));
        check(&[b"sid=a.b.c"], Ok(Some("a.b.c")));
        check(&[b"other=1; sid=a;x=y"], Ok(Some("a")));
        check(&[b"other=1", b"sid=a"], Ok(Some("a")));
        check(&[b" sid = a "], Ok(Some("a")));
        check(&[b"sid="], Ok(Some("")));
        check(&[b"sid=a=b=="], Ok(Some("a=b==")));
        check(&[b"sid=%61"], Ok(Some("%61")));
        // The quotes belong to the value.
        check(&[b"sid=\"a\""], Ok(Some("\"a\"")));
        check(&[b"sid"], Ok(None));
        check(&[b"SID=a; sid2=b; xsid=c; $sid=d; =sid=e"], Ok(None));
        check(&[b"other=\xff; ; =; sid=a"], Ok(Some("a")));
        check(&[b"sid=\xff"], not_text());
        check(&[b"sid=a; sid=a"], twice());
        check(&[b"sid=a", b"sid=b"], twice());
        check(&[b"sid=; sid=a"], twice());
    }

    #[test]
    fn a_cookie_name_is_a_token() {
        for (name, is_one) in [
            ("__Host-wavegate", true),
            ("_oauth2.x!", true),
            ("", false),
            ("a b", false),
            ("a=b", false),
            ("a;b", false),
            ("\u{e9}", false),
            ("a\n", false),
        ] {
            assert_eq!(is_cookie_name(name), is_one, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_read_without_a_panic(field in "[ -~\u{80}-\u{ff}]{0,60}", value_text in "[!-:<-~]{0,20}") {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_bytes(field.as_bytes()).unwrap());
            let _ = value(&headers, "sid");
            headers.insert(COOKIE, HeaderValue::from_str(&format!("x; sid={value_text}; y=1")).unwrap());
            prop_assert_eq!(value(&headers, "sid"), Ok(Some(value_text.as_str())));
        }
    }
}
