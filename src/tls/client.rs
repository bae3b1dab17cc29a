//! Trust in the PBX's certificate: system roots, a CA file, or pinned leaf certificates.
//!
//! Knows certificates. Does not know the data sent afterwards. With every kind of trust the peer
//! must prove that it holds the certificate's key: handshake signatures are always checked.

mod capture;
mod fault;

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier;

pub(crate) use capture::CapturingVerifier;
use fault::PinMismatch;
pub(crate) use fault::{TlsError, TlsFault};

use crate::tls::pin::Pin;
use crate::tls::trust::PbxTrust;

/// Builds the client side of TLS 1.2 and 1.3, with session resumption. Rustls has nothing older.
///
/// # Errors
/// A sentence for an operator, when the roots cannot be read.
pub(crate) fn client_config(trust: &PbxTrust) -> Result<ClientConfig, String> {
    client_config_with(verifier(trust)?)
}

/// Like [`client_config`], with a verifier that also remembers the certificate that was presented.
///
/// # Errors
/// As for [`client_config`].
pub(crate) fn capturing_config(
    trust: &PbxTrust,
) -> Result<(ClientConfig, Arc<CapturingVerifier>), String> {
    let capture = CapturingVerifier::new(verifier(trust)?);
    let decides: Arc<dyn ServerCertVerifier> = Arc::clone(&capture) as _;
    Ok((client_config_with(decides)?, capture))
}

fn client_config_with(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn verifier(trust: &PbxTrust) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(match trust {
        PbxTrust::System => Arc::new(Verifier::new(provider).map_err(|error| error.to_string())?),
        PbxTrust::Ca(certificates) => {
            let roots = Arc::new(roots(certificates)?);
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| error.to_string())?
        }
        PbxTrust::Pins(pins) => Arc::new(PinVerifier::new(pins)),
    })
}

/// Reads the certificates of a CA file.
///
/// # Errors
/// A sentence for an operator.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!("{}: holds no certificate", path.display()));
    }
    roots(&certificates).map_err(|message| format!("{}: {message}", path.display()))?;
    Ok(certificates)
}

fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| TlsError::from(&error).to_string())?;
    }
    Ok(roots)
}

/// Accepts exactly the leaf certificates whose SHA-256 is listed, whatever their names and dates.
#[derive(Debug)]
struct PinVerifier {
    pins: Vec<Pin>,
    provider: CryptoProvider,
}

impl PinVerifier {
    fn new(pins: &[Pin]) -> Self {
        Self {
            pins: pins.to_vec(),
            provider: aws_lc_rs::default_provider(),
        }
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = Pin::of(end_entity);
        if self.pins.contains(&seen) {
            return Ok(ServerCertVerified::assertion());
        }
        // The fingerprint is public. An operator compares it to find the cause.
        let error = OtherError(Arc::new(PinMismatch(seen)));
        Err(CertificateError::Other(error).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
