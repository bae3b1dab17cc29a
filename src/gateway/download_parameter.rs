//! The parameter `download` of a recording's address.
//!
//! Knows which values mean a file to save, and that every other value is an error. Pure.

use percent_encoding::percent_decode_str;

/// The parameter `download` has an invalid value, or is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("download is neither 1, true, yes nor empty, or it is given more than once")]
pub(crate) struct DownloadParameterError;

/// True if the query asks for the recording as a file to save.
///
/// # Errors
/// If `download` has another value than 1, true, yes or an empty one. A no is refused as well:
/// another reader might take it for a yes.
pub(super) fn wants_download(query: Option<&str>) -> Result<bool, DownloadParameterError> {
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == b"download").then(|| decoded(value))
    });
    match (values.next().as_deref(), values.next()) {
        (None, _) => Ok(false),
        (Some(b"1" | b"true" | b"yes" | b""), None) => Ok(true),
        _ => Err(DownloadParameterError),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wants(query: &str) -> Result<bool, DownloadParameterError> {
        wants_download(Some(query))
    }

    #[test]
    fn download_has_four_values_and_no_other() {
        assert_eq!(wants_download(None), Ok(false));
        for query in ["", "link=a", "x&link=download", "Download=0", "xdownload=0"] {
            assert_eq!(wants(query), Ok(false), "{query}");
        }
        for value in ["=1", "=true", "=yes", "=", "", "=%31", "=tr%75e"] {
            assert_eq!(wants(&format!("download{value}")), Ok(true), "{value}");
            let among = format!("link=a&&download{value}&x");
            assert_eq!(wants(&among), Ok(true), "{value}");
        }
        assert_eq!(wants("%64ownload=1"), Ok(true));
        for value in [
            "0", "no", "false", "off", "2", "11", "TRUE", "Yes", "y", "1+", "%201", "1;", "1=",
            "%ff", "%",
        ] {
            assert_eq!(
                wants(&format!("download={value}")),
                Err(DownloadParameterError),
                "{value}"
            );
        }
        for twice in [
            "download=1&download=1",
            "download&link=a&download=0",
            "download=0&download",
        ] {
            assert_eq!(wants(twice), Err(DownloadParameterError), "{twice}");
        }
    }

    proptest! {
        #[test]
        fn other_parameters_change_nothing(other in "[a-c=%0-9]{0,20}", value in "[a-z01]{0,4}") {
            let alone = wants(&format!("download={value}"));
            prop_assert_eq!(wants(&format!("{other}&download={value}")), alone);
            prop_assert_eq!(wants(&format!("download={value}&{other}")), alone);
        }
    }
}
