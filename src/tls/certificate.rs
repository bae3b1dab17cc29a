//! The fields of a PBX's certificate, for display.
//!
//! Knows the fields of X.509 (RFC 5280 §4.1). Verifies nothing: [`crate::tls::client`] decides
//! whether a certificate is accepted. The peer wrote these texts, so all characters that could move
//! a terminal's cursor are escaped.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::tls::client::TlsFault;
use crate::tls::pin::Pin;

/// The longest subject that is shown.
const MAX_SUBJECT_CHARS: usize = 200;
/// The shortest RSA key that the crypto library accepts.
const MIN_RSA_BITS: usize = 2048;

/// A leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeafCertificate {
    /// The SHA-256 of the whole certificate: the value that is pinned.
    pub(crate) sha256: Pin,
    /// The fields; `None` if they cannot be read.
    pub(crate) fields: Option<CertificateFields>,
}

/// The fields of a certificate that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFields {
    /// The subject, such as `CN=UCCPBX`. Safe to print.
    pub(crate) subject: String,
    /// The end of its validity.
    pub(crate) not_after: Timestamp,
    /// The X.509 version, 1 to 3.
    pub(crate) version: u32,
    /// The key in words, such as `RSA, 2048 bits`.
    pub(crate) key: String,
    rsa_bits: Option<usize>,
}

impl LeafCertificate {
    pub(crate) fn read(der: &[u8]) -> Self {
        Self {
            sha256: Pin::of(der),
            fields: CertificateFields::read(der),
        }
    }

    /// The fault that makes the certificate unusable under any trust, if it has one.
    pub(crate) fn flaw(&self) -> Option<TlsFault> {
        let fields = self.fields.as_ref()?;
        if fields.version < 3 {
            return Some(TlsFault::Version1);
        }
        let short = fields.rsa_bits.is_some_and(|bits| bits < MIN_RSA_BITS);
        short.then_some(TlsFault::WeakKey)
    }
}

impl CertificateFields {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let not_after = certificate.validity().not_after.timestamp();
        let (key, rsa_bits) = describe(certificate.public_key());
        Some(Self {
            subject: printable(&certificate.subject().to_string()),
            not_after: Timestamp::from_second(not_after).ok()?,
            version: certificate.version().0.saturating_add(1),
            key,
            rsa_bits,
        })
    }
}

/// A key in words, and its length if it is RSA.
fn describe(key: &SubjectPublicKeyInfo<'_>) -> (String, Option<usize>) {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = rsa.key_size();
            (format!("RSA, {bits} bits"), Some(bits))
        }
        Ok(PublicKey::EC(point)) => (format!("EC, {} bits", point.key_size()), None),
        Ok(PublicKey::DSA(_)) => ("DSA".to_owned(), None),
        _ => ("of another kind".to_owned(), None),
    }
}

fn printable(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars().take(MAX_SUBJECT_CHARS) {
        match character {
            '\'' | '"' => safe.push(character),
            _ => safe.extend(character.escape_debug()),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_shows_its_subject_and_its_expiry() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "PBX \u{1b}[2J\u{202e} of \"Ü's\"");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let read = LeafCertificate::read(&der);
        let fields = read.fields.as_ref().unwrap();
        assert_eq!(fields.subject, "CN=PBX \\u{1b}[2J\\u{202e} of \"Ü's\"");
        assert_eq!(fields.not_after.to_string(), "2031-02-03T00:00:00Z");
        assert_eq!((fields.version, fields.key.as_str()), (3, "EC, 256 bits"));
        assert_eq!(read.flaw(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = LeafCertificate::read(&bytes).flaw();
        }
    }
}
