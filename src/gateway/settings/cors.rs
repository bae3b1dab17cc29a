//! The origins whose scripts may read answers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// Scripts of other origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsSettings {
    /// Origins whose scripts may read answers, with the credentials of their user.
    pub origins: Vec<Origin>,
}

impl CorsSettings {
    /// The origins as a Content Security Policy has them.
    pub(crate) fn framers(&self) -> String {
        let origins: Vec<&str> = self.origins.iter().map(Origin::as_str).collect();
        origins.join(" ")
    }
}

/// An origin as browsers write it: scheme, host and port, the port left out where it is the
/// scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// `*`, or a host with a star in it.
    #[error("a wildcard; name each origin whose scripts may act as their user")]
    Wildcard,
    /// `null`, which is the origin of every sandboxed frame and local file.
    #[error("null is the origin of every sandboxed frame, so it identifies no site")]
    Null,
    /// Not an address with a host.
    #[error("not an origin such as https://crm.example.com")]
    NotAnOrigin,
    /// More than an origin.
    #[error("only scheme, host and port belong here")]
    MoreThanAnOrigin,
}

impl Origin {
    /// Its text, as in the field `Origin`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Normalises as the URL standard does: lower case, `xn--` for other scripts, no port that goes
/// without saying.
impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.contains('*') {
            return Err(OriginError::Wildcard);
        }
        if text == "null" {
            return Err(OriginError::Null);
        }
        let url: Url = text.parse().map_err(|_| OriginError::NotAnOrigin)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(OriginError::NotAnOrigin);
        }
        let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::MoreThanAnOrigin);
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, OriginError>) {
        let origin = text.parse::<Origin>();
        assert_eq!(
            origin.as_ref().map(Origin::as_str),
            expected.as_ref().copied(),
            "{text}"
        );
    }

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        check("https://crm.example", Ok("https://crm.example"));
        check("https://crm.example/", Ok("https://crm.example"));
        check("HTTPS://CRM.Example:443", Ok("https://crm.example"));
        check("http://crm.example:80", Ok("http://crm.example"));
        check("http://crm.example:443", Ok("http://crm.example:443"));
        check("https://crm.example:8443", Ok("https://crm.example:8443"));
        check(
            "https://[2001:DB8::1]:8443",
            Ok("https://[2001:db8::1]:8443"),
        );
        check(
            "https://b\u{fc}ro.example",
            Ok("https://xn--bro-hoa.example"),
        );
    }

    #[test]
    fn a_text_that_is_not_one_origin_is_refused() {
        for text in [
            "*",
            "https://*",
            "https://*.example",
            "https://crm.example:*",
        ] {
            check(text, Err(OriginError::Wildcard));
        }
        check("null", Err(OriginError::Null));
        for text in [
            "",
            "crm.example",
            "crm.example:443",
            "https://",
            "//crm.example",
            "file:///a",
            "chrome-extension://abc",
            "data:text/html,x",
            "https://a b",
        ] {
            check(text, Err(OriginError::NotAnOrigin));
        }
        for text in [
            "https://crm.example/a",
            "https://crm.example?a",
            "https://crm.example#",
            "https://u@crm.example",
            "https://u:p@crm.example",
        ] {
            check(text, Err(OriginError::MoreThanAnOrigin));
        }
    }

    proptest! {
        #[test]
        fn an_origin_reads_back_as_itself(text in "(https?)://[a-zA-Z0-9.-]{1,20}(:[0-9]{1,5})?/?") {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.as_str().parse::<Origin>(), Ok(origin.clone()));
                prop_assert!(!origin.as_str().ends_with('/'));
                prop_assert!(origin.as_str().is_ascii());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<Origin>();
        }
    }
}
