//! The first stage: a request head becomes an [`Addressed`] request, or an error.
//!
//! Knows the host, the source address and its rate, the path, and requests that nobody looks at. Does not know callers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Version, request};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::browser::{cors, sites};
use super::downstream::TrustedProxies;
use super::error::GatewayError;
use super::head::{self, MessageFraming};
use super::head_length;
use super::limits::RequestRates;
use super::recording;
use super::route::{Route, Target};
use crate::limits::rate::Counted;
use crate::log::NameMask;
use crate::relay::access_line::AccessLine;

/// What is looked at before anybody is authenticated.
pub(crate) struct Front {
    pub(crate) proxies: TrustedProxies,
    /// How recording names appear in the access log.
    pub(crate) names: Arc<NameMask>,
    /// The rates of requests.
    pub(crate) rates: Arc<RequestRates>,
    /// The longest head of a request, in bytes, and so the longest token.
    pub(crate) max_header_bytes: usize,
    /// The only host that is answered for, and the base of links.
    pub(crate) public_url: Option<Url>,
    /// Cancelled when nothing new is to be taken.
    pub(crate) draining: CancellationToken,
}

/// What a request head is.
pub(super) enum Arrival<'r> {
    /// A browser asks whether a script may send a request (CORS). It needs no caller.
    Preflight,
    Request(Addressed<'r>),
}

/// A request for this gateway, from a source address that has not sent too many. Only [`Front::arrive`] makes one.
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

    /// True where the query asks for a file to save.
    pub(super) fn wants_download(&self) -> bool {
        self.wants_download
    }

    /// The time that every check of this request uses.
    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    /// True where a browser goes to a page by this request.
    pub(super) fn is_visit(&self) -> bool {
        sites::is_visit(self.head)
    }
}

impl Front {
    /// Checks a head in this order: its form, draining, the rate of its source address, its length, its host, its path,
    /// its parameters. A head that is no request counts for its address, and is called that whatever the rate.
    ///
    /// # Errors
    /// The first check that fails.
    pub(super) fn arrive<'r>(
        &self,
        head: &'r request::Parts,
        framing: MessageFraming,
        line: &mut AccessLine,
    ) -> Result<Arrival<'r>, GatewayError> {
        let source = self.rates.count_address(line.source());
        let authority = head::authority(head, framing)?;
        if self.draining.is_cancelled() {
            return Err(GatewayError::Draining);
        }
        let source = source?;
        self.require_short_list(head)?;
        self.require_host(authority)?;
        if cors::is_preflight(head) {
            return Ok(Arrival::Preflight);
        }
        let route = Route::of(&head.method, head.uri.path())?;
        line.route = route.template();
        let mut wants_download = false;
        if let Target::Recording { name } = &route.target {
            line.recording = self.names.mask(name);
            wants_download = recording::wants_download(head)?;
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

    /// Over HTTP/1.1 hyper bounds the head; over HTTP/2 it is measured here.
    fn require_short_list(&self, head: &request::Parts) -> Result<(), GatewayError> {
        let max_bytes = self.max_header_bytes;
        if head.version == Version::HTTP_2 && head_length::list_bytes(head) > max_bytes {
            return Err(GatewayError::HeadTooLong { max_bytes, or: "" });
        }
        Ok(())
    }

    /// Links are made for one public address. Under any other name this gateway answers nothing.
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
