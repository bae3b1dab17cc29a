//! A JWK Set: the public keys that an issuer publishes.
//!
//! Knows which JWKs are keys that verify, and which algorithm each has. Does not know where a set comes from. A JWK that
//! cannot be used is left out and told; it does not spoil the others, since issuers publish keys for other purposes and of
//! other kinds in the same set.
//!
//! The same number is written in several ways by those who do not write it as they should: a coordinate without its leading zeros
//! or with one too many, base64url with its padding. As long as nobody can doubt which number is meant, it is taken; what comes of
//! it still has to be a point of the curve. An Ed25519 key is no number, and has its 32 bytes.
//!
//! Sources: RFC 7517 §4 (members of a JWK) and §5 (unknown ones are ignored); RFC 7518 §2 (base64url without padding), §6.2 (EC)
//! and §6.3 (RSA); RFC 8037 §2 (OKP); RFC 8259 §8.1 (a reader may skip a byte order mark).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD_INDIFFERENT;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::algorithm::{Algorithm, KeyKind};
use crate::auth::der;
use crate::auth::key_id::KeyId;
use crate::auth::keys::{Key, KeyError};
use crate::auth::token::json_object;

/// Most JWKs of one set that are looked at.
const MAX_KEYS: usize = 100;
/// Longest key id, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The most JWKs, of a set without a usable key, whose faults are told.
const MAX_TOLD: usize = 4;
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The members that are texts.
const TEXTS: [&str; 9] = ["kty", "use", "alg", "kid", "crv", "n", "e", "x", "y"];

/// What a JWK Set holds.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// The keys that verify; one JWK for RSA without an `alg` is one key for each algorithm that it may have.
    pub keys: Vec<Key>,
    /// The others.
    pub skipped: Vec<Skipped>,
}

/// A JWK that is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys[{place}] ({key_id}): {why}")]
pub struct Skipped {
    /// Its place in the set, from 0.
    pub place: usize,
    /// Its `kid`.
    pub key_id: KeyId,
    /// The fault of it.
    #[source]
    pub why: JwkError,
}

/// Why a whole set is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is not a JSON object with an array `keys`.
    #[error("not a JWK Set: a JSON object with an array \"keys\"")]
    NotASet,
    /// There are too many.
    #[error("holds more than 100 keys")]
    TooMany,
    /// No JWK in it is a key that verifies; the text is why not, for the first of them.
    #[error("holds no key that verifies with an algorithm that is accepted here: {0}")]
    NoKey(String),
}

/// Why one JWK is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is not a JWK.
    #[error("not a JWK: a JSON object whose members are there once each")]
    Malformed,
    /// It is for encryption, or otherwise not for signatures, by this member.
    #[error("not for verifying signatures, by {0}")]
    OtherUse(&'static str),
    /// A shared secret or a private key, which nobody should publish; by this member.
    #[error(
        "holds a secret, by {0}: a set is for public keys, and whoever can read this one can sign"
    )]
    Secret(&'static str),
    /// A kind of key, a curve or an algorithm that is not known here; by this member.
    #[error("of a kind that is not supported, by {0}")]
    Unsupported(&'static str),
    /// Its algorithm is not among those configured for the issuer.
    #[error("alg, or what kty leaves of it, is not among the algorithms of this issuer")]
    NotAccepted,
    /// A member is missing, or is not as it must be.
    #[error("{0} is missing or wrong")]
    Member(&'static str),
    /// The coordinates are those of no point.
    #[error("x and y are no point of the curve that crv names")]
    NoPoint,
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
    let json = without_byte_order_mark(json);
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
            Err(why) => jwks.skipped.push(Skipped {
                place,
                key_id: shown_id(jwk),
                why,
            }),
        }
    }
    if jwks.keys.is_empty() {
        return Err(JwksError::NoKey(told(&jwks.skipped)));
    }
    Ok(jwks)
}

/// A text without the mark that some editors and programs write before it.
pub(crate) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Why the first of them are left out.
fn told(skipped: &[Skipped]) -> String {
    let told = skipped.iter().take(MAX_TOLD).map(Skipped::to_string);
    let mut told: Vec<String> = told.collect();
    match skipped.len().saturating_sub(MAX_TOLD) {
        0 if told.is_empty() => told.push("it is empty".to_owned()),
        0 => {}
        more => told.push(format!("and {more} more")),
    }
    told.join("; ")
}

