//! A JWK Set: the public keys that an issuer publishes.
//!
//! Knows which JWKs are keys that verify, and which algorithm each has. Does not know where a set comes from. A JWK that
//! cannot be used is left out and told; it does not spoil the others, since issuers publish keys for other purposes and of
//! other kinds in the same set.
//!
//! Sources: RFC 7517 §4 (members of a JWK) and §5 (unknown ones are ignored); RFC 7518 §6.2 (EC) and §6.3 (RSA);
//! RFC 8037 §2 (OKP).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::algorithm::{Algorithm, KeyKind};
use super::der;
use super::keys::{Key, KeyError};
use super::token::json_object;

/// Most JWKs of one set that are looked at.
const MAX_KEYS: usize = 100;
/// Longest key id, in bytes.
const MAX_ID_BYTES: usize = 256;

/// What a JWK Set holds.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// The keys that verify; one JWK for RSA without an `alg` is one key for each algorithm that it may have.
    pub keys: Vec<Key>,
    /// The others, by their place in the set, and why they are left out.
    pub skipped: Vec<(usize, JwkError)>,
}

/// Why a whole set is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is not a JSON object with an array `keys`.
    #[error("not a JWK Set: a JSON object with an array \"keys\"")]
    NotASet,
    /// There are too many.
    #[error("holds more than 100 keys")]
    TooMany,
    /// No JWK in it is a key that verifies.
    #[error("holds no key that verifies with an algorithm that is accepted here")]
    NoKey,
}

/// Why one JWK is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is not a JWK.
    #[error("not a JWK")]
    Malformed,
    /// It is for encryption, or otherwise not for signatures.
    #[error("not for verifying signatures")]
    OtherUse,
    /// A shared secret or a private key, which nobody should publish.
    #[error("holds a secret: a set is for public keys, and whoever can read this one can sign")]
    Secret,
    /// A kind of key, a curve or an algorithm that is not known here.
    #[error("of a kind that is not supported")]
    Unsupported,
    /// Its algorithm is not among those configured for the issuer.
    #[error("its algorithm is not among those of this issuer")]
    NotAccepted,
    /// A member is missing, or is not as it must be.
    #[error("{0} is missing or wrong")]
    Member(&'static str),
    /// The key itself is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Deserialize)]
struct Set<'j> {
    #[serde(borrow)]
    keys: Vec<&'j RawValue>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Private.
    d: Option<serde::de::IgnoredAny>,
    /// A shared secret.
    k: Option<serde::de::IgnoredAny>,
}

/// Reads a JWK Set. `accepted` are the algorithms of its issuer; none means every one with public keys. An RSA key that
/// names no algorithm has every RSA algorithm that is accepted by name, or else RS256, which issuers leave out.
///
/// # Errors
/// When there is no key in it.
pub fn read(json: &[u8], accepted: &[Algorithm]) -> Result<Jwks, JwksError> {
    let set: Set<'_> = json_object(json).ok_or(JwksError::NotASet)?;
    if set.keys.len() > MAX_KEYS {
        return Err(JwksError::TooMany);
    }
    let mut jwks = Jwks {
        keys: Vec::new(),
        skipped: Vec::new(),
    };
    for (place, jwk) in set.keys.iter().enumerate() {
        match read_jwk(jwk, accepted) {
            Ok(keys) => jwks.keys.extend(keys),
            Err(error) => jwks.skipped.push((place, error)),
        }
    }
    if jwks.keys.is_empty() {
        return Err(JwksError::NoKey);
    }
    Ok(jwks)
}

fn read_jwk(jwk: &RawValue, accepted: &[Algorithm]) -> Result<Vec<Key>, JwkError> {
    let jwk: Jwk = json_object(jwk.get().as_bytes()).ok_or(JwkError::Malformed)?;
    jwk.check_use()?;
    let kind = jwk.kind()?;
    let algorithms = jwk.algorithms(kind, accepted)?;
    let public_key = jwk.public_key(kind)?;
    let key = |algorithm| Key::public(jwk.kid.clone(), algorithm, &public_key);
    let keys: Result<_, _> = algorithms.into_iter().map(key).collect();
    Ok(keys?)
}

