//! The pipeline: from a request to its answer.
//!
//! The only file that knows the order of the stages: route, authenticate, whose request, authorize, write that down, admit, PBX,
//! relay; for a list, which is authorized row by row, the same without the last. Each takes what the one before made, so none can be left out.

mod access;
pub(crate) mod answer;
mod audited;
mod authentication;
mod body;
pub(crate) mod browser;
mod downstream;
pub(crate) mod error;
pub(crate) mod head;
mod head_length;
pub(crate) mod limits;
mod links;
mod listing;
mod recording;
mod refusal;
mod route;
pub(crate) mod running;
pub mod settings;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HeaderValue;
use http::{Method, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::audit::AuditLog;
use crate::auth::key_sets::KeySetRefresher;
use crate::auth::minter::Minter;
use crate::auth::revocations::Revocations;
use crate::auth::{Authenticator, Principal};
use crate::cache::Cache;
use crate::gateway::answer::{AnswerBody, Small};
use crate::gateway::browser::cors;
use crate::gateway::browser::cors::Cors;
use crate::gateway::browser::frames::Framing;
use crate::gateway::browser::session::SetCookies;
use crate::gateway::browser::sites::Sites;
use crate::gateway::settings::login::LoginUrl;
use crate::http::headers;
use crate::http::headers::BrowserCache;
use crate::http::headers::X_REQUEST_ID;
use crate::limits::reads::Reads;
use crate::limits::streams::Admission;
use crate::log::NameMask;
use crate::metrics::Metrics;
use crate::pbx::Pbx;
use crate::policy::{Action, Context, Policy};
use crate::relay::Watchdog;
use crate::relay::access_line::AccessLine;
pub(crate) use downstream::{Downstream, TrustedProxies};
use error::GatewayError;
use head::MessageFraming;
use limits::Limits;
use listing::Listed;
use recording::Prepared;
use route::{Route, Target};
use running::{Rules, Running};

/// Everything a request needs.
pub(crate) struct Gateway {
    pub(crate) authenticator: Authenticator,
    /// The longest head of a request, and so the longest token.
    pub(crate) max_header_bytes: usize,
    /// Keep the keys that issuers publish.
    pub(crate) keepers: Vec<KeySetRefresher>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) policy: Policy,
    /// Whether a recording that is denied is answered as one that does not exist.
    pub(crate) hides_denied: bool,
    /// Told of each decision before it is carried out.
    pub(crate) audit: AuditLog,
    pub(crate) admission: Arc<Admission>,
    pub(crate) reads: Arc<Reads>,
    pub(crate) cache: Arc<Cache>,
    /// How long a range waits for the end of a recording of unknown length.
    pub(crate) range_wait: Duration,
    pub(crate) running: Arc<Running>,
    /// At least one; the first whose names hold a recording is the default for it.
    pub(crate) pbxs: Vec<Arc<Pbx>>,
    pub(crate) names: Arc<NameMask>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) public_url: Option<Url>,
    /// Makes links for callers, where that is configured.
    pub(crate) minter: Option<Minter>,
    pub(crate) sites: Sites,
    pub(crate) proxies: TrustedProxies,
    pub(crate) cors: Cors,
    pub(crate) limits: Arc<Limits>,
    pub(crate) login_url: Option<LoginUrl>,
    pub(crate) framing: Framing,
    pub(crate) downstream_idle: Duration,
    pub(crate) browser_cache: BrowserCache,
    /// Cancelled when nothing new is to be taken.
    pub(crate) draining: CancellationToken,
}

/// What the stages came to.
enum Found {
    Recording(Box<Prepared>),
    List(Listed),
    Small(Small),
    Preflight,
}

