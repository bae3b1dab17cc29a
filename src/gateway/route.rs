//! Method and path → the target of a request. Pure.
//!
//! Knows the paths of the public listener. Does not know whether a PBX or a recording exists.

use http::Method;
use thiserror::Error;

use crate::recording::{NameError, RecordingName};

/// The meaning of a method and a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The PBX in the path; `None` means the default PBX.
    pub(crate) pbx: Option<String>,
    pub(crate) target: RouteTarget,
}

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RouteTarget {
    Recording {
        name: RecordingName,
    },
    List,
    /// Make a link.
    Links,
    /// Begin a session, or end it.
    Session {
        begins: bool,
    },
}

/// The reason why a request has no target.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum RouteError {
    #[error("no such path")]
    NoSuchResource,
    #[error("no such method here")]
    MethodNotAllowed {
        /// The methods of the path.
        allow: &'static str,
    },
    #[error("the path names no recording: {0}")]
    Name(#[from] NameError),
}

impl Route {
    /// Reads the path first, then the method, then the name: an unknown path is an error before its
    /// method.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, RouteError> {
        if let Some(target) = RouteTarget::without_pbx(method, path) {
            let (pbx, target) = (None, target?);
            return Ok(Self { pbx, target });
        }
        let mut segments = path.strip_prefix('/').unwrap_or_default().split('/');
        let (pbx, name) = match (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) {
            (Some("recordings"), name, None, None) => (None, name),
            (Some("pbx"), Some(pbx), Some("recordings"), name) => (Some(pbx), name),
            _ => return Err(RouteError::NoSuchResource),
        };
        if segments.next().is_some() || name.is_some_and(str::is_empty) {
            return Err(RouteError::NoSuchResource);
        }
        Ok(Self {
            pbx: pbx.map(str::to_owned),
            target: RouteTarget::of_pbx(method, name)?,
        })
    }

    /// The path's pattern, for the log.
    pub(crate) fn template(&self) -> &'static str {
        match (&self.pbx, &self.target) {
            (None, RouteTarget::Recording { .. }) => "/recordings/{name}",
            (Some(_), RouteTarget::Recording { .. }) => "/pbx/{pbx}/recordings/{name}",
            (None, RouteTarget::List) => "/recordings",
            (Some(_), RouteTarget::List) => "/pbx/{pbx}/recordings",
            (_, RouteTarget::Links) => "/links",
            (_, RouteTarget::Session { .. }) => "/session",
        }
    }
}

impl RouteTarget {
    /// The target of a path that belongs to no PBX.
    fn without_pbx(method: &Method, path: &str) -> Option<Result<Self, RouteError>> {
        let refused = |allow| Err(RouteError::MethodNotAllowed { allow });
        Some(match (path, method) {
            ("/links", &Method::POST) => Ok(Self::Links),
            ("/links", _) => refused("POST"),
            ("/session", &Method::POST) => Ok(Self::Session { begins: true }),
            ("/session", &Method::DELETE) => Ok(Self::Session { begins: false }),
            ("/session", _) => refused("POST, DELETE"),
            _ => return None,
        })
    }

    /// The target of a path that belongs to a PBX.
    fn of_pbx(method: &Method, name: Option<&str>) -> Result<Self, RouteError> {
        match name {
            None if *method == Method::GET => Ok(Self::List),
            None => Err(RouteError::MethodNotAllowed { allow: "GET" }),
            Some(name) if *method == Method::GET || *method == Method::HEAD => {
                Ok(Self::Recording {
                    name: RecordingName::from_path_segment(name)?,
                })
            }
            Some(_) => Err(RouteError::MethodNotAllowed { allow: "GET, HEAD" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, expected: Result<(Option<&str>, &str), RouteError>) {
        let route = Route::parse(&method, path);
        let route = route.as_ref().map(|route| {
            let name = match &route.target {
                RouteTarget::Recording { name, .. } => name.as_str(),
                _ => "",
            };
            (route.pbx.as_deref(), name)
        });
        assert_eq!(route, expected.as_ref().copied(), "{path}");
    }

    #[test]
    fn every_path_has_a_target_or_an_error() {
        let nowhere = || Err(RouteError::NoSuchResource);
        check(Method::GET, "/recordings/a.wav", Ok((None, "a.wav")));
        check(Method::HEAD, "/recordings/a%2Bb.wav", Ok((None, "a+b.wav")));
        check(
            Method::GET,
            "/pbx/main/recordings/a.wav",
            Ok((Some("main"), "a.wav")),
        );
        check(Method::GET, "/", nowhere());
        check(Method::GET, "*", nowhere());
        check(Method::GET, "/recordings", Ok((None, "")));
        check(Method::GET, "/pbx/main/recordings", Ok((Some("main"), "")));
        check(Method::GET, "/recordings/", nowhere());
        check(Method::GET, "/recordings/a.wav/", nowhere());
        check(Method::GET, "/recordings/x/a.wav", nowhere());
        check(Method::GET, "//recordings/a.wav", nowhere());
        check(Method::GET, "/pbx/main/recordings/a/b", nowhere());
        check(Method::GET, "/pbx/main/recordings/", nowhere());
        check(Method::GET, "/pbx/main", nowhere());
        check(Method::GET, "/pbx", nowhere());
        let allow = |allow| Err(RouteError::MethodNotAllowed { allow });
        check(Method::POST, "/recordings/a.wav", allow("GET, HEAD"));
        check(Method::HEAD, "/recordings", allow("GET"));
        check(Method::DELETE, "/pbx/main/recordings", allow("GET"));
        check(Method::POST, "/elsewhere", nowhere());
        check(Method::GET, "/links", allow("POST"));
        check(Method::PUT, "/session", allow("POST, DELETE"));
        check(Method::POST, "/links/", nowhere());
        check(Method::POST, "/pbx/main/links", nowhere());
    }

    #[test]
    fn links_and_sessions_belong_to_no_pbx() {
        let route = |method, path| Route::parse(&method, path).unwrap();
        assert_eq!(route(Method::POST, "/links").target, RouteTarget::Links);
        for (method, begins) in [(Method::POST, true), (Method::DELETE, false)] {
            let route = route(method, "/session");
            assert_eq!(route.target, RouteTarget::Session { begins });
            assert_eq!((route.pbx.as_deref(), route.template()), (None, "/session"));
        }
    }

    #[test]
    fn a_separator_is_refused_in_every_spelling() {
        for path in [
            "/recordings/..%2Fa.wav",
            "/recordings/%2e%2e",
            "/recordings/a%5Cb",
            "/recordings/a%00.wav",
        ] {
            assert!(
                matches!(Route::parse(&Method::GET, path), Err(RouteError::Name(_))),
                "{path}"
            );
        }
    }
}
