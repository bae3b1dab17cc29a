//! A verifier that remembers which certificate was presented, and leaves the decision to the configured one.
//!
//! Knows the leaf of the last handshake, also where it was not accepted: that is when somebody wants to look at it.
//! Accepts nothing by itself.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Remembers, and asks `decides`.
#[derive(Debug)]
pub(crate) struct Capture {
    decides: Arc<dyn ServerCertVerifier>,
    leaf: Mutex<Option<CertificateDer<'static>>>,
}

impl Capture {
    pub(super) fn new(decides: Arc<dyn ServerCertVerifier>) -> Arc<Self> {
        Arc::new(Self {
            decides,
            leaf: Mutex::default(),
        })
    }

    /// The leaf certificate that was presented last, if any was.
    pub(crate) fn leaf(&self) -> Option<CertificateDer<'static>> {
        let leaf = self.leaf.lock().unwrap_or_else(PoisonError::into_inner);
        leaf.clone()
    }
}

impl ServerCertVerifier for Capture {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = end_entity.clone().into_owned();
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf);
        self.decides
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.decides
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.decides
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.decides.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.decides.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.decides.root_hint_subjects()
    }
}
