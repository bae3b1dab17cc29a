//! `[server]` and `[server.tls]`: the public listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::has_user;
use crate::config::kinds::*;
use crate::config::network::Network;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::tls::server::ServerTls;

/// The public listener.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Addresses that speak plain HTTP/1.1.
    pub listen: Vec<SocketAddr>,
    /// Addresses that speak TLS, and the files of their certificate.
    pub tls: Option<ServerTls>,
    /// The address that links are built from; a request for another host is refused.
    pub public_url: Option<Url>,
    /// Peers whose `X-Forwarded-For` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections open at once.
    pub max_connections: usize,
    /// Largest request head, in bytes.
    pub max_header_bytes: usize,
    /// How long a request head may take, from the moment the connection is ready for one.
    pub header_timeout: Duration,
    /// How long the gateway goes on as before after SIGTERM, but is not ready any more.
    pub drain_delay: Duration,
    /// How long running downloads may take to finish after that.
    pub drain_timeout: Duration,
}

rows! {
    /// The public listener.
    mod keys = "[server]";

    /// Addresses that speak plain HTTP/1.1, for a proxy on the same machine. With [server.tls] the
    /// default is none.
    listen: ListOf<SocketAddr> = list_of(&["127.0.0.1:8080"]);

    /// The address that callers use: scheme, host and port, no path. Links are built from it, and a
    /// request for another host gets 421. Without it every valid host name is answered, and
    /// `wavegate link` cannot build a link.
    public_url: Free<Url> = web_address("https://recordings.example.com").absent("none").shown();

    /// Addresses or networks of the proxies in front of the gateway. Their X-Forwarded-For and
    /// X-Request-Id are believed; those of all others are ignored. If a proxy is missing here, all
    /// of its callers count as one address: for [limits], for links with an ip, and in the log,
    /// which warns once.
    trusted_proxies: ListOf<Network> = list_of(&[]);

    /// Connections that may be open at once. When all are taken, those without a request for a
    /// second or two make way for new ones. A quarter of the files that the process may open is
    /// kept for other things: if that leaves fewer connections, the log warns at start.
    max_connections: Number<usize> = count(1..=1_000_000, 10_000);

    /// Size of the largest request head; a longer one gets 431. It also limits tokens. Raise it if
    /// single sign-on names very many groups, and raise large_client_header_buffers of nginx with
    /// it. Each connection takes more memory then.
    max_header_bytes: Number<usize> = size(16_384..=1 << 20, 16_384);

    /// How long a request head may take, from the moment the connection is ready for one; so this
    /// is also how long an idle connection is kept. The limit of a proxy for idle connections must
    /// be shorter.
    header_timeout_ms: Number<Duration> = milliseconds(100..=600_000, 30_000);

    /// How long the gateway goes on as before after SIGTERM. /readyz says no meanwhile, so that a
    /// load balancer notices.
    drain_delay_ms: Number<Duration> = milliseconds(0..=600_000, 0);

    /// How long running downloads may take to end after that; then they are cut.
    drain_timeout_ms: Number<Duration> = milliseconds(0..=DAY_MS, 60_000);
}

rows! {
    /// TLS without a proxy: HTTP/1.1 and HTTP/2. certs/README.md says how to get a certificate.
    mod tls_keys = "#[server.tls]";

    /// Addresses that speak TLS.
    listen: Required<Free<Vec<SocketAddr>>> = required(list(&["0.0.0.0:443"]));

    /// The certificate and its chain in PEM, the certificate first.
    certificate_file: Required<Free<PathBuf>> = required(path("../certs/server.pem"));

    /// The private key of the certificate in PEM.
    key_file: Required<Free<PathBuf>> = required(path("../certs/server.key"));

    /// How long a handshake may take.
    handshake_timeout_ms: Number<Duration> = milliseconds(100..=600_000, 10_000);
}

pub(super) fn read_server(section: &mut Section<'_>) -> ServerSettings {
    let tls = if section.has(tls_keys::SECTION.name()) {
        tls_keys::SECTION.read(section, read_tls)
    } else {
        None
    };
    let listen = match &tls {
        None => keys::listen.get(section),
        Some(_) => keys::listen.given(section).unwrap_or_default(),
    };
    if listen.is_empty() && tls.is_none() {
        section.problem(
            keys::listen.name,
            "empty, and there is no [server.tls]: nothing would be served",
        );
    }
    let proxies = keys::trusted_proxies.get(section);
    ServerSettings {
        listen,
        tls,
        public_url: read_public_url(section),
        trusted_proxies: proxies.into_iter().map(|network| network.0).collect(),
        max_connections: keys::max_connections.get(section),
        max_header_bytes: keys::max_header_bytes.get(section),
        header_timeout: keys::header_timeout_ms.get(section),
        drain_delay: keys::drain_delay_ms.get(section),
        drain_timeout: keys::drain_timeout_ms.get(section),
    }
}

fn read_tls(section: &mut Section<'_>) -> Option<ServerTls> {
    let listen = tls_keys::listen.given(section);
    let certificate_file = tls_keys::certificate_file.given(section);
    let key_file = tls_keys::key_file.given(section);
    let handshake_timeout = tls_keys::handshake_timeout_ms.get(section);
    Some(ServerTls {
        listen: listen?,
        certificate_file: certificate_file?,
        key_file: key_file?,
        handshake_timeout,
    })
}

fn read_public_url(section: &mut Section<'_>) -> Option<Url> {
    let url = keys::public_url.given(section)?;
    section.note(keys::public_url.name, check_public_url(&url))?;
    Some(url)
}

/// Refuses an address that callers cannot use.
pub(crate) fn check_public_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("not an http or https address");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_user(url) {
        return Err("only scheme, host and port belong here");
    }
    Ok(())
}
