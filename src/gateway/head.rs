//! The host of a request head, and the faults of a malformed head.
//!
//! Knows the heads that two readers could read in two ways: a proxy that reads one of them in
//! another way would route the request to another place, or end its body at another byte. Both
//! listeners refuse such heads before any other check. Does not know which host is the right one.
//! Pure.
//!
//! Sources: RFC 9112 §3.2 (`Host` in HTTP/1.1, absolute-form targets) and §6.3 (`Content-Length`
//! with `Transfer-Encoding`); RFC 9110 §4.2.1 (no empty host), §4.2.4 (no user information) and
//! §7.2 (`Host`); RFC 9113 §8.3.1 (`:authority`); RFC 3986 §3.2.2 and §3.2.3 (host, port).

use std::net::Ipv6Addr;

use http::header::HOST;
use http::{Version, request};
use thiserror::Error;
use url::Url;

/// The way in which the head of a request tells the end of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageFraming {
    /// A length, or no body; or HTTP/2, which frames bodies itself.
    Plain,
    /// A transfer coding.
    Coded,
    /// Both a length and a transfer coding.
    Ambiguous,
}

/// The fault of a malformed head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum HeadFault {
    #[error("there are both Content-Length and Transfer-Encoding")]
    TwoFramings,
    #[error("there is no Host")]
    NoHost,
    #[error("there is more than one Host")]
    SeveralHosts,
    #[error("Host is not a host, with or without a port")]
    Host,
    #[error("the authority of the target is not a host, with or without a port")]
    Target,
    #[error("Host is not the host of :authority")]
    OtherHost,
}

/// The host of a request, with the port if it is given. `None` if an HTTP/1.0 or HTTP/2 request
/// names none.
///
/// The authority of the target comes first: that of an absolute-form target replaces `Host`, which
/// may differ (RFC 9112 §3.2.2).
///
/// # Errors
/// If the head is malformed.
pub(crate) fn authority(
    head: &request::Parts,
    framing: MessageFraming,
) -> Result<Option<&str>, HeadFault> {
    if framing == MessageFraming::Ambiguous {
        return Err(HeadFault::TwoFramings);
    }
    let field = host_field(head)?;
    let Some(target) = head.uri.authority() else {
        return Ok(field);
    };
    let target = target.as_str();
    if !is_authority(target) {
        return Err(HeadFault::Target);
    }
    let scheme = head.uri.scheme_str().unwrap_or("https");
    match field {
        Some(field)
            if head.version == Version::HTTP_2 && !are_same_authority(scheme, field, target) =>
        {
            Err(HeadFault::OtherHost)
        }
        _ => Ok(Some(target)),
    }
}

fn host_field(head: &request::Parts) -> Result<Option<&str>, HeadFault> {
    let mut fields = head.headers.get_all(HOST).iter();
    match (fields.next(), fields.next()) {
        (None, _) if head.version == Version::HTTP_11 => Err(HeadFault::NoHost),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(HeadFault::SeveralHosts),
        (Some(field), None) => {
            let host = field.to_str().ok().filter(|host| is_authority(host));
            host.map(Some).ok_or(HeadFault::Host)
        }
    }
}

/// Compares two authorities (RFC 3986 §6.2): letter case and the default port of the scheme do not
/// matter.
fn are_same_authority(scheme: &str, one: &str, other: &str) -> bool {
    let read = |authority: &str| Url::parse(&format!("{scheme}://{authority}/")).ok();
    let alike = |one: &Url, other: &Url| {
        one.host() == other.host() && one.port_or_known_default() == other.port_or_known_default()
    };
    one.eq_ignore_ascii_case(other)
        || matches!((read(one), read(other)), (Some(one), Some(other)) if alike(&one, &other))
}

/// True for a host that is not empty, with or without a port: `uri-host [ ":" port ]`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(literal) => {
            let Some((address, rest)) = literal.split_once(']') else {
                return false;
            };
            (address.parse::<Ipv6Addr>().is_ok(), rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            (is_registered_name(name), rest)
        }
    };
    host && is_port(port)
}

/// True for an empty text, or a colon and a port. The port may be empty (RFC 3986 §3.2.3).
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or("");
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = text.is_empty() || text.starts_with(':');
    is_whole && is_number && (digits.is_empty() || digits.parse::<u16>().is_ok())
}