impl Gateway {
    /// Answers one request, whatever happens.
    ///
    /// # Cancel safety
    /// Safe: everything taken is given back, and the access log has its line.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        framing: MessageFraming,
        downstream: &Downstream,
    ) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let request_id = self.proxies.request_id(&head.headers, downstream.peer.ip());
        let id_field = HeaderValue::from_str(&request_id);
        let source = self
            .proxies
            .source_address(&head.headers, downstream.peer.ip());
        let mut line = AccessLine::new(request_id, method_name(&head.method), source);

        let mut cookies = SetCookies::default();
        let found = self
            .find(&head, framing, body, source, &mut line, &mut cookies)
            .await;
        let route = line.route;
        let mut response = match found {
            Ok(Found::Recording(prepared)) => {
                recording::relay(&head, *prepared, line, downstream, self)
            }
            Ok(Found::List(listed)) => listing::show(listed, line),
            Ok(Found::Small(response)) => {
                line.status = response.status().as_u16();
                line.outcome = "complete";
                *response
            }
            Ok(Found::Preflight) => {
                line.outcome = "complete";
                line.status = StatusCode::NO_CONTENT.as_u16();
                self.cors.preflight(&head.headers)
            }
            Err(error) => self.refuse_for(&error, &head, line),
        };
        cookies.write(response.headers_mut());
        self.metrics.answered(route, response.status());
        self.cors.fill(&head.headers, response.headers_mut());
        headers::fill_common(response.headers_mut());
        if let Ok(id) = id_field {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    /// By what those are judged whose requests began earlier.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            policy: self.policy.clone(),
            authenticator: self.authenticator.clone(),
        }
    }

    /// A watchdog for a new connection, with the limits in force.
    pub(crate) fn watchdog(&self) -> Watchdog {
        Watchdog::new(self.downstream_idle)
    }

    /// The stages, in their order.
    async fn find(
        &self,
        head: &request::Parts,
        framing: MessageFraming,
        body: Incoming,
        source: IpAddr,
        line: &mut AccessLine,
        cookies: &mut SetCookies,
    ) -> Result<Found, GatewayError> {
        // A head that is no request counts, and is told so whatever the rate.
        let counted = self.limits.check_address(source);
        let authority = head::authority(head, framing)?;
        if self.draining.is_cancelled() {
            return Err(GatewayError::Draining);
        }
        counted?;
        self.require_short_head(head)?;
        self.require_host(authority)?;
        if cors::is_preflight(head) {
            return Ok(Found::Preflight);
        }
        let route = Route::of(&head.method, head.uri.path())?;
        line.route = route.template();
        let mut download = false;
        if let Target::Recording { name, .. } = &route.target {
            line.recording = self.names.mask(name);
            download = recording::wants_download(head)?;
        }
        if browser::sites::is_prefetch(&head.headers) {
            return Err(GatewayError::Prefetch);
        }
        if let Target::Session { begins } = route.target {
            self.require_sessions()?;
            if !begins {
                self.end_session(&head.headers, cookies)?;
                return Ok(Found::Small(answer::no_content()));
            }
        }
        let now = SystemTime::now();
        let query = head.uri.query();
        let principal = match self.authenticate(head, source, now, cookies).await {
            Ok(principal) => principal,
            Err(rejected) => return Err(self.failed(head, source, rejected)),
        };
        note_principal(line, &principal);
        self.sites.require_ours(head, principal.credential())?;
        self.limits.check_principal(&principal.id())?;
        let context = Context { source, now };
        match &route.target {
            Target::Recording { name } => {
                let pbx = self.pbx(&route, now, line)?;
                let decision = audited::decision(line, head, &principal, "listen", Some(name));
                let hide = self.hiding(pbx, name);
                let (policy, action, name) = (&self.policy, Action::Listen, name.clone());
                let grant = policy.authorize(principal, action, pbx.name(), name, &context);
                let grant = self.written(decision, grant, line).await.map_err(hide)?;
                let prepared = self.recording(pbx, grant, head, download, now).await?;
                Ok(Found::Recording(Box::new(prepared)))
            }
            Target::List => {
                let pbx = self.pbx(&route, now, line)?;
                let decision = audited::decision(line, head, &principal, "list", None);
                let viewer = self.policy.view(principal, pbx.name(), &context);
                let viewer = self.written(decision, viewer, line).await?;
                Ok(Found::List(
                    Box::pin(self.list(pbx, &viewer, &context, query)).await?,
                ))
            }
            Target::Links => {
                let made = self.make_link(principal, head, body, &context, line);
                Ok(Found::Small(Box::pin(made).await?))
            }
            Target::Session { .. } => {
                self.open_session(&principal, now, cookies)?;
                Ok(Found::Small(answer::no_content()))
            }
        }
    }

    /// The PBX that a path names, or else the first that the recording's name belongs to; of a list, the one that a
    /// recording made now would belong to.
    fn pbx(
        &self,
        route: &Route,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&Arc<Pbx>, GatewayError> {
        let mut pbxs = self.pbxs.iter();
        let pbx = match (&route.pbx, &route.target) {
            (Some(name), _) => pbxs
                .find(|pbx| pbx.name() == name)
                .ok_or(GatewayError::NoSuchPbx),
            (None, Target::Recording { name, .. }) => pbxs
                .find(|pbx| pbx.holds(name))
                .ok_or(GatewayError::NoPbxForName),
            (None, Target::List | Target::Links | Target::Session { .. }) => {
                let first = self.pbxs.first();
                let current = pbxs.find(|pbx| pbx.holds_new(now));
                current.or(first).ok_or(GatewayError::NoSuchPbx)
            }
        }?;
        pbx.name().clone_into(&mut line.pbx);
        Ok(pbx)
    }

    /// Links are made for one public address; under any other name this gateway answers nothing.
    fn require_host(&self, authority: Option<&str>) -> Result<(), GatewayError> {
        let Some(public) = &self.public_url else {
            return Ok(());
        };
        let named = authority
            .and_then(|authority| Url::parse(&format!("{}://{authority}/", public.scheme())).ok());
        let same = named.is_some_and(|named| {
            named.host() == public.host()
                && named.port_or_known_default() == public.port_or_known_default()
        });
        if same {
            Ok(())
        } else {
            Err(GatewayError::Misdirected)
        }
    }
}

fn note_principal(line: &mut AccessLine, principal: &Principal) {
    principal.issuer().clone_into(&mut line.issuer);
    principal.subject().clone_into(&mut line.subject);
    line.credential = principal.credential().kind().as_str();
}

/// A method is the caller's word; only known ones reach the log.
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
