//! Whose certificate is accepted as the PBX's: system roots, a CA file, or pinned leaf certificates.
//!
//! Knows certificates. Does not know what is sent afterwards. Whatever the trust, the peer must prove that it holds the
//! certificate's key: handshake signatures are always checked.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use ::aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::config::{PbxTrust, Pin};

/// Builds the client side of TLS 1.2 and 1.3 (nothing older exists in rustls), with sessions resumed.
///
/// # Errors
/// A sentence for an operator, when roots cannot be read.
pub(crate) fn client_config(trust: &PbxTrust) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match trust {
        PbxTrust::System => builder
            .with_platform_verifier()
            .map_err(|error| error.to_string())?,
        PbxTrust::Ca(certificates) => builder.with_root_certificates(roots(certificates)?),
        PbxTrust::Pins(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier::new(pins))),
    };
    Ok(config.with_no_client_auth())
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
            .map_err(|error| explain(&error))?;
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
        let seen = digest::digest(&digest::SHA256, end_entity);
        if self.pins.iter().any(|pin| pin.matches(seen.as_ref())) {
            return Ok(ServerCertVerified::assertion());
        }
        // The fingerprint is public, and comparing it is how an operator finds out what happened.
        let mut message = String::from("the certificate's SHA-256 is not in pins: ");
        for byte in seen.as_ref() {
            let _ = write!(message, "{byte:02x}");
        }
        Err(Error::General(message))
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

/// What a TLS error means for somebody who runs a PBX. Never names the PBX's address.
pub(crate) fn explain(error: &Error) -> String {
    let meaning = match error {
        Error::InvalidCertificate(error) => return explain_certificate(error),
        Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(_) => {
            "no common TLS version or cipher; the PBX must speak TLS 1.2"
        }
        Error::InvalidMessage(_) => "what answers does not speak TLS",
        Error::General(message) => return message.clone(),
        _ => return error.to_string(),
    };
    format!("{meaning} ({error})")
}

fn explain_certificate(error: &CertificateError) -> String {
    let meaning = match error {
        CertificateError::UnknownIssuer => "nobody we trust has signed the certificate",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            // The error's own text names the host of pbx.url, and the names presented may be addresses of the PBX.
            return "the certificate is for another name or address than that in pbx.url"
                .to_owned();
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::BadSignature => {
            "the signature does not verify, as with an RSA key shorter than 2048 bits"
        }
        CertificateError::BadEncoding => "the certificate cannot be read",
        CertificateError::Other(OtherError(cause)) => match cause.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "it is a CA's own certificate; pin it instead"
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "certificates of version 1, as old firmware makes, are not supported"
            }
            _ => return format!("the certificate is not accepted: {cause}"),
        },
        _ => return format!("the certificate is not accepted: {error}"),
    };
    format!("{meaning} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: CertificateError, expected: &str) {
        let text = explain(&Error::InvalidCertificate(error));
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn each_fault_of_a_certificate_is_told_as_what_it_is() {
        let other = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        check(other(webpki::Error::CaUsedAsEndEntity), "pin it instead");
        check(other(webpki::Error::UnsupportedCertVersion), "version 1");
        check(
            other(webpki::Error::UnsupportedCriticalExtension),
            "not accepted: UnsupportedCriticalExtension",
        );
        check(CertificateError::BadSignature, "2048 bits");
        check(CertificateError::BadEncoding, "cannot be read");
        check(CertificateError::NotValidYet, "not accepted");
    }

    #[test]
    fn a_wrong_name_is_told_without_the_configured_one() {
        let error = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("pbx.internal.example").unwrap(),
            presented: vec!["IpAddress(192.0.2.1)".to_owned()],
        };
        let text = explain(&Error::InvalidCertificate(error));
        assert!(text.contains("another name"), "{text}");
        assert!(
            !text.contains("internal") && !text.contains("192"),
            "{text}"
        );
    }
}
