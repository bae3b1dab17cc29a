//! The gateway: it turns a request into an answer.
//!
//! Knows the parts that a request needs. The order of its stages is in [`pipeline`].

pub(crate) mod active_transfers;
pub(crate) mod answer;
pub(crate) mod authentication;
pub(crate) mod browser;
mod download_parameter;
mod downstream;
pub(crate) mod error;
pub(crate) mod front;
pub(crate) mod head;
mod head_length;
pub(crate) mod limits;
mod links;
mod listing;
pub(crate) mod pages;
pub(crate) mod pbxs;
mod pipeline;
pub(crate) mod recording;
mod refusal;
mod request_body;
pub(crate) mod rights;
mod route;
pub mod settings;

use std::sync::Arc;

use http::header::HeaderValue;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use self::active_transfers::Rules;
use self::answer::AnswerBody;
use self::authentication::Callers;
use self::browser::cors::Cors;
use self::browser::frames::Frames;
use self::browser::session::SetCookies;
use self::browser::sites::Sites;
pub(crate) use self::downstream::{Downstream, TrustedProxies};
use self::front::Front;
use self::head::MessageFraming;
use self::pages::Pages;
use self::pbxs::PbxDirectory;
use self::pipeline::PreparedAnswer;
use self::recording::Recordings;
use self::rights::Rights;
use crate::auth::link_minter::Minter;
use crate::fleet::Fleet;
use crate::http::headers::{self, X_REQUEST_ID};
use crate::metrics::Metrics;
use crate::relay::Watchdog;
use crate::relay::access_line::AccessLine;

/// The parts that a request needs.
pub(crate) struct Gateway {
    pub(crate) front: Front,
    pub(crate) callers: Callers,
    pub(crate) sites: Sites,
    pub(crate) rights: Rights,
    pub(crate) pbxs: PbxDirectory,
    pub(crate) recordings: Recordings,
    /// Makes links for callers, if that is configured.
    pub(crate) minter: Option<Minter>,
    pub(crate) pages: Pages,
    pub(crate) cors: Cors,
    pub(crate) frames: Arc<Frames>,
    pub(crate) metrics: Arc<Metrics>,
    /// The other instances; `None` for an instance on its own.
    pub(crate) fleet: Option<Arc<Fleet>>,
}

impl Gateway {
    /// Answers one request. An error of a stage becomes an answer, too.
    ///
    /// # Cancel safety
    /// Safe: all permits are given back, and the access log gets its line.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        framing: MessageFraming,
        downstream: &Downstream,
    ) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let (proxies, peer) = (&self.front.proxies, downstream.peer.ip());
        let request_id = proxies.request_id(&head.headers, peer);
        let id_field = HeaderValue::from_str(&request_id);
        let source = proxies.source_address(&head.headers, peer);
        let mut line = AccessLine::new(request_id, method_name(&head.method), source);

        let mut cookies = SetCookies::default();
        let outcome = pipeline::run(self, &head, framing, body, &mut line, &mut cookies).await;
        let (route, started) = (line.route, line.started());
        let counts = self.metrics.route(route);
        line.count_with(Arc::clone(&counts));
        let mut response = match outcome {
            Ok(PreparedAnswer::Recording(prepared)) => {
                recording::relay(&head, *prepared, line, downstream, self)
            }
            Ok(PreparedAnswer::List(page)) => listing::answer(page, line),
            Ok(PreparedAnswer::Small(response)) => {
                line.status = response.status().as_u16();
                line.outcome = "complete";
                *response
            }
            Ok(PreparedAnswer::Preflight) => {
                line.outcome = "complete";
                line.status = StatusCode::NO_CONTENT.as_u16();
                self.cors.preflight(&head.headers)
            }
            Err(error) => self.pages.refuse(&error, &head, line),
        };
        cookies.write(response.headers_mut());
        self.metrics.answered(route, response.status());
        counts.began(response.status(), started.elapsed());
        self.cors.fill(&head.headers, response.headers_mut());
        headers::fill_common(response.headers_mut());
        if let Ok(id) = id_field {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    /// The answer to an HTTP/1.1 request whose head is too long to be read, as bytes for the wire.
    /// The connection ends with it.
    pub(crate) fn refuse_head(&self, downstream: &Downstream) -> Vec<u8> {
        let front = &self.front;
        head_length::refuse(
            front.max_header_bytes,
            &front.proxies,
            &self.metrics,
            downstream,
        )
    }

    /// The policy and the issuers in force, used to check running transfers again.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            policy: self.rights.policy.clone(),
            authenticator: self.callers.authenticator.clone(),
        }
    }

    /// A watchdog for a new connection.
    pub(crate) fn watchdog(&self) -> Watchdog {
        Watchdog::new(self.recordings.downstream_idle)
    }
}

/// The name of a method for the log. An unknown method is the caller's own text, so it is not
/// logged.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
