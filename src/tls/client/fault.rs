//! The meaning of a failed TLS handshake for an operator, and the remedy.
//!
//! Knows rustls' errors. No text here names an address: a text of rustls would, if a certificate is
//! for another name.
//!
//! Source for the PBX's menus: Yeastar, "S-Series User Guide", "Service": protocol, port,
//! certificate and the System Security Level, of which High means TLS 1.2 only.

use rustls::{
    AlertDescription, CertificateError, Error, OtherError, PeerIncompatible, PeerMisbehaved,
};
use thiserror::Error;

use crate::tls::pin::Pin;

/// The certificate is not one of those that are pinned.
#[derive(Debug, Error)]
#[error("the certificate's SHA-256 is not in pins: {0}")]
pub(super) struct PinMismatch(pub(super) Pin);

/// The cause of a TLS failure, as far as the remedy depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsFault {
    /// It is not a pinned certificate.
    NotPinned,
    UnknownIssuer,
    WrongName,
    Expired,
    NotYetValid,
    /// It is a CA's own certificate, which cannot be a server's.
    CaCertificate,
    /// It is of X.509 version 1.
    Version1,
    /// The key in the certificate is too short.
    WeakKey,
    /// A signature does not verify: the key is too short, or is not the certificate's.
    BadSignature,
    /// The certificate cannot be read.
    Unreadable,
    /// The peer has no version as new as TLS 1.2.
    NoVersion,
    NoCipher,
    /// The peer does not speak TLS at all.
    NotTls,
    Other,
}

/// A TLS failure in words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub(crate) struct TlsError {
    pub(crate) fault: TlsFault,
    text: String,
}

impl TlsError {
    fn new(fault: TlsFault, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { fault, text }
    }
}

impl From<&Error> for TlsError {
    fn from(error: &Error) -> Self {
        let (fault, meaning) = match error {
            Error::InvalidCertificate(error) => return Self::of_certificate(error),
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => (
                TlsFault::NoVersion,
                "no common TLS version; the PBX must speak TLS 1.2",
            ),
            // OpenSSL sends this if it shares no cipher with us.
            Error::AlertReceived(AlertDescription::HandshakeFailure)
            | Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite) => {
                (TlsFault::NoCipher, "no common cipher")
            }
            Error::InvalidMessage(_) => (
                TlsFault::NotTls,
                "the server at this address does not speak TLS",
            ),
            _ => return Self::new(TlsFault::Other, error.to_string()),
        };
        Self::new(fault, format!("{meaning} ({error})"))
    }
}

impl TlsError {
    fn of_certificate(error: &CertificateError) -> Self {
        let (fault, meaning) = match error {
            CertificateError::UnknownIssuer => (
                TlsFault::UnknownIssuer,
                "the certificate is not signed by a trusted CA",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                // The error's own text names the host of pbx.url, and the presented names may be
                // addresses of the PBX.
                return Self::new(
                    TlsFault::WrongName,
                    "the certificate is for another name or address than that in pbx.url",
                );
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                (TlsFault::Expired, "the certificate has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                TlsFault::NotYetValid,
                "the certificate is not accepted: it is not valid yet",
            ),
            CertificateError::BadSignature => (
                TlsFault::BadSignature,
                "the signature does not verify, as with an RSA key shorter than 2048 bits",
            ),
            CertificateError::BadEncoding => {
                (TlsFault::Unreadable, "the certificate cannot be read")
            }
            CertificateError::Other(OtherError(cause)) => {
                if let Some(cause) = cause.downcast_ref::<PinMismatch>() {
                    return Self::new(TlsFault::NotPinned, cause.to_string());
                }
                match cause.downcast_ref() {
                    Some(webpki::Error::CaUsedAsEndEntity) => (
                        TlsFault::CaCertificate,
                        "it is a CA's own certificate; pin it instead",
                    ),
                    Some(webpki::Error::UnsupportedCertVersion) => (
                        TlsFault::Version1,
                        "certificates of version 1, as old firmware makes, are not supported",
                    ),
                    _ => {
                        let text = format!("the certificate is not accepted: {cause}");
                        return Self::new(TlsFault::Other, text);
                    }
                }
            }
            _ => {
                let text = format!("the certificate is not accepted: {error}");
                return Self::new(TlsFault::Other, text);
            }
        };
        Self::new(fault, format!("{meaning} ({error})"))
    }
}

/// The meaning of a fault that a certificate alone does not explain.
const NOT_ACCEPTED: &str = "it is not accepted";

impl TlsFault {
    /// The fault of a certificate that cannot be used under any trust.
    pub(crate) fn meaning(self) -> &'static str {
        self.row().0
    }

