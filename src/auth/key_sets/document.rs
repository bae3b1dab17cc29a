//! A JWK Set: the public keys that an issuer publishes.
//!
//! Knows which JWKs are keys that verify, and the algorithms of each. Does not know where a set
//! comes from. A JWK that cannot be used is skipped and reported. It does not spoil the others,
//! since issuers publish keys for other purposes and of other kinds in the same set.
//!
//! Some programs write the same number in another way than the RFC says: a coordinate without its
//! leading zeros or with one too many, base64url with its padding. It is accepted as long as the
//! number is clear; the result must still be a point of the curve. An Ed25519 key is not a number
//! and has exactly 32 bytes.
//!
//! Sources: RFC 7517 §4 (members of a JWK) and §5 (unknown ones are ignored); RFC 7518 §2
//! (base64url without padding), §6.2 (EC) and §6.3 (RSA); RFC 8037 §2 (OKP); RFC 8259 §8.1 (a
//! reader may skip a byte order mark).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD_INDIFFERENT;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::algorithm::{Algorithm, KeyKind};
use crate::auth::der;
use crate::auth::key_id::KeyId;
use crate::auth::keys::{KeyError, VerifyingKey};
use crate::auth::token::json_object;

/// The most JWKs accepted in one set.
const MAX_KEYS: usize = 100;
/// The longest key id, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The most faults listed when no JWK of a set is usable.
const MAX_SHOWN_FAULTS: usize = 4;
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The members that must be texts.
const TEXTS: [&str; 9] = ["kty", "use", "alg", "kid", "crv", "n", "e", "x", "y"];

/// The contents of a JWK Set.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// The keys that verify. An RSA key without an `alg` appears once for each algorithm that it
    /// may have.
    pub keys: Vec<VerifyingKey>,
    /// The JWKs that are not used.
    pub skipped: Vec<SkippedJwk>,
}

/// A JWK that is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys[{place}] ({key_id}): {why}")]
pub struct SkippedJwk {
    /// Its index in the set, from 0.
    pub place: usize,
    /// Its `kid`.
    pub key_id: KeyId,
    /// The reason.
    #[source]
    pub why: JwkError,
}

/// The reason why a whole set is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is not a JSON object with an array `keys`.
    #[error("not a JWK Set: a JSON object with an array \"keys\"")]
    NotASet,
    /// It has too many keys.
    #[error("holds more than 100 keys")]
    TooMany,
    /// No JWK in it is a key that verifies. The text gives the reasons for the first ones.
    #[error("holds no key that verifies with an algorithm that is accepted here: {0}")]
    NoKey(String),
}

/// The reason why one JWK is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is not a JWK.
    #[error("not a JWK: a JSON object with unique members")]
    Malformed,
    /// This member says that it is for encryption, or for another use than signatures.
    #[error("not for verifying signatures, by {0}")]
    OtherUse(&'static str),
    /// This member shows that it is a shared secret or a private key, which must never be
    /// published.
    #[error(
        "holds a secret, by {0}: a set is for public keys, and everyone who can read this one can sign"
    )]
    Secret(&'static str),
    /// This member names an unsupported kind of key, curve or algorithm.
    #[error("of a kind that is not supported, by {0}")]
    Unsupported(&'static str),
    /// Its algorithm is not configured for the issuer.
    #[error("the algorithm, by alg or else by kty, is not among the algorithms of this issuer")]
    NotAccepted,
    /// A member is missing or wrong.
    #[error("{0} is missing or wrong")]
    Member(&'static str),
    /// The coordinates are not a point of the curve.
    #[error("x and y are not a point of the curve that crv names")]
    NoPoint,
    /// The key itself is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Deserialize)]
struct KeySetMembers<'j> {
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
    /// Present in a private key.
    d: Option<serde::de::IgnoredAny>,
    /// Present in a shared secret.
    k: Option<serde::de::IgnoredAny>,
}

/// Reads a JWK Set. `accepted` are the algorithms of its issuer; an empty list accepts every
/// algorithm with public keys. An RSA key without an `alg` gets every RSA algorithm in `accepted`,
/// or RS256 if the list is empty: some issuers leave that one out.
///
/// # Errors
/// When the set has no usable key.
pub fn read(json: &[u8], accepted: &[Algorithm]) -> Result<Jwks, JwksError> {
    let json = without_byte_order_mark(json);
    let set: KeySetMembers<'_> = json_object(json).ok_or(JwksError::NotASet)?;
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
            Err(why) => jwks.skipped.push(SkippedJwk {
                place,
                key_id: shown_id(jwk),
                why,
            }),
        }
    }
    if jwks.keys.is_empty() {
        return Err(JwksError::NoKey(describe_skipped(&jwks.skipped)));
    }
    Ok(jwks)
}

/// Removes the byte order mark that some editors and programs write at the start.
pub(crate) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The reasons for the first skipped JWKs.
fn describe_skipped(skipped: &[SkippedJwk]) -> String {
    let faults = skipped
        .iter()
        .take(MAX_SHOWN_FAULTS)
        .map(SkippedJwk::to_string);
    let mut faults: Vec<String> = faults.collect();
    match skipped.len().saturating_sub(MAX_SHOWN_FAULTS) {
        0 if faults.is_empty() => faults.push("it is empty".to_owned()),
        0 => {}
        more => faults.push(format!("and {more} more")),
    }
    faults.join("; ")
}

fn read_jwk(jwk: &RawValue, accepted: &[Algorithm]) -> Result<Vec<VerifyingKey>, JwkError> {
    let read: Option<Jwk> = json_object(jwk.get().as_bytes());
    let jwk = read.ok_or_else(|| wrong_member(jwk))?;
    jwk.check_use()?;
    let kind = jwk.kind()?;
    let algorithms = jwk.algorithms(kind, accepted)?;
    let public_key = jwk.public_key(kind)?;
    let key = |algorithm| VerifyingKey::public(jwk.kid.clone(), algorithm, &public_key);
    let keys: Result<_, _> = algorithms.into_iter().map(key).collect();
    keys.map_err(|error| match (error, kind) {
        (KeyError::Unreadable, KeyKind::P256 | KeyKind::P384) => JwkError::NoPoint,
        (error, _) => error.into(),
    })
}

/// The key id of a JWK, even if the rest of it is wrong.
fn shown_id(jwk: &RawValue) -> KeyId {
    let jwk: Option<Value> = serde_json::from_str(jwk.get()).ok();
    KeyId::of(jwk.as_ref().and_then(|jwk| jwk.get("kid")?.as_str()))
}

/// Finds the member that keeps a JSON value from being read as a JWK.
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

    /// The algorithms of the key: its `alg`, or else all that fit its kind.
    fn algorithms(
        &self,
        kind: KeyKind,
        accepted: &[Algorithm],
    ) -> Result<Vec<Algorithm>, JwkError> {
        let is_accepted =
            |algorithm: &Algorithm| accepted.is_empty() || accepted.contains(algorithm);
        let candidates = match &self.alg {
            Some(name) => {
                // RFC 9864 names the curve instead of EdDSA.
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

    /// The public key in the encoding that the crypto library reads.
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

/// RFC 7518 §6.2.1.2: a coordinate has the full length of the curve. A program that writes it as a
/// number drops leading zeros, or adds one if the number would else be read as negative.
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
