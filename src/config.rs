//! The configuration, typed and checked.
//!
//! Knows which sections there are and what each value means after parsing. The file as written is read in
//! `file.rs`; this module only holds the result. Parts of the program receive the section they need, never [`Config`].

mod defaults;
mod file;
mod network;
mod problems;
mod section;
mod warning;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::audit::settings::AuditSettings;
use crate::auth::key_sets::source::KeySource;
use crate::auth::link::Links;
use crate::log::LogSettings;
use crate::relay::settings::RelaySettings;
use crate::tls::server::ServerTls;

use crate::auth::minter::Minter;
use crate::auth::{Cookies, Issuer};
use crate::cache::settings::{CacheSettings, Range};
use crate::gateway::settings::cors::CorsSettings;
use crate::gateway::settings::embed::Embed;
use crate::gateway::settings::limits::RequestLimits;
use crate::gateway::settings::login::LoginUrl;
use crate::pbx::settings::PbxSettings;
use crate::secret::Secret;
use crate::secret_files::SecretFiles;
pub(crate) use file::{check_name, check_public_url, check_url};
pub use problems::{Problem, Problems};
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
    pub log: LogSettings,
    /// Who heard what; `None` writes it nowhere.
    pub audit: Option<AuditSettings>,
    /// Who may ask.
    pub auth: Auth,
    /// Which pages may have the session cookie sent.
    pub embed: Embed,
    /// Other sites that may use the gateway.
    pub cors: CorsSettings,
    /// Who may hear what.
    pub policy: Policy,
    /// Rates of requests.
    pub limits: RequestLimits,
    /// RequestLimits of the streams.
    pub relay: RelaySettings,
    /// Recordings in memory.
    pub cache: CacheSettings,
    /// Requests for a part of a recording.
    pub range: Range,
    /// The PBXs; at least one. A bare `/recordings/{name}` means the first whose `names` hold the name.
    pub pbxs: Vec<PbxSettings>,
}

impl Config {
    /// The PBXs that no bare name means, each with an earlier one that has all its names.
    pub fn never_meant(&self) -> impl Iterator<Item = (&PbxSettings, &PbxSettings)> {
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

/// The listener for checks and for the operator.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its address; loopback unless the operator decides otherwise.
    pub listen: SocketAddr,
    /// The bearer token of its write calls; `None` allows none.
    pub token: Option<Secret>,
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
    pub rules: crate::policy::Policy,
    /// Where they stand; without a file nobody may hear anything.
    pub file: Option<PathBuf>,
    /// The same as they are written.
    pub text: String,
    /// Whether a recording that is denied is answered as one that does not exist.
    pub forbidden_as_not_found: bool,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem found, in one list, each with the key it concerns.
pub fn load(path: &Path) -> Result<Config, Problems> {
    file::load(path)
}