    /// The remedy for an operator.
    pub(crate) fn advice(self) -> &'static str {
        self.row().1
    }

    /// The row of each fault: its meaning if nothing but the certificate is at fault, and the
    /// remedy.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::NotPinned => (
                NOT_ACCEPTED,
                "if the PBX's certificate was not replaced, another machine may stand in between: do not pin the \
                 certificate that it shows; if it was replaced, compare the new fingerprint with what a browser \
                 shows on the PBX's own network, and add it to pbx.tls.pins",
            ),
            Self::UnknownIssuer => (
                NOT_ACCEPTED,
                "compare the fingerprint with what a browser shows on the PBX's own network and pin it (pbx.tls.pins), or \
                 set pbx.tls.ca_file to the certificate of the CA that signed it",
            ),
            Self::WrongName => (
                NOT_ACCEPTED,
                "write a name or an address into pbx.url that the certificate is for, or pin it (pbx.tls.pins)",
            ),
            Self::Expired | Self::NotYetValid => (
                NOT_ACCEPTED,
                "check this machine's clock; if it is right, give the PBX a new certificate (on an S-Series Settings > \
                 System > Security > Service > Certificate), or pin this one (pbx.tls.pins): its dates are then ignored",
            ),
            Self::CaCertificate => (
                NOT_ACCEPTED,
                "pin it (pbx.tls.pins): a certificate that the PBX signed itself does not belong in pbx.tls.ca_file",
            ),
            Self::Version1 => (
                "it is of X.509 version 1, as old firmware makes it, and its key cannot be checked",
                "install a certificate of version 3, as every current tool makes them, on the PBX and select it (on an S-Series \
                 Settings > System > Security > Service > Certificate)",
            ),
            Self::WeakKey => (
                "its key is too short",
                "install a certificate with an RSA key of 2048 bits or more, or with an EC key, on the PBX and select it (on an \
                 S-Series Settings > System > Security > Service > Certificate)",
            ),
            Self::BadSignature => (
                NOT_ACCEPTED,
                "if its RSA key has fewer than 2048 bits, install a longer one on the PBX; otherwise the server does not \
                 hold the certificate's key, and another machine stands in between",
            ),
            Self::Unreadable => (
                NOT_ACCEPTED,
                "install another certificate on the PBX and select it (on an S-Series Settings > System > Security > Service > \
                 Certificate)",
            ),
            Self::NoVersion => (
                NOT_ACCEPTED,
                "update the PBX's firmware, or set its System Security Level to High (on an S-Series Settings > System > \
                 Security > Service), which is TLS 1.2; a PBX without TLS 1.2 needs a TLS proxy beside it, or plain \
                 HTTP on a network you trust (pbx.plain_http)",
            ),
            Self::NoCipher => (
                NOT_ACCEPTED,
                "the PBX knows old ciphers only: update its firmware; otherwise it needs a TLS proxy beside it, or plain \
                 HTTP on a network you trust (pbx.plain_http)",
            ),
            Self::NotTls => (
                NOT_ACCEPTED,
                "correct pbx.url: this port speaks plain HTTP or something else; the web interface is usually at https and \
                 port 8088 (on an S-Series Settings > System > Security > Service > Protocol and Port)",
            ),
            Self::Other => (
                NOT_ACCEPTED,
                "check pbx.url (an https address, a port that speaks TLS 1.2) and pbx.tls; before a fingerprint is pinned, \
                 compare it with what a browser shows on the PBX's own network",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;

    use super::*;

    #[track_caller]
    fn check(error: CertificateError, fault: TlsFault, expected: &str) {
        let error = TlsError::from(&Error::InvalidCertificate(error));
        let text = error.to_string();
        assert!(error.fault == fault && text.contains(expected), "{text}");
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_own_text() {
        let other = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        let no_ca = webpki::Error::CaUsedAsEndEntity;
        check(other(no_ca), TlsFault::CaCertificate, "pin it instead");
        let version_1 = webpki::Error::UnsupportedCertVersion;
        check(other(version_1), TlsFault::Version1, "version 1");
        check(
            other(webpki::Error::UnsupportedCriticalExtension),
            TlsFault::Other,
            "not accepted: UnsupportedCriticalExtension",
        );
        let pin = Pin::of(b"");
        let not_pinned = CertificateError::Other(OtherError(Arc::new(PinMismatch(pin))));
        check(not_pinned, TlsFault::NotPinned, &pin.to_string());
        check(
            CertificateError::BadSignature,
            TlsFault::BadSignature,
            "2048 bits",
        );
        check(
            CertificateError::BadEncoding,
            TlsFault::Unreadable,
            "cannot be read",
        );
        check(
            CertificateError::NotValidYet,
            TlsFault::NotYetValid,
            "not accepted",
        );
    }

    #[test]
    fn a_wrong_name_is_reported_without_the_configured_one() {
        let error = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("pbx.internal.example").unwrap(),
            presented: vec!["IpAddress(192.0.2.1)".to_owned()],
        };
        let text = TlsError::from(&Error::InvalidCertificate(error)).to_string();
        assert!(text.contains("another name"), "{text}");
        assert!(
            !text.contains("internal") && !text.contains("192"),
            "{text}"
        );
    }
}