/// A name or an IPv4 address: unreserved characters, sub-delimiters and escapes.
fn is_registered_name(name: &str) -> bool {
    let mut pieces = name.split('%');
    let is_plain = |piece: &str| {
        piece
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte))
    };
    let is_escaped = |piece: &str| {
        let digits = piece.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) && is_plain(piece)
    };
    !name.is_empty() && pieces.next().is_some_and(is_plain) && pieces.all(is_escaped)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn head(version: Version, target: &str, hosts: &[&str]) -> request::Parts {
        let request = Request::builder().version(version).uri(target);
        let mut head = request.body(()).unwrap().into_parts().0;
        for host in hosts {
            let host = HeaderValue::from_bytes(host.as_bytes()).unwrap();
            head.headers.append(HOST, host);
        }
        head
    }

    #[track_caller]
    fn check(
        version: Version,
        target: &str,
        hosts: &[&str],
        expected: Result<Option<&str>, HeadFault>,
    ) {
        let head = head(version, target, hosts);
        let found = authority(&head, MessageFraming::Plain);
        assert_eq!(found, expected, "{version:?} {target} {hosts:?}");
    }

    #[test]
    fn http_1_1_names_one_host() {
        let v11 = Version::HTTP_11;
        check(v11, "/", &["a.example"], Ok(Some("a.example")));
        check(v11, "/", &[], Err(HeadFault::NoHost));
        check(v11, "/", &["a", "a"], Err(HeadFault::SeveralHosts));
        check(v11, "/", &["a b"], Err(HeadFault::Host));
        let absolute = "http://b.example:81/x";
        check(v11, absolute, &["a.example"], Ok(Some("b.example:81")));
        check(v11, absolute, &[], Err(HeadFault::NoHost));
        check(v11, absolute, &["a/b"], Err(HeadFault::Host));
        check(v11, absolute, &["a", "b"], Err(HeadFault::SeveralHosts));
        let user = "http://me:secret@b.example/";
        check(v11, user, &["b.example"], Err(HeadFault::Target));
    }

    #[test]
    fn http_1_0_names_at_most_one_host() {
        let v10 = Version::HTTP_10;
        check(v10, "/", &[], Ok(None));
        check(v10, "/", &["a"], Ok(Some("a")));
        check(v10, "/", &["a", "a"], Err(HeadFault::SeveralHosts));
        check(v10, "/", &[""], Err(HeadFault::Host));
    }

    #[test]
    fn http_2_names_the_same_host_twice_or_once() {
        let v2 = Version::HTTP_2;
        let target = "https://a.example/x";
        let named = Ok(Some("a.example"));
        check(v2, target, &[], named);
        check(v2, target, &["a.example"], named);
        check(v2, target, &["A.Example:443"], named);
        check(v2, target, &["a%2Eexample"], named);
        check(v2, target, &["a.example:"], named);
        check(v2, target, &["b.example"], Err(HeadFault::OtherHost));
        check(v2, target, &["a.example:80"], Err(HeadFault::OtherHost));
        check(
            v2,
            target,
            &["a.example", "a.example"],
            Err(HeadFault::SeveralHosts),
        );
        check(v2, target, &["a example"], Err(HeadFault::Host));
        check(v2, "https://me@a.example/", &[], Err(HeadFault::Target));
        check(v2, "/x", &["a.example"], Ok(Some("a.example")));
        check(v2, "/x", &[], Ok(None));
    }

    #[test]
    fn two_framings_come_before_other_faults() {
        let head = head(Version::HTTP_11, "/", &[]);
        let found = authority(&head, MessageFraming::Ambiguous);
        assert_eq!(found, Err(HeadFault::TwoFramings));
        let found = authority(&head, MessageFraming::Coded);
        assert_eq!(found, Err(HeadFault::NoHost));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in [
            "a",
            "a.example.",
            "a_b-c~d.example",
            "xn--bcher-kva.example",
            "a%2Eb",
            "192.0.2.1",
            "192.0.2.1:80",
            "[::1]",
            "[2001:db8::9]:8443",
            "[::ffff:192.0.2.1]",
            "a:",
            "a:0",
            "a:65535",
            "a:00080",
        ] {
            assert!(is_authority(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a\tb",
            " a",
            "a/",
            "a/b",
            "http://a",
            "a?b",
            "a#b",
            "a\\b",
            "me@a",
            "me:x@a",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:99999999999999999999",
            "::1",
            "2001:db8::9",
            "[::1",
            "::1]",
            "[]",
            "[a]",
            "[192.0.2.1]",
            "[::1]80",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[::1].a",
            "a[::1]",
            "a%",
            "a%2",
            "a%zz",
            "a<b",
            "a\"b",
            "a|b",
            "a^b",
            "a, b",
            "bücher.example",
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_authority_is_that_of_a_uri(text in "[ -~]{0,24}") {
            if is_authority(&text) {
                prop_assert!(text.parse::<http::uri::Authority>().is_ok(), "{}", text);
                prop_assert!(!text.contains(['@', '/', '?', '#', ' ', '\\']));
            }
        }
    }
}
