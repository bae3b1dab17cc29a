//! TLS of the public listener: reads the certificate, and replaces it on reload.
//!
//! Knows certificate and key files. Does not know HTTP beyond the names of its versions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::secret_files::{ReadableReason, SecretFiles};
use crate::tls::certificate::LeafCertificate;

/// The days before a certificate's end from which on there are warnings.
const WARNING_DAYS: i64 = 14;

/// The settings for TLS of the public listener.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The addresses that speak TLS.
    pub listen: Vec<SocketAddr>,
    /// The certificate chain in PEM, leaf first.
    pub certificate_file: PathBuf,
    /// The private key in PEM.
    pub key_file: PathBuf,
    /// The longest time for a handshake.
    pub handshake_timeout: Duration,
}

/// The certificate in use.
pub(crate) struct ServerCertificate {
    current: Arc<CurrentCertificate>,
    acceptor: TlsAcceptor,
}

#[derive(Debug)]
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ServerCertificate {
    /// # Errors
    /// A sentence for an operator.
    pub(crate) fn new(certificate: CertifiedKey) -> Result<Self, String> {
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(certificate)));
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        Ok(Self {
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Uses another certificate from the next handshake on.
    pub(crate) fn replace(&self, certificate: CertifiedKey) {
        self.current.0.store(Arc::new(certificate));
    }

    /// The end of the certificate's validity; `None` if it cannot be read.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        end(&self.current.0.load())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

/// The end of a certificate's validity; `None` if it cannot be read.
pub(crate) fn end(certificate: &CertifiedKey) -> Option<Timestamp> {
    let leaf = LeafCertificate::read(certificate.cert.first()?);
    Some(leaf.fields?.not_after)
}

/// A sentence for an operator, if a certificate with this end has ended or will soon.
pub(crate) fn end_warning(end: Timestamp, now: Timestamp) -> Option<String> {
    let left = end.duration_since(now);
    let days = left.as_hours() / 24;
    if left.is_negative() {
        Some(format!(
            "the certificate ended at {end}, and callers refuse it; renew it"
        ))
    } else if days < WARNING_DAYS {
        Some(format!(
            "the certificate ends at {end}, {days} days from now; renew it"
        ))
    } else {
        None
    }
}

/// Reads the certificate and the key; also the reason why a key was accepted that others can read.
///
/// # Errors
/// The wrong configuration key, and a sentence for an operator.
pub(crate) fn read(
    files: &ServerTls,
    secrets: &SecretFiles,
) -> Result<(CertifiedKey, Option<ReadableReason>), (&'static str, String)> {
    let path = &files.certificate_file;
    let in_certificate =
        |error: String| ("certificate_file", format!("{}: {error}", path.display()));
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(in_certificate("holds no certificate".to_owned()));
    }
    let in_key = |error: String| ("key_file", format!("{}: {error}", files.key_file.display()));
    let pem = secrets.read(&files.key_file);
    let pem = pem.map_err(|error| in_key(format!("{error}{}", error.advice())))?;
    let key = PrivateKeyDer::from_pem_slice(pem.secret.expose())
        .map_err(|error| in_key(error.to_string()))?;
    let certificate = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| in_key(format!("{error}; does it belong to the certificate?")))?;
    Ok((certificate, pem.readable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(end: &str, expected: Option<&str>) {
        let now = "2026-03-02T09:14:07Z".parse().unwrap();
        let warning = end_warning(end.parse().unwrap(), now);
        match expected {
            Some(part) => assert!(warning.unwrap().contains(part)),
            None => assert_eq!(warning, None),
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_told_two_weeks_before() {
        check("2026-03-16T09:14:07Z", None);
        check("2026-03-16T09:14:06Z", Some("13 days"));
        check("2026-03-02T09:14:08Z", Some("0 days"));
        check("2026-03-02T09:14:06Z", Some("ended"));
    }
}
