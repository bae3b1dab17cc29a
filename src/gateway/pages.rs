//! The answer to a failed request: a program gets a problem document, a person gets a page or is
//! sent to sign in. The status is the same for both.
//!
//! Knows the address of a recording without a token. The texts of the pages are in
//! `browser/page/words.rs`. Does not know which error has which problem.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, Response, StatusCode, request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::answer::AnswerBody;
use super::browser::frames::Frames;
use super::browser::navigation::{self, is_for_a_person};
use super::browser::page::ProblemPage;
use super::download_parameter::wants_download;
use super::error::GatewayError;
use super::refusal;
use super::route::{Route, RouteTarget};
use super::settings::login::LoginUrl;
use crate::auth::{AuthError, CredentialError};
use crate::relay::access_line::AccessLine;

const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Makes the answers to failed requests, for programs and for people.
pub(crate) struct Pages {
    /// The sign-in page, for a browser without a credential.
    pub(crate) login_url: Option<LoginUrl>,
    /// The gateway's own address, to which the sign-in page leads back.
    pub(crate) public_url: Option<Url>,
    pub(crate) frames: Arc<Frames>,
}

impl Pages {
    /// The answer to a failed request: a problem document, a page, or a redirect to the sign-in
    /// page.
    pub(super) fn refuse(
        &self,
        error: &GatewayError,
        head: &request::Parts,
        mut line: AccessLine,
    ) -> Response<AnswerBody> {
        if let GatewayError::Auth(rejected) = error
            && let Some(address) = self.login_address(head, rejected)
        {
            line.status = StatusCode::FOUND.as_u16();
            line.outcome = "to-login";
            return redirect(&address);
        }
        let request_id = line.shared_request_id();
        let mut response = refusal::refuse(error, head, line);
        navigation::vary(response.headers_mut());
        if is_for_a_person(head) {
            self.show(error, head, &request_id, &mut response);
        }
        response
    }

    /// Turns a problem document into a page.
    fn show(
        &self,
        error: &GatewayError,
        head: &request::Parts,
        request_id: &str,
        response: &mut Response<AnswerBody>,
    ) {
        let headers = response.headers_mut();
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(CONTENT_TYPE, html);
        self.frames.fill_page(headers);
        if head.method == Method::HEAD {
            return;
        }
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|field| field.to_str().ok());
        let recording = match error {
            GatewayError::Auth(CredentialError::Link(_)) => recording_without_link(head),
            _ => None,
        };
        let recording = recording.as_ref();
        let row = error.row();
        let body = ProblemPage {
            problem: row.problem,
            request_id,
            reason: row.reason.as_deref(),
            retry_after,
            recording: recording.map(|(path, name)| (path.as_str(), name.as_str())),
        }
        .body();
        *response.body_mut() = body;
    }

    /// The address to which a browser without a credential is redirected: the sign-in page, which
    /// leads back to the stable address of the recording or list.
    pub(super) fn login_address(
        &self,
        head: &request::Parts,
        rejected: &CredentialError,
    ) -> Option<String> {
        let (login, public) = (self.login_url.as_ref()?, self.public_url.as_ref()?);
        let is_visit = *rejected.reason() == AuthError::Missing
            && head.method == Method::GET
            && is_for_a_person(head);
        let route = Route::parse(&head.method, head.uri.path())
            .ok()
            .filter(|_| is_visit)?;
        let origin = public.origin().ascii_serialization();
        let parameter = match wants_download(head.uri.query()) {
            Ok(true) => "?download=1",
            Ok(false) | Err(_) => "",
        };
        Some(login.returning_to(&format!("{origin}{}{parameter}", stable_path(&route))))
    }
}

/// The path and the name of the recording that a request is for, without the link.
fn recording_without_link(head: &request::Parts) -> Option<(String, String)> {
    let route = Route::parse(&Method::GET, head.uri.path()).ok()?;
    let RouteTarget::Recording { name } = &route.target else {
        return None;
    };
    Some((stable_path(&route), name.as_str().to_owned()))
}

/// The path of a route, made anew from its parts.
fn stable_path(route: &Route) -> String {
    let mut path = String::new();
    if let Some(pbx) = &route.pbx {
        path = format!("/pbx/{}", utf8_percent_encode(pbx, PATH_SEGMENT));
    }
    path.push_str("/recordings");
    if let RouteTarget::Recording { name } = &route.target {
        path = format!("{path}/{}", name.encoded());
    }
    path
}

fn redirect(address: &str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    navigation::vary(headers);
    // Always valid: it was parsed as a URL, and the address in it is escaped.
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(LOCATION, address);
    }
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_stable_path_leads_to_the_same_recording(name in "[^/\\\\\\p{Cc}.][^/\\\\\\p{Cc}]{0,30}", pbx in "[a-zA-Z0-9_-]{1,10}") {
            let Ok(name) = name.parse::<crate::recording::RecordingName>() else {
                return Ok(());
            };
            for pbx in [None, Some(pbx)] {
                let route = Route { pbx, target: RouteTarget::Recording { name: name.clone() } };
                prop_assert_eq!(Route::parse(&Method::GET, &stable_path(&route)), Ok(route));
            }
        }
    }
}
