//! The API versions of the S-Series that can be simulated.
//!
//! Knows their names and path segments. Does not know what they answer.
//!
//! Source: Yeastar, "S-Series API Guide", "API Format and Update Record" (1.0.1), "API Change Logs"
//! (1.1.0) and Yeastar, "S-Series API 2.0", "API Requirements".

use std::fmt;
use std::str::FromStr;

/// One version of the S-Series API. Later versions are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// API 1.0.1, firmware 30.5.0.24 and later: no `allowedip`.
    V1_0_1,
    /// API 1.1.0, firmware 30.10.0.59 and later: `allowedip`, and a login at `/api/v1.10/login` too.
    V1_1_0,
    /// API 2.0.0, firmware 30.13.0.30 and later: `transport` in the answer to a login.
    V2_0_0,
}

/// The text names no version of [`Version::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no S-Series API version {0:?}; known are 1.0.1, 1.1.0 and 2.0.0")]
pub struct UnknownVersion(String);

impl Version {
    /// Every version, oldest first.
    pub const ALL: &'static [Self] = &[Self::V1_0_1, Self::V1_1_0, Self::V2_0_0];

    /// Names the version as its path segment does, without the leading `v`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0_1 => "1.0.1",
            Self::V1_1_0 => "1.1.0",
            Self::V2_0_0 => "2.0.0",
        }
    }

    /// Tells whether a box of this version has the API that `segment` (`v1.1.0`) names.
    pub(super) fn answers(self, segment: &str, older_too: bool) -> bool {
        let asked = segment.strip_prefix('v').and_then(|name| {
            Self::ALL
                .iter()
                .copied()
                .find(|known| known.as_str() == name)
        });
        asked.is_some_and(|asked| asked == self || (older_too && asked < self))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    /// Reads `1.1.0` or `v1.1.0`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix('v').unwrap_or(text);
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.as_str() == name)
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_reads_back() {
        for &version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(format!("v{version}").parse(), Ok(version));
        }
        assert!("1.0.6".parse::<Version>().is_err());
    }

    #[test]
    fn older_paths_are_answered_on_request_only() {
        assert!(Version::V2_0_0.answers("v2.0.0", false));
        assert!(!Version::V2_0_0.answers("v1.1.0", false));
        assert!(Version::V2_0_0.answers("v1.1.0", true));
        assert!(!Version::V1_0_1.answers("v2.0.0", true));
    }
}
