//! Where an issuer publishes its keys.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

use crate::auth::Algorithm;

/// Where the keys of one issuer are fetched, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The issuer's name.
    pub issuer: String,
    /// The location of its JWK Set.
    pub place: KeyPlace,
    /// Further origins at which a discovery document may place the set.
    pub origins: Vec<Url>,
    /// The CA certificates that the issuer's server is verified with; the system's if `None`.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// The algorithms that its keys may have. An empty list accepts every one with public keys.
    pub algorithms: Vec<Algorithm>,
    /// The time between two scheduled fetches.
    pub refresh: Duration,
    /// The shortest time between two fetches for a token with an unknown key.
    pub min_interval: Duration,
}

impl KeySource {
    /// Returns true if keys fetched from here are also valid for `other`. A file is read with the
    /// configuration anyway, so it takes over no earlier keys.
    pub(crate) fn shares_keys_with(&self, other: &Self) -> bool {
        let same = (&self.issuer, &self.place) == (&other.issuer, &other.place);
        same && self.algorithms == other.algorithms && !matches!(self.place, KeyPlace::File(_))
    }
}

/// The location of a JWK Set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Url),
    /// At the URL that an OpenID provider's metadata names. The metadata is at this URL.
    Discovery(Url),
}