fn read_jwk(jwk: &RawValue, accepted: &[Algorithm]) -> Result<Vec<Key>, JwkError> {
    let read: Option<Jwk> = json_object(jwk.get().as_bytes());
    let jwk = read.ok_or_else(|| wrong_member(jwk))?;
    jwk.check_use()?;
    let kind = jwk.kind()?;
    let algorithms = jwk.algorithms(kind, accepted)?;
    let public_key = jwk.public_key(kind)?;
    let key = |algorithm| Key::public(jwk.kid.clone(), algorithm, &public_key);
    let keys: Result<_, _> = algorithms.into_iter().map(key).collect();
    keys.map_err(|error| match (error, kind) {
        (KeyError::Unreadable, KeyKind::P256 | KeyKind::P384) => JwkError::NoPoint,
        (error, _) => error.into(),
    })
}

/// The key id of a JWK, whatever else is wrong with it.
fn shown_id(jwk: &RawValue) -> KeyId {
    let jwk: Option<Value> = serde_json::from_str(jwk.get()).ok();
    KeyId::of(jwk.as_ref().and_then(|jwk| jwk.get("kid")?.as_str()))
}

/// Which member keeps something from being read as a JWK.
fn wrong_member(jwk: &RawValue) -> JwkError {
    let Ok(Value::Object(members)) = serde_json::from_str(jwk.get()) else {
        return JwkError::Malformed;
    };
    let is_text = |value: &Value| value.is_string();
    let is_wrong = |name: &&&str| match members.get(**name) {
        None => **name == "kty",
        Some(value) => !is_text(value) && (!value.is_null() || **name == "kty"),
    };
    if let Some(name) = TEXTS.iter().find(is_wrong) {
        return JwkError::Member(name);
    }
    match members.get("key_ops") {
        None | Some(Value::Null) => JwkError::Malformed,
        Some(Value::Array(operations)) if operations.iter().all(is_text) => JwkError::Malformed,
        Some(_) => JwkError::Member("key_ops"),
    }
}

impl Jwk {
    fn check_use(&self) -> Result<(), JwkError> {
        for (member, name) in [(&self.d, "d"), (&self.k, "k")] {
            if member.is_some() {
                return Err(JwkError::Secret(name));
            }
        }
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err(JwkError::OtherUse("use"));
        }
        let verifies = |operations: &Vec<String>| operations.iter().any(|op| op == "verify");
        if !self.key_ops.as_ref().is_none_or(verifies) {
            return Err(JwkError::OtherUse("key_ops"));
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
            ("oct", _) => Err(JwkError::Secret("kty")),
            ("EC" | "OKP", None) => Err(JwkError::Member("crv")),
            ("EC" | "OKP", Some(_)) => Err(JwkError::Unsupported("crv")),
            _ => Err(JwkError::Unsupported("kty")),
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
                let algorithm: Algorithm =
                    name.parse().map_err(|_| JwkError::Unsupported("alg"))?;
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
            KeyKind::Ed25519 => {
                let x = member("x", self.x.as_ref())?;
                let is_key = x.len() == 32;
                is_key.then_some(x).ok_or(JwkError::Member("x"))
            }
            KeyKind::Secret { .. } => Err(JwkError::Secret("kty")),
        }
    }

    /// SEC 1 §2.3.3: an uncompressed point.
    fn point(&self, bytes: usize) -> Result<Vec<u8>, JwkError> {
        let mut point = vec![0x04];
        point.extend(coordinate("x", self.x.as_ref(), bytes)?);
        point.extend(coordinate("y", self.y.as_ref(), bytes)?);
        Ok(point)
    }
}

fn member(name: &'static str, value: Option<&String>) -> Result<Vec<u8>, JwkError> {
    let value = value.and_then(|value| URL_SAFE_NO_PAD_INDIFFERENT.decode(value).ok());
    value.ok_or(JwkError::Member(name))
}

/// RFC 7518 §6.2.1.2: a coordinate has the full length of the curve. A program that writes it as a number leaves leading zeros out,
/// and writes one more where the number would else look negative.
fn coordinate(
    name: &'static str,
    value: Option<&String>,
    bytes: usize,
) -> Result<Vec<u8>, JwkError> {
    let value = member(name, value)?;
    let zeros = value.iter().take_while(|byte| **byte == 0).count();
    let digits = value.get(zeros..).unwrap_or_default();
    if digits.is_empty() || digits.len() > bytes || value.len() > bytes + 1 {
        return Err(JwkError::Member(name));
    }
    let missing = bytes.saturating_sub(digits.len());
    Ok([&vec![0; missing], digits].concat())
}

#[cfg(test)]
mod tests;
