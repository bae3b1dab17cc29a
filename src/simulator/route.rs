//! The call that a path stands for.
//!
//! Knows the paths of the API of each generation. Does not know methods or bodies.
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication", "Acquire Auto Recording files" and
//! "CDR" (new in API 1.1.0); "Cloud PBX API", "Token Refresh" (both versions) and "Heartbeat"
//! (2.0.0 only). The login page of API 1.1.0 prints the path `/api/v1.10/login`, and published
//! clients use it.

use super::fault::CallKind;
use super::generation::Api;
use super::p_series;
use super::switch::{Switch, Switches};

/// The call that a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoutedCall {
    Login,
    TokenRefresh,
    Heartbeat,
    Logout,
    GetRandom,
    Download,
    CdrRandom,
    CdrDownload,
    /// A call of the P-Series.
    PSeries(p_series::PSeriesCall),
    /// A path below `/api/` that is no call of this generation.
    Unknown,
    /// A path outside `/api/`.
    NoPage,
}

impl RoutedCall {
    pub(super) fn from_path(path: &str, api: Api, switches: &Switches) -> Self {
        if api == Api::PSeries {
            return Self::PSeries(p_series::PSeriesCall::from_path(path));
        }
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
        if !api.answers(segment, older_too) {
            return Self::Unknown;
        }
        match call {
            "login" => Self::Login,
            "heartbeat" if api != Api::Cloud110 => Self::Heartbeat,
            "logout" => Self::Logout,
            "recording/get_random" => Self::GetRandom,
            "recording/download" => Self::Download,
            "token/refresh" if switches.has_token_refresh(api) => Self::TokenRefresh,
            "cdr/get_random" if segment != Api::SSeries101.segment() => Self::CdrRandom,
            "cdr/download" if segment != Api::SSeries101.segment() => Self::CdrDownload,
            _ => Self::Unknown,
        }
    }

    /// True if the call answers a recording.
    pub(super) fn is_download(self) -> bool {
        self.kind() == Some(CallKind::Download)
    }

    /// The kind of call that faults and counters know it as; `None` for an unknown path.
    pub(super) fn kind(self) -> Option<CallKind> {
        match self {
            Self::Login => Some(CallKind::Login),
            Self::Heartbeat => Some(CallKind::Heartbeat),
            Self::Logout => Some(CallKind::Logout),
            Self::GetRandom => Some(CallKind::GetRandom),
            Self::Download => Some(CallKind::Download),
            Self::TokenRefresh => Some(CallKind::Refresh),
            Self::CdrRandom => Some(CallKind::CdrRandom),
            Self::CdrDownload => Some(CallKind::CdrDownload),
            Self::PSeries(call) => call.kind(),
            Self::Unknown | Self::NoPage => None,
        }
    }

    /// True if the call spends a ticket.
    pub(super) fn spends_ticket(self) -> bool {
        self.is_download() || self == Self::CdrDownload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(api: Api, path: &str, expected: RoutedCall) {
        assert_eq!(
            RoutedCall::from_path(path, api, &Switches::default()),
            expected
        );
    }

    #[test]
    fn a_path_of_another_version_is_unknown() {
        check(Api::SSeries101, "/api/v1.0.1/login", RoutedCall::Login);
        check(Api::SSeries101, "/api/v1.10/login", RoutedCall::Unknown);
        check(Api::SSeries110, "/api/v1.10/login", RoutedCall::Login);
        check(Api::SSeries110, "/api/v1.10/logout", RoutedCall::Unknown);
        check(
            Api::SSeries110,
            "/api/v1.1.0/recording/get_random",
            RoutedCall::GetRandom,
        );
        check(
            Api::SSeries200,
            "/api/v2.0.0/recording/download",
            RoutedCall::Download,
        );
        check(
            Api::SSeries200,
            "/api/v1.1.0/recording/download",
            RoutedCall::Unknown,
        );
        check(
            Api::SSeries200,
            "/api/v2.0.0/token/refresh",
            RoutedCall::Unknown,
        );
        check(Api::SSeries200, "/api/", RoutedCall::Unknown);
        check(Api::SSeries200, "/index.html", RoutedCall::NoPage);
    }

    #[test]
    fn clouds_and_newer_boxes_have_more_calls() {
        check(Api::Cloud110, "/api/v1.10/login", RoutedCall::Login);
        check(Api::Cloud110, "/api/v1.1.0/heartbeat", RoutedCall::Unknown);
        check(
            Api::Cloud200,
            "/api/v2.0.0/heartbeat",
            RoutedCall::Heartbeat,
        );
        for api in [Api::Cloud110, Api::Cloud200, Api::SSeries110] {
            let path = |call: &str| format!("/api/{}/{call}", api.segment());
            let refresh = match api.is_cloud() {
                true => RoutedCall::TokenRefresh,
                false => RoutedCall::Unknown,
            };
            check(api, &path("token/refresh"), refresh);
            check(api, &path("cdr/get_random"), RoutedCall::CdrRandom);
            check(api, &path("cdr/download"), RoutedCall::CdrDownload);
        }
        check(
            Api::SSeries101,
            "/api/v1.0.1/cdr/get_random",
            RoutedCall::Unknown,
        );
        check(
            Api::SSeries101,
            "/api/v1.0.1/cdr/download",
            RoutedCall::Unknown,
        );
    }
}
