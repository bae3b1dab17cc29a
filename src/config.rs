//! The configuration, typed and checked.
//!
//! Knows which sections there are and what each value means after parsing. The file as written is read in
//! `file.rs`; this module only holds the result. Parts of the program receive the section they need, never [`Config`].

pub mod audit;
mod cache;
mod cors;
mod defaults;
mod file;
mod key_source;
mod limits;
mod login;
mod network;
mod pbx;
mod pin;
mod problems;
pub mod secret;
mod section;
mod session;
mod warning;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::auth::link::Links;
use crate::auth::minter::Minter;
use crate::auth::{Cookies, Issuer};
pub use cache::{CacheSettings, Range, UpstreamRanges};
pub use cors::{Cors, Origin, OriginError};
pub(crate) use file::{check_name, check_public_url, check_url};
pub use key_source::{KeyPlace, KeySource};
pub use limits::{Limits, Rate};
pub use login::{LoginUrl, LoginUrlError};
pub(crate) use pbx::READ_BUFFER_BYTES;
pub use pbx::{
    AllowedIp, NotReady, Pbx, PbxAccount, PbxApi, PbxLimits, PbxPassword, PbxReport, PbxTrust,
    Prolong,
};
pub use pin::{NotAPin, Pin};
pub use problems::{Problem, Problems};
use secret::{Secret, SecretFiles};
pub use session::Embed;
pub use warning::Warnings;

/// Everything that can be configured, checked.
#[derive(Debug)]
pub struct Config {
    /// Things that are odd about it, though allowed.
    pub warnings: Warnings,
    /// Which secret files are taken that other users can read.
    pub secrets: SecretFiles,
    /// Where login times and refusals are kept over restarts; `None` keeps them in memory only.
    pub state_dir: Option<PathBuf>,
    /// The public listener.
    pub server: Server,
    /// The listener for checks and for the operator.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: Log,
    /// Who heard what; `None` writes it nowhere.
    pub audit: Option<audit::Audit>,
    /// Who may ask.
    pub auth: Auth,
    /// Which pages may have the session cookie sent.
    pub embed: Embed,
    /// Other sites that may use the gateway.
    pub cors: Cors,
    /// Who may hear what.
    pub policy: Policy,
    /// Rates of requests.
    pub limits: Limits,
    /// Limits of the streams.
    pub relay: Relay,
    /// Recordings in memory.
    pub cache: CacheSettings,
    /// Requests for a part of a recording.
    pub range: Range,
    /// The PBXs; at least one. A bare `/recordings/{name}` means the first whose `names` hold the name.
    pub pbxs: Vec<Pbx>,
}

impl Config {
    /// The PBXs that no bare name means, each with an earlier one that has all its names.
    pub fn never_meant(&self) -> impl Iterator<Item = (&Pbx, &Pbx)> {
        self.pbxs.iter().enumerate().filter_map(|(index, pbx)| {
            let mut earlier = self.pbxs.iter().take(index);
            let other = earlier.find(|earlier| earlier.names.covers(&pbx.names))?;
            Some((pbx, other))
        })
    }
}

/// The public listener.
#[derive(Debug, Clone)]
pub struct Server {
    /// Addresses that speak plain HTTP/1.1.
    pub listen: Vec<SocketAddr>,
    /// Addresses that speak TLS, and their certificate.
    pub tls: Option<ServerTls>,
    /// What links are built from; a request for another host is refused.
    pub public_url: Option<Url>,
    /// Peers whose `X-Forwarded-For` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections open at once.
    pub max_connections: usize,
    /// Largest request head, in bytes.
    pub max_header_bytes: usize,
    /// How long a request head may take, counted from the moment the connection is ready for one.
    pub header_timeout: Duration,
    /// How long the gateway goes on as before after SIGTERM, not ready any more, so that a load balancer notices.
    pub drain_delay: Duration,
    /// How long running downloads may take to finish after that.
    pub drain_timeout: Duration,
}

/// TLS of the public listener.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// Addresses that speak TLS.
    pub listen: Vec<SocketAddr>,
    /// PEM chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Which key files are taken that other users can read.
    pub secrets: Arc<SecretFiles>,
}

/// The listener for checks and for the operator.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its address; loopback unless the operator decides otherwise.
    pub listen: SocketAddr,
    /// The bearer token of its write calls; `None` allows none.
    pub token: Option<Secret>,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// Least important level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
    /// How recording names, which hold telephone numbers, appear.
    pub recording_names: RecordingNames,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For eyes.
    Text,
}

/// How recording names appear in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingNames {
    /// As a keyed hash that is the same within one run of the process.
    Hashed,
    /// As they are.
    Plain,
}

/// Who may ask.
#[derive(Debug)]
pub struct Auth {
    /// The issuers whose bearer tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// Where those of them publish their keys that do.
    pub key_sources: Vec<KeySource>,
    /// The link tokens that are accepted.
    pub links: Option<Links>,
    /// What makes links for callers, where they may have some made.
    pub minter: Option<Minter>,
    /// The cookies that are accepted.
    pub cookies: Cookies,
    /// The list of what is revoked, where there is one.
    pub revocation_file: Option<PathBuf>,
    /// Where a browser without a credential is sent.
    pub login_url: Option<LoginUrl>,
    /// How far clocks may disagree.
    pub skew: Duration,
    /// Files with the secrets that `wavegate token` can sign with, by issuer and in the order of its keys.
    pub bearer_signers: Vec<Signer>,
    /// The same for `wavegate link`.
    pub link_signers: Vec<Signer>,
}

/// A shared secret of the configuration, with which a token can be minted for trying out.
#[derive(Debug)]
pub struct Signer {
    /// The issuer the key belongs to; empty for a link key.
    pub issuer: String,
    /// Key id.
    pub id: Option<String>,
    /// Algorithm of the key.
    pub algorithm: crate::auth::Algorithm,
    /// The secret itself.
    pub secret: Secret,
}

/// Who may hear what.
#[derive(Debug)]
pub struct Policy {
    /// The policies, ready to be asked.
    pub rules: crate::auth::policy::Policy,
    /// Where they stand; without a file nobody may hear anything.
    pub file: Option<PathBuf>,
    /// The same as they are written.
    pub text: String,
    /// Whether a recording that is denied is answered as one that does not exist.
    pub forbidden_as_not_found: bool,
}

/// Limits of the streams.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Recordings being answered at once, waiting ones included.
    pub max_streams: usize,
    /// How many of them one principal may have.
    pub max_streams_per_principal: usize,
    /// Recordings that one principal may have read from PBXs anew, per minute.
    pub max_reads_per_minute: usize,
    /// How long a caller may take nothing before it is cut.
    pub idle_timeout: Duration,
    /// How long one answer may take in all.
    pub max_stream: Duration,
    /// Whether browsers may keep recordings.
    pub browser_cache: BrowserCache,
}

/// Whether a browser may keep a recording. A cache that several people share never may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BrowserCache {
    /// It keeps nothing.
    #[default]
    Never,
    /// It keeps it, and asks each time before it uses it: rights are checked, and what has not changed is not sent again.
    Revalidated,
}

impl BrowserCache {
    /// Both with their names in the configuration.
    const NAMES: [(&str, Self); 2] = [("never", Self::Never), ("revalidated", Self::Revalidated)];
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem found, in one list, each with the key it concerns.
pub fn load(path: &Path) -> Result<Config, Problems> {
    file::load(path)
}
