//! The configuration file as values: texts, numbers, times, addresses, paths, secrets.
//!
//! Knows which sections there are and the values in each. A key of the file is a row in `file/`
//! (see `rows`). Does not make anything out of them: certificates, keys, key sets and policies are
//! files here, and [`crate::app::GatewayParts`] reads them. Parts of the program receive the
//! section they need, never [`Config`].

mod file;
mod kinds;
mod network;
mod problems;
mod reference;
mod rows;
mod section;
mod warning;

use std::path::{Path, PathBuf};

use crate::cache::settings::{CacheSettings, RangeSettings};
use crate::gateway::settings::cors::CorsSettings;
use crate::gateway::settings::limits::RequestLimits;
use crate::log::LogSettings;
use crate::relay::settings::RelaySettings;
use crate::secret_files::SecretFiles;
pub use file::admin::AdminSettings;
pub use file::audit::AuditSection;
pub use file::auth::{AuthSection, IssuerSection};
pub use file::key::{KeyMaterial, KeySection};
pub use file::key_source::KeySourceSection;
pub use file::links::{LinkKeySection, LinksSection};
pub use file::pbx::{PbxSection, TrustSection};
pub(crate) use file::pbx::{check_name, check_url, default_probe_limits};
pub use file::policy::{PolicySection, PolicyTest};
pub use file::server::ServerSettings;
pub(crate) use file::server::check_public_url;
pub use file::session::SessionSection;
pub use file::shared::SharedSection;
pub use problems::{Mistake, Problems};
pub use reference::reference;
pub(crate) use section::read_public;
pub use warning::Warnings;

/// The configuration file.
///
/// A required value that is missing or wrong is `None`, and stands in the list of problems. The
/// other values are there nevertheless, so that [`crate::app::GatewayParts`] finds their mistakes.
#[derive(Debug)]
pub struct Config {
    /// The rules for secret files that other users can read.
    pub secrets: SecretFiles,
    /// The folder that keeps login times and refusals over restarts.
    pub state_dir: PathBuf,
    /// The public listener.
    pub server: ServerSettings,
    /// The listener for checks and for the operator.
    pub admin: AdminSettings,
    /// The log of the process.
    pub log: LogSettings,
    /// The audit log.
    pub audit: AuditSection,
    /// Bearer tokens and their issuers.
    pub auth: AuthSection,
    /// Link tokens; `None` accepts none.
    pub links: Option<LinksSection>,
    /// Sessions of browsers.
    pub session: SessionSection,
    /// The policies, and the decisions that are expected of them.
    pub policy: PolicySection,
    /// Other sites that may use the gateway.
    pub cors: CorsSettings,
    /// Rates of requests.
    pub limits: RequestLimits,
    /// Limits of the streams.
    pub relay: RelaySettings,
    /// Recordings in memory.
    pub cache: CacheSettings,
    /// Requests for a part of a recording.
    pub range: RangeSettings,
    /// The store that the instances of a fleet share; `None` for an instance on its own.
    pub shared: Option<SharedSection>,
    /// The PBXs. A bare `/recordings/{name}` means the first whose `names` hold the name.
    pub pbxs: Vec<PbxSection>,
}

impl Config {
    /// Whether a PBX has this name.
    fn has_pbx(&self, name: &str) -> bool {
        let mut pbxs = self.pbxs.iter();
        pbxs.any(|pbx| pbx.name.as_deref() == Some(name))
    }
}

/// Reads a configuration file. Mistakes are added to `problems`; `None` where the file cannot be
/// read at all.
pub(crate) fn read(path: &Path, problems: &mut Problems) -> Option<Config> {
    file::read(path, problems)
}

/// Puts mistakes in the order of the file.
pub(crate) fn in_file_order(problems: Problems) -> Problems {
    problems.sorted_by(file::place_of)
}
