//! The first stage: it turns a request head into an [`Addressed`] request.
//!
//! Knows the host, the source address and its rate, the path, and prefetches. Does not know
//! callers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Version, request};
use url::Url;

use super::browser::{cors, sites};
use super::download_parameter;
use super::downstream::TrustedProxies;
use super::error::GatewayError;
use super::head::{self, MessageFraming};
use super::head_length;
use super::limits::RequestRateLimits;
use super::route::{Route, RouteTarget};
use crate::limits::rate::Counted;
use crate::log::NameMask;
use crate::relay::access_line::AccessLine;

/// The parts that check a request before its caller is authenticated.
pub(crate) struct Front {
    pub(crate) proxies: TrustedProxies,
    /// Masks the names of recordings in the access log.
    pub(crate) names: Arc<NameMask>,
    /// The rate limits of requests.
    pub(crate) rates: Arc<RequestRateLimits>,
    /// The longest head of a request, and so the longest token, in bytes.
    pub(crate) max_header_bytes: usize,
    /// The only host that is accepted, and the base of links.
    pub(crate) public_url: Option<Url>,
}

/// A request head that passed the checks.
pub(super) enum Arrival<'r> {
    /// A CORS preflight. It has no caller.
    Preflight,
    Request(Addressed<'r>),
}

/// A request for this gateway, from a source address below its rate limit. Only [`Front::arrive`]
/// makes one.
pub(super) struct Addressed<'r> {
    head: &'r request::Parts,
    source: Counted<IpAddr>,
    route: Route,
    wants_download: bool,
    now: SystemTime,
}

impl<'r> Addressed<'r> {
    pub(super) fn head(&self) -> &'r request::Parts {
        self.head
    }

    pub(super) fn headers(&self) -> &'r HeaderMap {
        &self.head.headers
    }

    pub(super) fn query(&self) -> Option<&'r str> {
        self.head.uri.query()
    }

    /// The caller's address, as far as the proxies in between are trusted.
    pub(super) fn source(&self) -> IpAddr {
        *self.source
    }

    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// True if the query asks for a file to save.
    pub(super) fn wants_download(&self) -> bool {
        self.wants_download
    }

    /// The time that every check of this request uses.
    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    /// True if a browser navigates by this request.
    pub(super) fn is_visit(&self) -> bool {
        sites::is_visit(self.head)
    }
}

impl Front {
    /// Checks a head in this order: form, rate of the source address, length, host, path, parameters.
    /// A malformed head counts for the rate of its address, but its error comes before that of the
    /// rate. A request that arrives while the gateway drains is a request like every other: its
    /// connection was taken before.
    ///
    /// # Errors
    /// That of the first check that fails.
    pub(super) fn arrive<'r>(
        &self,
        head: &'r request::Parts,
        framing: MessageFraming,
        line: &mut AccessLine,
    ) -> Result<Arrival<'r>, GatewayError> {
        let source = self.rates.count_address(line.source());
        let authority = head::authority(head, framing)?;
        let source = source?;
        self.require_short_head(head)?;
        self.require_host(authority)?;
        if cors::is_preflight(head) {
            return Ok(Arrival::Preflight);
        }
        let route = Route::parse(&head.method, head.uri.path())?;
        line.route = route.template();
        let mut wants_download = false;
        if let RouteTarget::Recording { name } = &route.target {
            line.recording = self.names.mask(name);
            wants_download = download_parameter::wants_download(head.uri.query())?;
        }
        if sites::is_prefetch(&head.headers) {
            return Err(GatewayError::Prefetch);
        }
        Ok(Arrival::Request(Addressed {
            head,
            source,
            route,
            wants_download,
            now: SystemTime::now(),
        }))
    }

    /// Bounds the head of an HTTP/2 request. hyper bounds that of an HTTP/1.1 request.
    fn require_short_head(&self, head: &request::Parts) -> Result<(), GatewayError> {
        let max_bytes = self.max_header_bytes;
        if head.version == Version::HTTP_2 && head_length::list_bytes(head) > max_bytes {
            return Err(GatewayError::HeadTooLong { max_bytes, or: "" });
        }
        Ok(())
    }

    /// Checks the host against `server.public_url`, if that is set. Links are made for that
    /// address.
    fn require_host(&self, authority: Option<&str>) -> Result<(), GatewayError> {
        let Some(public) = &self.public_url else {
            return Ok(());
        };
        let url = authority
            .and_then(|authority| Url::parse(&format!("{}://{authority}/", public.scheme())).ok());
        let is_same = url.is_some_and(|url| {
            url.host() == public.host()
                && url.port_or_known_default() == public.port_or_known_default()
        });
        if is_same {
            Ok(())
        } else {
            Err(GatewayError::Misdirected)
        }
    }
}
