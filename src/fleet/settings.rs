//! The settings of a fleet.
//!
//! Knows plain data. Does not know the configuration file.

use std::time::Duration;

use url::Url;

use crate::secret::Secret;
use crate::tls::trust::PbxTrust;

/// The store of a fleet, and the key to what lies there.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// Scheme, host, port and number of the database.
    pub url: Url,
    /// How the certificate of the store is judged; `None` for plain TCP.
    pub trust: Option<PbxTrust>,
    /// The name of the fleet. Several fleets may use one store under different names.
    pub name: String,
    /// The user at the store; `None` for the default user.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// The secret that all instances of the fleet have in common.
    pub key: Secret,
    /// The limit on one answer of the store.
    pub timeout: Duration,
}
