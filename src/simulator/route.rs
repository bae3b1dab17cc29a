//! Which call a path means.
//!
//! Knows the paths of the API. Does not know methods or bodies.
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication" and "Acquire Auto Recording files". The
//! login page of API 1.1.0 prints the path `/api/v1.10/login`, and published clients use it.

use super::fault::Operation;
use super::switch::{Switch, Switches};
use super::version::Version;

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Login,
    TokenRefresh,
    Heartbeat,
    Logout,
    GetRandom,
    Download,
    /// Below `/api/`, but not known.
    Unknown,
    /// Not below `/api/`.
    NoPage,
}

impl Call {
    pub(super) fn of(path: &str, version: Version, switches: &Switches) -> Self {
        let Some((segment, call)) = path
            .strip_prefix("/api/")
            .and_then(|rest| rest.split_once('/'))
        else {
            return if path.starts_with("/api/") {
                Self::Unknown
            } else {
                Self::NoPage
            };
        };
        let older_too = switches.has(Switch::OlderPathsToo);
        let misprint = segment == "v1.10" && call == "login";
        let segment = if misprint { "v1.1.0" } else { segment };
        if !version.answers(segment, older_too) {
            return Self::Unknown;
        }
        match call {
            "login" => Self::Login,
            "heartbeat" => Self::Heartbeat,
            "logout" => Self::Logout,
            "recording/get_random" => Self::GetRandom,
            "recording/download" => Self::Download,
            "token/refresh" if switches.has(Switch::TokenRefresh) => Self::TokenRefresh,
            _ => Self::Unknown,
        }
    }

    /// The operation a fault would name.
    pub(super) fn operation(self) -> Option<Operation> {
        match self {
            Self::Login => Some(Operation::Login),
            Self::Heartbeat => Some(Operation::Heartbeat),
            Self::Logout => Some(Operation::Logout),
            Self::GetRandom => Some(Operation::GetRandom),
            Self::Download => Some(Operation::Download),
            Self::TokenRefresh | Self::Unknown | Self::NoPage => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: Version, path: &str, expected: Call) {
        assert_eq!(Call::of(path, version, &Switches::default()), expected);
    }

    #[test]
    fn paths_belong_to_their_version() {
        check(Version::V1_0_1, "/api/v1.0.1/login", Call::Login);
        check(Version::V1_0_1, "/api/v1.10/login", Call::Unknown);
        check(Version::V1_1_0, "/api/v1.10/login", Call::Login);
        check(Version::V1_1_0, "/api/v1.10/logout", Call::Unknown);
        check(
            Version::V1_1_0,
            "/api/v1.1.0/recording/get_random",
            Call::GetRandom,
        );
        check(
            Version::V2_0_0,
            "/api/v2.0.0/recording/download",
            Call::Download,
        );
        check(
            Version::V2_0_0,
            "/api/v1.1.0/recording/download",
            Call::Unknown,
        );
        check(Version::V2_0_0, "/api/v2.0.0/token/refresh", Call::Unknown);
        check(Version::V2_0_0, "/api/", Call::Unknown);
        check(Version::V2_0_0, "/index.html", Call::NoPage);
    }
}
