//! The page where people sign in.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use url::Url;

/// The placeholder of the address to come back to.
const PLACEHOLDER: &str = "{return}";
/// Everything but the unreserved characters of RFC 3986 §2.3, so that no address can end the
/// parameter it is in.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The address of a page where people sign in, with a place for the address to come back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginUrl {
    before: String,
    after: String,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LoginUrlError {
    /// Not an address, or not one that browsers go to.
    #[error("not an http or https address")]
    NotAnAddress,
    /// It has a user name or a password, which a browser would show and send.
    #[error("has a user name or a password")]
    HasUser,
    /// The address to come back to has no place, more than one, or one outside the query.
    #[error(
        "write {{return}} once, as the value of a parameter: https://sso.example.com/start?rd={{return}}"
    )]
    Placeholder,
}

impl LoginUrl {
    /// The address of the page, with the address to come back to in it.
    #[must_use]
    pub fn returning_to(&self, address: &str) -> String {
        let address = utf8_percent_encode(address, RESERVED);
        format!("{}{address}{}", self.before, self.after)
    }
}

impl FromStr for LoginUrl {
    type Err = LoginUrlError;

    fn from_str(text: &str) -> Result<Self, LoginUrlError> {
        // Normalised with a word that stays as it is in its place.
        let word = "wavegate-return-address";
        let url: Url = text
            .replace(PLACEHOLDER, word)
            .parse()
            .map_err(|_| LoginUrlError::NotAnAddress)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(LoginUrlError::NotAnAddress);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LoginUrlError::HasUser);
        }
        let is_value = |query: &str| {
            query
                .split('&')
                .any(|part| part.ends_with(&format!("={word}")))
        };
        let Some((before, after)) = url.as_str().split_once(word) else {
            return Err(LoginUrlError::Placeholder);
        };
        if after.contains(word) || !url.query().is_some_and(is_value) {
            return Err(LoginUrlError::Placeholder);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_address_to_come_back_to_stands_escaped_in_its_parameter() {
        let url: LoginUrl = "https://sso.example/start?app=1&rd={return}&x=2"
            .parse()
            .unwrap();
        assert_eq!(
            url.returning_to("https://r.example/recordings/a%2Bb.wav?download=1"),
            "https://sso.example/start?app=1&rd=https%3A%2F%2Fr.example%2Frecordings%2Fa%252Bb.wav%3Fdownload%3D1&x=2"
        );
    }

    #[test]
    fn an_address_without_one_place_for_it_is_refused() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<LoginUrl>().err(), Some(expected), "{text}");
        };
        for text in [
            "",
            "sso",
            "/start?rd={return}",
            "javascript:alert(1)//?rd={return}",
            "ftp://a/?rd={return}",
        ] {
            check(text, LoginUrlError::NotAnAddress);
        }
        check("https://u:p@a.example/?rd={return}", LoginUrlError::HasUser);
        for text in [
            "https://a.example/",
            "https://a.example/?rd=",
            "https://a.example/{return}",
            "https://{return}/?a=b",
            "https://a.example/#rd={return}",
            "https://a.example/?{return}",
            "https://a.example/?rd={return}&x={return}",
            "https://a.example/{return}?rd={return}",
            "https://a.example/?rd=x{return}",
        ] {
            check(text, LoginUrlError::Placeholder);
        }
    }

    proptest! {
        #[test]
        fn the_return_address_is_the_value_of_its_parameter(address in ".*") {
            let url: LoginUrl = "https://sso.example/start?rd={return}&last=1".parse().unwrap();
            let full: Url = url.returning_to(&address).parse().unwrap();
            let pairs: Vec<_> = full.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [("rd".to_owned(), address), ("last".to_owned(), "1".to_owned())]);
            prop_assert_eq!(full.fragment(), None);
        }
    }
}