impl Jwk {
    fn check_use(&self) -> Result<(), JwkError> {
        if self.d.is_some() || self.k.is_some() {
            return Err(JwkError::Secret);
        }
        let verifies = |operations: &Vec<String>| operations.iter().any(|op| op == "verify");
        if self.usage.as_ref().is_some_and(|usage| usage != "sig")
            || !self.key_ops.as_ref().is_none_or(verifies)
        {
            return Err(JwkError::OtherUse);
        }
        let fits = |id: &String| (1..=MAX_ID_BYTES).contains(&id.len());
        if !self.kid.as_ref().is_none_or(fits) {
            return Err(JwkError::Member("kid"));
        }
        Ok(())
    }

    fn kind(&self) -> Result<KeyKind, JwkError> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Ok(KeyKind::Rsa),
            ("EC", Some("P-256")) => Ok(KeyKind::P256),
            ("EC", Some("P-384")) => Ok(KeyKind::P384),
            ("OKP", Some("Ed25519")) => Ok(KeyKind::Ed25519),
            ("oct", _) => Err(JwkError::Secret),
            ("EC" | "OKP", None) => Err(JwkError::Member("crv")),
            _ => Err(JwkError::Unsupported),
        }
    }

    /// The algorithms that the key has: its own; else those that its kind leaves.
    fn algorithms(
        &self,
        kind: KeyKind,
        accepted: &[Algorithm],
    ) -> Result<Vec<Algorithm>, JwkError> {
        let is_accepted =
            |algorithm: &Algorithm| accepted.is_empty() || accepted.contains(algorithm);
        let candidates = match &self.alg {
            Some(name) => {
                // RFC 9864 names the curve in place of EdDSA.
                let name = if name == "Ed25519" { "EdDSA" } else { name };
                let algorithm: Algorithm = name.parse().map_err(|_| JwkError::Unsupported)?;
                if algorithm.key_kind() != kind {
                    return Err(JwkError::Member("alg"));
                }
                vec![algorithm]
            }
            None if kind == KeyKind::Rsa && accepted.is_empty() => vec![Algorithm::Rs256],
            None => {
                let of_kind = |algorithm: &Algorithm| algorithm.key_kind() == kind;
                Algorithm::ALL.into_iter().filter(of_kind).collect()
            }
        };
        let algorithms: Vec<_> = candidates.into_iter().filter(is_accepted).collect();
        if algorithms.is_empty() {
            return Err(JwkError::NotAccepted);
        }
        Ok(algorithms)
    }

    /// The public key, in the form that the crypto library reads.
    fn public_key(&self, kind: KeyKind) -> Result<Vec<u8>, JwkError> {
        match kind {
            KeyKind::Rsa => {
                let (n, e) = (member("n", self.n.as_ref())?, member("e", self.e.as_ref())?);
                Ok(der::rsa_public_key(&n, &e))
            }
            KeyKind::P256 => self.point(32),
            KeyKind::P384 => self.point(48),
            KeyKind::Ed25519 => sized("x", self.x.as_ref(), 32),
            KeyKind::Secret { .. } => Err(JwkError::Secret),
        }
    }

    /// SEC 1 §2.3.3: an uncompressed point.
    fn point(&self, bytes: usize) -> Result<Vec<u8>, JwkError> {
        let mut point = vec![0x04];
        point.extend(sized("x", self.x.as_ref(), bytes)?);
        point.extend(sized("y", self.y.as_ref(), bytes)?);
        Ok(point)
    }
}

fn member(name: &'static str, value: Option<&String>) -> Result<Vec<u8>, JwkError> {
    let value = value.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    value.ok_or(JwkError::Member(name))
}

/// RFC 7518 §6.2.1.2: a coordinate has the full length of the curve.
fn sized(name: &'static str, value: Option<&String>, bytes: usize) -> Result<Vec<u8>, JwkError> {
    let value = member(name, value)?;
    if value.len() == bytes {
        Ok(value)
    } else {
        Err(JwkError::Member(name))
    }
}

#[cfg(test)]
mod tests;
