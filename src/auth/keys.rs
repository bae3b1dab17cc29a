//! Keys that verify, and the choice among them.
//!
//! Knows which key fits which algorithm, and which keys are tried for a token. Does not know
//! claims, or where keys are stored. The algorithm belongs to the key: a token that names another
//! one is refused before any cryptography.
//!
//! Sources: RFC 7518 §3.2 (secrets as long as the hash) and §3.3 (RSA of 2048 bits or more); RFC
//! 8725 §§3.1, 3.2 and 3.5 (one algorithm per key, appropriate algorithms, key entropy); RFC 7515
//! §4.1.4 (`kid`).

mod error;
pub(super) mod pem;
mod thumbprint;

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey,
};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc;

pub use self::error::KeyError;
use super::algorithm::{Algorithm, KeyKind};
use super::der;
use super::error::AuthError;
use super::key_id::KeyId;
use super::token::{CompactToken, Header};
use crate::secret::Secret;

/// The longest RSA modulus the crypto library verifies with, in bits.
const MAX_RSA_BITS: usize = 8192;
/// The shortest RSA modulus that is accepted, in bits.
const MIN_RSA_BITS: usize = 2048;
/// The most keys tried for one token. It bounds the cost of a request.
const MAX_TRIES: usize = 4;

/// A key that verifies tokens, with its one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl VerifyingKey {
    /// Makes a key from a shared secret, for HS256, HS384 and HS512.
    ///
    /// # Errors
    /// When the algorithm is not one of the three, or the secret is shorter than the hash or is a
    /// PEM file.
    pub fn secret(
        id: Option<String>,
        algorithm: Algorithm,
        secret: &Secret,
    ) -> Result<Self, KeyError> {
        check_secret(algorithm, secret)?;
        Ok(Self {
            id,
            algorithm,
            decoding: DecodingKey::from_secret(secret.expose()),
        })
    }

    /// Makes a key from PEM: a public key (`PUBLIC KEY`, `RSA PUBLIC KEY`) or an X.509 certificate
    /// that holds one.
    ///
    /// Only the key of a certificate counts, not its dates, names or signature.
    ///
    /// # Errors
    /// When the text is not exactly one such block, is a private key, or does not fit the
    /// algorithm.
    pub fn public_pem(
        id: Option<String>,
        algorithm: Algorithm,
        pem: &[u8],
    ) -> Result<Self, KeyError> {
        if pem::holds_private_key(pem) {
            return Err(KeyError::Private);
        }
        let block = pem::read(pem)?;
        let public_key = match block.label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => block.der.as_slice(),
            "CERTIFICATE" => {
                der::public_key_of_certificate(&block.der).ok_or(KeyError::Unreadable)?
            }
            _ => return Err(KeyError::UnknownBlock),
        };
        Self::public(id, algorithm, public_key)
    }

    /// Makes a key from an encoded public key: a SubjectPublicKeyInfo, an RSAPublicKey, or an
    /// uncompressed point of a curve.
    ///
    /// # Errors
    /// When it does not fit the algorithm.
    pub(super) fn public(
        id: Option<String>,
        algorithm: Algorithm,
        public_key: &[u8],
    ) -> Result<Self, KeyError> {
        Ok(Self {
            id,
            algorithm,
            decoding: decoding_key(algorithm, public_key)?,
        })
    }

    /// The key id that tokens name in `kid`, if this key has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only algorithm this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns true if both have the same secret or public key, whatever their ids and algorithms.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (
            self.decoding.try_get_as_bytes(),
            other.decoding.try_get_as_bytes(),
        ) {
            (Ok(own), Ok(others)) => own == others,
            _ => false,
        }
    }

    /// The thumbprint of a public key (RFC 7638), independent of its id. `None` for a secret: a
    /// thumbprint would allow guessing it.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        let public_key = self.decoding.try_get_as_bytes().ok()?;
        thumbprint::of(self.algorithm.key_kind(), public_key)
    }

    fn verifies(&self, token: &CompactToken<'_>) -> bool {
        // Names the backend instead of looking it up: the library's own default panics if its
        // features leave the choice unclear.
        (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.into(), &self.decoding)
            .is_ok_and(|verifier| verifier.verify(token.signed(), token.signature()).is_ok())
    }
}

