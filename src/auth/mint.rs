//! Makes tokens for `wavegate token`, `wavegate link`, `POST /links` and the tests.
//!
//! Knows what a token must hold to be accepted. Does not know who may have one, or which keys the
//! gateway verifies with.
//!
//! Source: RFC 7519 §4.1 (claims), RFC 7515 §7.1 (compact form).

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::aws_lc;
use serde::Serialize;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyKind};
use super::keys::{KeyError, check_secret};
use crate::auth::keys::pem;
use crate::recording::RecordingName;
use crate::secret::Secret;

/// A key that signs tokens, with its one algorithm.
#[derive(Clone)]
pub struct SigningKey {
    id: Option<String>,
    algorithm: Algorithm,
    encoding: EncodingKey,
}

/// The reason why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The clock is before 1970.
    #[error("the clock is before 1970")]
    Clock,
    /// The crypto library did not sign, or had no random bytes.
    #[error("the token could not be signed")]
    Crypto,
}

/// The claims of a bearer token.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BearerClaims<'c> {
    /// The claim `iss`.
    #[serde(rename = "iss")]
    pub issuer: &'c str,
    /// The claim `sub`.
    #[serde(rename = "sub")]
    pub subject: &'c str,
    /// The claim `aud`.
    #[serde(rename = "aud")]
    pub audience: &'c str,
}

/// The claims of a link token.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LinkClaims<'c> {
    /// The claim `aud`: the audience of links, not of bearer tokens.
    #[serde(rename = "aud")]
    pub audience: &'c str,
    /// The claim `sub`: the person on whose behalf the recording is heard.
    #[serde(rename = "sub")]
    pub subject: &'c str,
    /// The claim `pbx`: the configured name of the PBX.
    pub pbx: &'c str,
    /// The claim `recording`.
    #[serde(serialize_with = "name_as_text")]
    pub recording: &'c RecordingName,
    /// The claim `ip`: the only address that the link works from; any address when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

impl SigningKey {
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
            encoding: EncodingKey::from_secret(secret.expose()),
        })
    }

    /// Makes a key from a private key in PEM: PKCS#8 (`PRIVATE KEY`), for RSA also `RSA PRIVATE
    /// KEY`.
    ///
    /// # Errors
    /// When the text is not exactly one such block, or is not a key the algorithm can sign with.
    pub fn private_pem(
        id: Option<String>,
        algorithm: Algorithm,
        pem: &[u8],
    ) -> Result<Self, KeyError> {
        check_private(&pem::read(pem)?)?;
        let encoding = match algorithm.key_kind() {
            KeyKind::Secret { .. } => return Err(KeyError::NeedsSecret(algorithm)),
            KeyKind::Rsa => EncodingKey::from_rsa_pem(pem),
            KeyKind::P256 | KeyKind::P384 => EncodingKey::from_ec_pem(pem),
            KeyKind::Ed25519 => EncodingKey::from_ed_pem(pem),
        };
        let encoding = encoding.map_err(|_| KeyError::CannotSign(algorithm))?;
        let key = Self {
            id,
            algorithm,
            encoding,
        };
        // Only a signature shows that the curve and the size are right.
        key.sign(b"probe")
            .map_err(|_| KeyError::CannotSign(algorithm))?;
        Ok(key)
    }

    /// The key id that goes into `kid`, if this key has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only algorithm this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs claims as they are and returns the whole token.
    pub(super) fn token(&self, claims: &impl Serialize) -> Result<String, MintError> {
        let header = JoseHeader {
            alg: self.algorithm.name(),
            typ: "JWT",
            kid: self.id.as_deref(),
        };
        let signed = format!("{}.{}", segment(&header)?, segment(claims)?);
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        // Names the backend instead of looking it up: the library's own default panics if its
        // features leave the choice unclear.
        (aws_lc::DEFAULT_PROVIDER.signer_factory)(&self.algorithm.into(), &self.encoding)
            .ok()
            .and_then(|signer| signer.try_sign(message).ok())
            .ok_or(MintError::Crypto)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Makes a bearer token that lives from `now` for `ttl`, in whole seconds, with an id of its own.
///
/// # Errors
/// When the clock is before 1970 or the crypto library fails.
pub fn bearer(
    key: &SigningKey,
    claims: &BearerClaims<'_>,
    now: SystemTime,
    ttl: Duration,
) -> Result<String, MintError> {
    key.token(&DatedClaims::new(claims, now, ttl)?)
}

/// Makes a bearer token with further claims, such as the attributes of the subject. None of them
/// may be one of [`BearerClaims`], or `iat`, `exp` or `jti`.
///
/// # Errors
/// As for [`bearer`].
pub fn bearer_with(
    key: &SigningKey,
    claims: &BearerClaims<'_>,
    further: &Map<String, Value>,
    now: SystemTime,
    ttl: Duration,
) -> Result<String, MintError> {
    let claims = ExtraClaims { claims, further };
    key.token(&DatedClaims::new(&claims, now, ttl)?)
}

#[derive(Serialize)]
struct ExtraClaims<'c> {
    #[serde(flatten)]
    claims: &'c BearerClaims<'c>,
    #[serde(flatten)]
    further: &'c Map<String, Value>,
}

/// Makes a link token that lives from `now` for `ttl`, in whole seconds, with an id of its own.
///
/// # Errors
/// When the clock is before 1970 or the crypto library fails.
pub fn link(
    key: &SigningKey,
    claims: &LinkClaims<'_>,
    now: SystemTime,
    ttl: Duration,
) -> Result<String, MintError> {
    identified_link(key, claims, now, ttl).map(|(token, _)| token)
}

/// Like [`link`], and also returns the token's id.
pub(super) fn identified_link(
    key: &SigningKey,
    claims: &LinkClaims<'_>,
    now: SystemTime,
    ttl: Duration,
) -> Result<(String, String), MintError> {
    let dated = DatedClaims::new(claims, now, ttl)?;
    Ok((key.token(&dated)?, dated.jti))
}

#[derive(Serialize)]
struct JoseHeader<'k> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'k str>,
}

/// Claims with those that every token of the gateway has: issue time, expiry, and an id to revoke
/// it by.
#[derive(Serialize)]
struct DatedClaims<'c, C> {
    #[serde(flatten)]
    claims: &'c C,
    iat: u64,
    exp: u64,
    jti: String,
}

impl<'c, C> DatedClaims<'c, C> {
    fn new(claims: &'c C, now: SystemTime, ttl: Duration) -> Result<Self, MintError> {
        let iat = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| MintError::Clock)?
            .as_secs();
        Ok(Self {
            claims,
            iat,
            exp: iat.saturating_add(ttl.as_secs()),
            jti: random_id()?,
        })
    }
}

fn check_private(block: &pem::PemBlock<'_>) -> Result<(), KeyError> {
    match block.label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" => Ok(()),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        _ if block.is_private() => Err(KeyError::NotPkcs8),
        _ => Err(KeyError::NotPrivate),
    }
}

/// A UUID of version 4, so that no two tokens share an id.
fn random_id() -> Result<String, MintError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MintError::Crypto)?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    Ok(id.to_string())
}

fn segment(json: &impl Serialize) -> Result<String, MintError> {
    serde_json::to_vec(json)
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .map_err(|_| MintError::Crypto)
}

fn name_as_text<S: serde::Serializer>(
    name: &RecordingName,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}
