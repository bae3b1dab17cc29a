//! TLS of the box: its own certificate, and by default TLS 1.2 only.
//!
//! Knows how certificates are made and presented. Does not know HTTP.
//!
//! Source: Yeastar, "S-Series User Guide", "Service" and "Web Access Security": the certificate is
//! the factory's own unless one is uploaded, and the high security level means TLS 1.2 only. The
//! names in a factory certificate are not documented; the usual case is assumed, that they match no
//! address. A published client that pins the certificate of a P-Series knows its subject as
//! "UCCPBX".

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::generation::Api;
use super::secret;
use super::switch::{Switch, Switches};

/// The bound on TLS sessions that can be resumed.
const MAX_TLS_SESSIONS: usize = 1_024;

/// A certificate chain, leaf first, and the key of the leaf; both as PEM.
#[derive(Clone)]
pub(super) struct CertificateAndKey {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

impl CertificateAndKey {
    /// Makes a self-signed certificate, ECDSA on P-256, for these names and addresses.
    pub(super) fn self_signed(api: Api, names: &[String]) -> io::Result<Self> {
        let subject = match api {
            Api::PSeries => "UCCPBX",
            _ => "S-Series VoIP PBX",
        };
        let make = || {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, subject);
            let certificate = params.self_signed(&key)?;
            Ok(Self {
                certificate_pem: certificate.pem(),
                key_pem: key.serialize_pem(),
            })
        };
        make().map_err(|error: rcgen::Error| io::Error::other(error))
    }

    /// Makes the factory certificate of a box. It names no address of the box.
    pub(super) fn factory(api: Api) -> io::Result<Self> {
        Self::self_signed(api, &["pbx.invalid".to_owned()])
    }

    fn chain(&self) -> io::Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// The lower-case hexadecimal SHA-256 of the leaf certificate.
    pub(super) fn fingerprint(&self) -> io::Result<String> {
        let chain = self.chain()?;
        let no_leaf = || io::Error::new(io::ErrorKind::InvalidInput, "no certificate in the PEM");
        let leaf = chain.first().ok_or_else(no_leaf)?;
        let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, leaf);
        Ok(secret::hex(digest.as_ref()))
    }

    fn certified(&self) -> io::Result<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        CertifiedKey::from_der(self.chain()?, key, &aws_lc_rs::default_provider())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

/// Builds the server side of TLS, with session tickets and a session cache.
pub(super) fn server_config(
    identity: &CertificateAndKey,
    switches: &Switches,
) -> io::Result<ServerConfig> {
    let both: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    let versions = if switches.has(Switch::Tls13) {
        both
    } else {
        &[&version::TLS12]
    };
    let resolver = FixedCertificate {
        certified: Arc::new(identity.certified()?),
        name_required: switches.has(Switch::SniRequired),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.session_storage = ServerSessionMemoryCache::new(MAX_TLS_SESSIONS);
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
    Ok(config)
}

/// Presents one certificate. If `name_required` is set, a handshake without a server name gets none
/// and fails.
#[derive(Debug)]
struct FixedCertificate {
    certified: Arc<CertifiedKey>,
    name_required: bool,
}

impl ResolvesServerCert for FixedCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let refused = self.name_required && hello.server_name().is_none();
        (!refused).then(|| Arc::clone(&self.certified))
    }
}
