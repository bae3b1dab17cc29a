//! Heads: signed statements of the hash of a line, which stands for all lines up to there. They are
//! to be kept where the log cannot be changed.
//!
//! Knows the signed text and the signature, and how a head is read from a file or from the
//! gateway's own log. Does not know when a head is due.
//!
//! A person who can write the files could write the whole chain anew, but not so that it agrees
//! with a head that was kept elsewhere.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::chain::{ChainLink, Hash};
use super::line::MAX_LINE_BYTES;
use crate::secret::Secret;

/// The file of heads, in the folder of the log.
pub(crate) const HEADS_FILE: &str = "heads.jsonl";

/// A head with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedHead {
    /// The number of the last line that the head stands for.
    pub(crate) head: u64,
    /// The hash of that line.
    pub(crate) hash: Hash,
    /// When it was signed, in RFC 3339.
    pub(crate) signed_at: String,
    /// The Ed25519 public key, 32 bytes in base64.
    pub(crate) key: String,
    /// The signature of [`SignedHead::message`], 64 bytes in base64.
    pub(crate) signature: String,
}

/// The result of checking a head's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Good,
    /// By another key than the expected one.
    OtherKey,
    Wrong,
}

impl SignedHead {
    /// The signed text. Its first line keeps the signature from being taken for one of another kind
    /// of text.
    fn message(&self) -> String {
        let Self {
            head,
            hash,
            signed_at,
            ..
        } = self;
        format!("wavegate audit head\n{head}\n{hash}\n{signed_at}\n")
    }

    /// Checks the signature: with the expected `key`, or else with the key that the head itself
    /// names.
    pub(crate) fn judge(&self, key: Option<&str>) -> Signature {
        if key.is_some_and(|key| key != self.key) {
            return Signature::OtherKey;
        }
        let decoded = BASE64
            .decode(&self.key)
            .ok()
            .zip(BASE64.decode(&self.signature).ok());
        let is_good = decoded.is_some_and(|(key, signature)| {
            let key = UnparsedPublicKey::new(&ED25519, key);
            key.verify(self.message().as_bytes(), &signature).is_ok()
        });
        if is_good {
            Signature::Good
        } else {
            Signature::Wrong
        }
    }
}

/// The Ed25519 key that signs heads. `Debug` shows the public part.
#[derive(Clone)]
pub struct HeadKey(Arc<Ed25519KeyPair>);

impl HeadKey {
    /// Reads a private Ed25519 key in PEM (PKCS#8), as `wavegate init` and `openssl genpkey
    /// -algorithm ed25519` write it.
    ///
    /// # Errors
    /// When the text is no such key; the error says how to make one.
    pub fn read(pem: &Secret) -> Result<Self, &'static str> {
        const WRONG: &str =
            "not an Ed25519 private key in PEM; make one with: openssl genpkey -algorithm ed25519";
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).map_err(|_| WRONG)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        Ok(Self(Arc::new(pair.map_err(|_| WRONG)?)))
    }

    /// Makes a new key, and its PEM.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn generate() -> Result<(Self, Secret), &'static str> {
        let pair = Ed25519KeyPair::generate().map_err(|_| "the system has no randomness")?;
        let der = pair.to_pkcs8v1().map_err(|_| "the key cannot be written")?;
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            BASE64.encode(der.as_ref())
        );
        Ok((Self(Arc::new(pair)), Secret::new(pem)))
    }

    /// The public key as heads name it.
    #[must_use]
    pub fn public(&self) -> String {
        BASE64.encode(self.0.public_key().as_ref())
    }

    /// Makes a head of the log up to `link`.
    pub(crate) fn sign(&self, link: ChainLink, time: String) -> SignedHead {
        let mut head = SignedHead {
            head: link.seq,
            hash: link.hash,
            signed_at: time,
            key: self.public(),
            signature: String::new(),
        };
        head.signature = BASE64.encode(self.0.sign(head.message().as_bytes()));
        head
    }
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeadKey({})", self.public())
    }
}

impl PartialEq for HeadKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.public_key().as_ref() == other.0.public_key().as_ref()
    }
}

/// Reads the heads in a file: lines of `heads.jsonl`, or lines of the gateway's log in JSON. Other
/// lines are skipped.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<SignedHead>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut heads = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let bound = MAX_LINE_BYTES as u64;
        if (&mut reader).take(bound).read_until(b'\n', &mut line)? == 0 {
            return Ok(heads);
        }
        heads.extend(serde_json::from_slice::<SignedHead>(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> (SignedHead, String) {
        let (key, _) = HeadKey::generate().unwrap();
        let link = ChainLink {
            seq: 7,
            hash: Hash::of(b"a line"),
        };
        let head = key.sign(link, "2026-03-02T09:14:07.000Z".to_owned());
        (head, key.public())
    }

    #[test]
    fn a_signature_is_good_for_its_head_alone() {
        let (head, key) = head();
        assert_eq!(head.judge(None), Signature::Good);
        assert_eq!(head.judge(Some(&key)), Signature::Good);
        let change = |change: &dyn Fn(&mut SignedHead)| {
            let mut head = head.clone();
            change(&mut head);
            head.judge(None)
        };
        let other = self::head().0;
        assert_eq!(change(&|head| head.head = 8), Signature::Wrong);
        assert_eq!(
            change(&|head| head.hash = Hash::of(b"another")),
            Signature::Wrong
        );
        assert_eq!(change(&|head| head.signed_at.push('0')), Signature::Wrong);
        assert_eq!(
            change(&|head| head.key.clone_from(&other.key)),
            Signature::Wrong
        );
        assert_eq!(change(&|head| head.key.clear()), Signature::Wrong);
        assert_eq!(
            change(&|head| head.signature.insert(0, '=')),
            Signature::Wrong
        );
        assert_eq!(head.judge(Some(&other.key)), Signature::OtherKey);
    }

    #[test]
    fn a_key_is_read_back_and_nothing_else_is_a_key() {
        let (key, pem) = HeadKey::generate().unwrap();
        assert_eq!(HeadKey::read(&pem).unwrap(), key);
        assert!(HeadKey::read(&Secret::new("a-shared-secret")).is_err());
        let text = String::from_utf8(pem.expose().to_vec()).unwrap();
        let cut = text.replacen("MC", "MD", 1);
        assert!(HeadKey::read(&Secret::new(cut)).is_err());
        assert!(!format!("{key:?}").contains(text.lines().nth(1).unwrap()));
    }
}
