//! Where an issuer publishes its keys.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

use crate::auth::Algorithm;

/// Where the keys of one issuer are got, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The issuer's name.
    pub issuer: String,
    /// Where its JWK Set is.
    pub place: KeyPlace,
    /// Where else a discovery document may say that it is; only the origins count.
    pub origins: Vec<Url>,
    /// The certificates of CAs that the issuer's own is judged by; the system's where there are none.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// The algorithms that its keys may have; none means every one with public keys.
    pub algorithms: Vec<Algorithm>,
    /// How often the set is got anew.
    pub refresh: Duration,
    /// How often at most that is done for a token whose key is not known.
    pub min_interval: Duration,
}

impl KeySource {
    /// Whether what was got here is good for `other`, too. A file is read with the configuration, so it needs nothing from
    /// before.
    pub(crate) fn has_the_keys_of(&self, other: &Self) -> bool {
        let same = (&self.issuer, &self.place) == (&other.issuer, &other.place);
        same && self.algorithms == other.algorithms && !matches!(self.place, KeyPlace::File(_))
    }
}

/// Where a JWK Set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Url),
    /// Where an OpenID provider's metadata, which is at this URL, says.
    Discovery(Url),
}
