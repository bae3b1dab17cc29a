//! The address of a recording's file, as the PBX makes it up.
//!
//! Knows which addresses stay on the PBX. Does not know what is behind them. Pure.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Download a Recording File", whose sample is a path
//! that begins with a slash; another beginning (`/api/downloadattachment/`) was seen by published
//! clients. What the PBX says is not trusted: an address that leads elsewhere would take our token
//! along.

use url::{Position, Url};

use crate::pbx::dialect::AnswerError;
use crate::secret::Secret;

const MAX_BYTES: usize = 2_048;

/// Path and query of an address that stays on `origin`, ready to be sent.
///
/// A path begins with one slash; a whole address must have the scheme, host and port of the PBX.
/// Backslashes, which some readers take for slashes, control characters, blanks, fragments and
/// whatever is not ASCII are refused.
pub(super) fn path(address: &str, origin: &Url) -> Result<Secret, AnswerError> {
    let elsewhere = AnswerError::Unreadable("the file's address leads away from the PBX");
    if address.len() > MAX_BYTES || !address.bytes().all(is_plain) {
        return Err(AnswerError::Unreadable("the file's address is malformed"));
    }
    let path = if address.starts_with('/') {
        address.to_owned()
    } else {
        let whole = Url::parse(address).map_err(|_| elsewhere.clone())?;
        let has_user = !whole.username().is_empty() || whole.password().is_some();
        if whole.origin() != origin.origin() || has_user {
            return Err(elsewhere);
        }
        whole[Position::BeforePath..].to_owned()
    };
    if path.starts_with("//") {
        return Err(elsewhere);
    }
    Ok(Secret::new(path))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(address: &str) -> Option<String> {
        let origin = "https://pbx.test:8088".parse().unwrap();
        let path = path(address, &origin).ok()?;
        Some(path.expose_str()?.to_owned())
    }

    #[test]
    fn an_address_on_the_pbx_is_taken() {
        for address in [
            "/api/download/Recording-X.7.0.6-1-download-20220412175901-M8zB66xYUNTNMr2D.wav",
            "/api/downloadattachment/x.wav?a=b&c=d",
            "/x//y",
        ] {
            assert_eq!(of(address).as_deref(), Some(address));
        }
        let whole = "https://pbx.test:8088/api/download/x.wav?a=b";
        assert_eq!(of(whole).as_deref(), Some("/api/download/x.wav?a=b"));
        let other_case = "HTTPS://PBX.test:8088/x.wav";
        assert_eq!(of(other_case).as_deref(), Some("/x.wav"));
    }

    #[test]
    fn an_address_that_leads_away_is_refused() {
        for address in [
            "",
            "api/download/x.wav",
            "//evil.test/x.wav",
            "///evil.test/x.wav",
            "/\\evil.test/x.wav",
            "\\\\evil.test/x.wav",
            "/x\\y",
            "https://evil.test/x.wav",
            "https://pbx.test/x.wav",
            "http://pbx.test:8088/x.wav",
            "https://pbx.test:8088@evil.test/x.wav",
            "https://user@pbx.test:8088/x.wav",
            "https://pbx.test:8088.evil.test/x.wav",
            "https://pbx.test:8088//evil.test/",
            "https:/x.wav",
            "javascript:alert(1)",
            "/x y",
            "/x\r\nHost: evil.test",
            "/x#y",
            "/ü.wav",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
        assert_eq!(of(&format!("/{}", "x".repeat(MAX_BYTES))), None);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_a_path_on_the_pbx(address in "(https?:)?[/\\\\]{0,3}[a-z.@:0-9]{0,12}[/\\\\?#]{0,2}.{0,12}") {
            if let Some(path) = of(&address) {
                prop_assert!(path.starts_with('/') && !path.starts_with("//"));
                let origin: Url = "https://pbx.test:8088".parse().unwrap();
                let joined = origin.join(&path).unwrap();
                prop_assert_eq!(joined.origin(), origin.origin());
            }
        }
    }
}