impl AsRef<VerifyingKey> for VerifyingKey {
    fn as_ref(&self) -> &VerifyingKey {
        self
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Finds the key that verifies a token, among keys that are all allowed to.
///
/// A token with a `kid` is tried against the keys with that id. If no key has that id, it is tried
/// against the keys without an id, so that a single configured key needs no id even if its issuer
/// sends one. A token without a `kid` is tried against all keys. Only keys with the token's
/// algorithm are tried, and at most four.
pub(super) fn verify<'k, K: AsRef<VerifyingKey>>(
    keys: &'k [K],
    header: &Header<'_>,
    token: &CompactToken<'_>,
) -> Result<&'k K, AuthError> {
    let kid = header.key_id();
    let id_is_known = kid.is_some() && keys.iter().any(|key| key.as_ref().id() == kid);
    let named = |key: &&K| match kid {
        None => true,
        Some(_) if id_is_known => key.as_ref().id() == kid,
        Some(_) => key.as_ref().id().is_none(),
    };
    let mut fitting = keys.iter().filter(named).peekable();
    let shown = || KeyId::of(kid);
    let unknown = || AuthError::UnknownKey(shown());
    fitting.peek().ok_or_else(unknown)?;
    let mut fitting = fitting
        .filter(|key| key.as_ref().algorithm() == header.algorithm())
        .peekable();
    let mismatch = || AuthError::AlgorithmMismatch(shown());
    fitting.peek().ok_or_else(mismatch)?;
    fitting
        .take(MAX_TRIES)
        .find(|key| key.as_ref().verifies(token))
        .ok_or_else(|| AuthError::Signature(shown()))
}

/// Checks that a secret is allowed for an algorithm. Used for keys that sign, too.
pub(super) fn check_secret(algorithm: Algorithm, secret: &Secret) -> Result<(), KeyError> {
    let KeyKind::Secret { min_bytes } = algorithm.key_kind() else {
        return Err(KeyError::NeedsPem(algorithm));
    };
    if secret
        .expose()
        .trim_ascii_start()
        .starts_with(pem::BEGIN.as_bytes())
    {
        return Err(KeyError::SecretIsPem);
    }
    let found = secret.expose().len();
    if found < min_bytes {
        return Err(KeyError::SecretTooShort {
            algorithm,
            min_bytes,
            found,
        });
    }
    Ok(())
}

fn decoding_key(algorithm: Algorithm, public_key: &[u8]) -> Result<DecodingKey, KeyError> {
    let needed = algorithm.key_kind();
    if algorithm.is_shared_secret() {
        return Err(KeyError::NeedsSecret(algorithm));
    }
    let found = kind_of(public_key).ok_or(KeyError::Unreadable)?;
    if found != needed {
        return Err(KeyError::WrongKind {
            algorithm,
            needed: needed.words(),
            found: found.words(),
        });
    }
    match found {
        KeyKind::Rsa => rsa_decoding_key(public_key),
        KeyKind::Ed25519 => Ok(DecodingKey::from_ed_der(public_key)),
        _ => Ok(DecodingKey::from_ec_der(public_key)),
    }
}

fn rsa_decoding_key(public_key: &[u8]) -> Result<DecodingKey, KeyError> {
    // The library's own form is an RSAPublicKey; the input may be either form.
    let public_key = rsa::PublicKey::from_der(public_key).map_err(|_| KeyError::Unreadable)?;
    let bits = der::rsa_modulus_bits(public_key.as_ref()).ok_or(KeyError::Unreadable)?;
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::RsaBits(bits));
    }
    Ok(DecodingKey::from_rsa_der(public_key.as_ref()))
}

/// The kind of a public key: the one under which the crypto library can read it. The curve is part
/// of the kind.
fn kind_of(public_key: &[u8]) -> Option<KeyKind> {
    if rsa::PublicKey::from_der(public_key).is_ok() {
        Some(KeyKind::Rsa)
    } else if UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key)
        .parse()
        .is_ok()
    {
        Some(KeyKind::P256)
    } else if UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key)
        .parse()
        .is_ok()
    {
        Some(KeyKind::P384)
    } else if UnparsedPublicKey::new(&ED25519, public_key).parse().is_ok() {
        Some(KeyKind::Ed25519)
    } else {
        None
    }
}
