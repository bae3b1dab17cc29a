//! The configuration, typed and checked.
//!
//! Knows which sections there are and what each value means after parsing. The file as written is read in
//! `file.rs`; this module only holds the result. Parts of the program receive the section they need, never [`Config`].

pub mod audit;
mod defaults;
mod file;
mod key_source;
mod pin;
mod problems;
pub mod secret;
mod section;
mod session;
mod tape;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use url::Url;

use crate::auth::link::Links;
use crate::auth::minter::Minter;
use crate::auth::{Cookies, Issuer};
use crate::recording::NameRange;
pub(crate) use file::{check_name, check_public_url, check_url};
pub use key_source::{KeyPlace, KeySource};
pub use pin::{NotAPin, Pin};
pub use problems::{Problem, Problems};
use secret::Secret;
pub use session::{Cors, Embed};
pub use tape::{Range, Tape, UpstreamRanges};

/// Everything that can be configured, checked.
#[derive(Debug)]
pub struct Config {
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
    /// Limits of the streams.
    pub relay: Relay,
    /// Recordings in memory.
    pub tape: Tape,
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
}

/// One PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pbx {
    /// Its name in URLs and in the log.
    pub name: String,
    /// The API it speaks.
    pub api: PbxApi,
    /// Scheme, host and port of its web interface.
    pub url: Url,
    /// How its certificate is judged; `None` for plain HTTP.
    pub trust: Option<PbxTrust>,
    /// Source address of every connection to it.
    pub bind_address: Option<IpAddr>,
    /// The address sent as `allowedip`.
    pub allowed_ip: AllowedIp,
    /// The names that a request without a PBX's name means this one for.
    pub names: NameRange,
    /// The zone of its local time.
    pub time_zone: TimeZone,
    /// Our account on it.
    pub account: PbxAccount,
    /// How much it is asked for, and how long it may take.
    pub limits: PbxLimits,
    /// What "not found" means for a young call.
    pub not_ready: NotReady,
    /// Whether it is asked for parts of a recording.
    pub upstream_ranges: UpstreamRanges,
}

/// Our account on a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxAccount {
    /// API user name.
    pub username: Secret,
    /// API password, in whichever form it was configured.
    pub password: PbxPassword,
    /// Optional fields of the login call.
    pub report: PbxReport,
    /// How an unused token is kept alive.
    pub prolong: Prolong,
    /// Whether the token is given back at exit.
    pub logout: bool,
    /// Pause between the two logins that may be refused.
    pub login_retry: Duration,
}

/// Largest read from a PBX, and so what a download takes in one turn. Decides what a slow reader costs: twice this in
/// buffers, against a little CPU.
pub(crate) const READ_BUFFER_BYTES: usize = 16 * 1024;

/// How much a PBX is asked for, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxLimits {
    /// Downloads at once.
    pub max_downloads: usize,
    /// Requests that may wait for their first byte at once.
    pub max_waiting: usize,
    /// Bytes of recordings and lists per second, all together; `None` for no limit.
    pub max_bytes_per_second: Option<u64>,
    /// Bytes per second below which a caller who takes a recording straight through is cut while others wait; 0 for never.
    pub min_bytes_per_second: u64,
    /// How long a request may wait for its turn.
    pub queue_timeout: Duration,
    /// How long a connection (TCP and TLS) may take.
    pub connect_timeout: Duration,
    /// How long the answer to a JSON call may take.
    pub answer_timeout: Duration,
    /// How long the first bytes of a recording may take.
    pub first_byte_timeout: Duration,
    /// How long a recording may stand still once it flows.
    pub idle_timeout: Duration,
    /// Pause before a PBX that reported an internal error is asked once more.
    pub retry_delay: Duration,
}

/// What "not found" means for a young call: its recording may still be on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// How long ago the call may have begun.
    pub window: Duration,
    /// Pauses before the recording is asked for again.
    pub retries: Vec<Duration>,
}

/// The API a PBX speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PbxApi {
    /// S-Series API 1.0.1.
    SSeries101,
    /// S-Series API 1.1.0.
    SSeries110,
    /// S-Series API 2.0.0.
    SSeries200,
    /// Cloud PBX API 1.1.0.
    Cloud110,
    /// Cloud PBX API 2.0.0.
    Cloud200,
    /// P-Series `openapi/v1.0`.
    PSeries,
}

impl PbxApi {
    /// Every API with its name in the configuration.
    pub(crate) const NAMES: [(&str, Self); 6] = [
        ("s-series-1.0.1", Self::SSeries101),
        ("s-series-1.1.0", Self::SSeries110),
        ("s-series-2.0.0", Self::SSeries200),
        ("cloud-1.1.0", Self::Cloud110),
        ("cloud-2.0.0", Self::Cloud200),
        ("p-series", Self::PSeries),
    ];

    /// Its name in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        let name = Self::NAMES.iter().find(|(_, api)| *api == self);
        name.map_or("", |(name, _)| name)
    }
}

/// The API password in the form it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxPassword {
    /// As an administrator types it.
    Clear(Secret),
    /// Its MD5, 32 lower-case hexadecimal digits, so that the clear text need not be stored.
    Md5(Secret),
}

/// How a PBX's certificate is judged. There is no "not at all".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxTrust {
    /// By the operating system's roots.
    System,
    /// By these certificates, out of a PEM file.
    Ca(Vec<CertificateDer<'static>>),
    /// By the SHA-256 of the leaf certificate; its names and dates are then not looked at.
    Pins(Vec<Pin>),
}

/// The address sent as `allowedip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedIp {
    /// None is sent: only the requester may use the ticket.
    Absent,
    /// This one.
    Fixed(Ipv4Addr),
    /// The address from which the gateway reaches the PBX.
    Auto,
}

/// Optional fields of the S-Series login call. Each may move the event reports of other programs, so none is sent
/// unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PbxReport {
    /// `port`: where the PBX would send reports.
    pub port: Option<u16>,
    /// `url`: path or address for reports.
    pub url: Option<String>,
    /// `version`: format of reports.
    pub version: Option<String>,
}

/// How an unused token is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prolong {
    /// By asking for a ticket that nobody uses.
    Query,
    /// By an empty heartbeat.
    Heartbeat,
    /// Not at all: the next request logs in again.
    Never,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem found, in one list, each with the key it concerns.
pub fn load(path: &Path) -> Result<Config, Problems> {
    file::load(path)
}
