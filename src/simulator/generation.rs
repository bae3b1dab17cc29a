//! The generations of the API that the simulator speaks.
//!
//! Knows their names, their path segments and their order within a family. Does not know what they
//! answer.
//!
//! Source: Yeastar, "S-Series API Guide", "API Format and Update Record" (1.0.1), "API Change Logs"
//! (1.1.0); Yeastar, "S-Series API 2.0", "API Requirements"; "Cloud PBX API", "Login" (1.1.0 and
//! 2.0.0); "P-Series Developer Guide", "API Request Overview".

use std::fmt;
use std::str::FromStr;

/// One generation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// S-Series 1.0.1, firmware 30.5.0.24 and later: no `allowedip`, no CDR.
    SSeries101,
    /// S-Series 1.1.0, firmware 30.10.0.59 and later: `allowedip`, and a login at
    /// `/api/v1.10/login` too.
    SSeries110,
    /// S-Series 2.0.0, firmware 30.13.0.30 and later: `transport` in the answer to a login.
    SSeries200,
    /// Cloud PBX 1.1.0: tokens of a fixed life, exchanged by `token/refresh`.
    Cloud110,
    /// Cloud PBX 2.0.0: the same, and a heartbeat.
    Cloud200,
    /// P-Series `openapi/v1.0`.
    PSeries,
}

/// Error: the text is not the name of a generation in [`Api::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown API {0:?}; known are s-series-1.0.1, s-series-1.1.0, s-series-2.0.0, cloud-1.1.0, cloud-2.0.0 and p-series"
)]
pub struct UnknownApi(String);

impl Api {
    /// Every generation, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::SSeries101,
        Self::SSeries110,
        Self::SSeries200,
        Self::Cloud110,
        Self::Cloud200,
        Self::PSeries,
    ];

    /// The generations of the S-Series, oldest first.
    pub const S_SERIES: &'static [Self] = &[Self::SSeries101, Self::SSeries110, Self::SSeries200];

    /// The generations of the Cloud PBX, oldest first.
    pub const CLOUD: &'static [Self] = &[Self::Cloud110, Self::Cloud200];

    /// Returns the name that the gateway's configuration uses for this generation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SSeries101 => "s-series-1.0.1",
            Self::SSeries110 => "s-series-1.1.0",
            Self::SSeries200 => "s-series-2.0.0",
            Self::Cloud110 => "cloud-1.1.0",
            Self::Cloud200 => "cloud-2.0.0",
            Self::PSeries => "p-series",
        }
    }

    /// The path segment of the version, below `/api/` or `/openapi/`.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::SSeries101 => "v1.0.1",
            Self::SSeries110 | Self::Cloud110 => "v1.1.0",
            Self::SSeries200 | Self::Cloud200 => "v2.0.0",
            Self::PSeries => "v1.0",
        }
    }

    /// True for the generations of the Cloud PBX.
    pub(super) fn is_cloud(self) -> bool {
        Self::CLOUD.contains(&self)
    }

    /// True if a box of this generation answers paths with `segment` (such as `v1.1.0`).
    /// `older_too` is true if it answers older generations of its family as well.
    pub(super) fn answers(self, segment: &str, older_too: bool) -> bool {
        segment == self.segment()
            || (older_too && self.older().iter().any(|older| older.segment() == segment))
    }

    /// The older generations of the same family. Later firmware may still answer their paths.
    pub fn older(self) -> &'static [Self] {
        match self {
            Self::SSeries101 | Self::Cloud110 | Self::PSeries => &[],
            Self::SSeries110 => &[Self::SSeries101],
            Self::SSeries200 => &[Self::SSeries101, Self::SSeries110],
            Self::Cloud200 => &[Self::Cloud110],
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Api {
    type Err = UnknownApi;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|api| api.as_str() == text)
            .ok_or_else(|| UnknownApi(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_reads_back() {
        for &api in Api::ALL {
            assert_eq!(api.to_string().parse(), Ok(api));
        }
        assert!("s-series-1.0.6".parse::<Api>().is_err());
    }

    #[test]
    fn older_paths_are_answered_on_request_only() {
        assert!(Api::SSeries200.answers("v2.0.0", false));
        assert!(!Api::SSeries200.answers("v1.1.0", false));
        assert!(Api::SSeries200.answers("v1.1.0", true));
        assert!(!Api::SSeries101.answers("v2.0.0", true));
        assert!(!Api::Cloud200.answers("v1.0.1", true));
    }
}
