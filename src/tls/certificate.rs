//! What a PBX's certificate says of itself, for somebody to look at.
//!
//! Knows the fields of X.509 (RFC 5280 §4.1). Verifies nothing: whether a certificate is accepted is decided in
//! [`crate::tls::client`]. What it says was written by whoever answers, so texts are shown with everything escaped that could
//! move a terminal's cursor.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::tls::client::TlsFault;
use crate::tls::pin::Pin;

/// Nobody reads a longer one.
const MAX_SUBJECT_CHARS: usize = 200;
/// The shortest RSA key that the crypto library takes.
const MIN_RSA_BITS: usize = 2048;

/// A leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The SHA-256 of all of it: what is pinned.
    pub(crate) sha256: Pin,
    /// What it says; `None` where that cannot be read.
    pub(crate) fields: Option<Fields>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Whom it is for, such as `CN=UCCPBX`. Safe to print.
    pub(crate) subject: String,
    /// When it ends.
    pub(crate) not_after: Timestamp,
    /// 1 to 3.
    pub(crate) version: u32,
    /// Its key in words, such as `RSA, 2048 bits`.
    pub(crate) key: String,
    rsa_bits: Option<usize>,
}

impl Certificate {
    pub(crate) fn read(der: &[u8]) -> Self {
        Self {
            sha256: Pin::of(der),
            fields: Fields::read(der),
        }
    }

    /// What keeps it from being used, however it is trusted.
    pub(crate) fn flaw(&self) -> Option<TlsFault> {
        let fields = self.fields.as_ref()?;
        if fields.version < 3 {
            return Some(TlsFault::Version1);
        }
        let short = fields.rsa_bits.is_some_and(|bits| bits < MIN_RSA_BITS);
        short.then_some(TlsFault::WeakKey)
    }
}

impl Fields {
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

/// A key in words, and the length of an RSA one.
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
    fn a_certificate_tells_whom_it_is_for_and_until_when() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "PBX \u{1b}[2J\u{202e} of \"Ü's\"");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let read = Certificate::read(&der);
        let fields = read.fields.as_ref().unwrap();
        assert_eq!(fields.subject, "CN=PBX \\u{1b}[2J\\u{202e} of \"Ü's\"");
        assert_eq!(fields.not_after.to_string(), "2031-02-03T00:00:00Z");
        assert_eq!((fields.version, fields.key.as_str()), (3, "EC, 256 bits"));
        assert_eq!(read.flaw(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = Certificate::read(&bytes).flaw();
        }
    }
}
