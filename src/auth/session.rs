//! The gateway's own sessions: what its cookie holds in the place of a bearer token, for browsers.
//!
//! Knows what stands in such a value and how long it is good. Does not know cookies, nor how one comes to a browser.
//!
//! It is a JWT with a key and an audience of its own, so that it is never a bearer token or a link, nor the other way round;
//! for the same reason it has neither `iss` nor `sub`. It says which bearer token it came from, and is revoked with that.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::attributes::{Attributes, Extension};
use super::claims::{Claims, Clock};
use super::cookies::SESSION_COOKIE;
use super::error::AuthError;
use super::keys::{self, Key, KeyError};
use super::mint::{MintError, SigningKey};
use super::principal::{Credential, Principal};
use super::token::{Compact, json_object};
use crate::principal::PrincipalId;
use crate::secret::Secret;

/// What `aud` is; the key is nobody else's, so this is a second lock.
const AUDIENCE: &str = "urn:wavegate:session";
/// The longest cookie that every browser keeps: name and value together, in bytes.
///
/// Source: draft-ietf-httpbis-rfc6265bis, "Storage Model": longer ones are ignored. So a bearer token may say more than a session
/// can carry.
const MAX_COOKIE_BYTES: usize = 4096;

/// Makes the values of session cookies, and reads them.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: Key,
    signing_key: SigningKey,
    max_ttl: Duration,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// What the bearer token says does not fit into a cookie.
    #[error("what the bearer token says does not fit into the 4096 bytes of a cookie")]
    TooLong,
    /// It could not be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
}

#[derive(Serialize)]
struct SessionClaims {
    aud: &'static str,
    iat: u64,
    exp: u64,
    #[serde(flatten)]
    carried: Carried,
}

/// What a session keeps of the bearer token it came from. All that a policy looks at belongs here, and into
/// [`Carried::of`] and [`Carried::into_principal`]: what is not carried, the principal of a session does not have.
#[derive(Deserialize, Serialize)]
struct Carried {
    bearer_issuer: String,
    bearer_subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_token_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_issued_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// PBX and number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

impl Sessions {
    /// Makes sessions that live for `max_ttl` at most, signed with a secret of at least 32 bytes.
    ///
    /// # Errors
    /// When the secret is shorter, or is a PEM file.
    pub fn new(secret: &Secret, max_ttl: Duration) -> Result<Self, KeyError> {
        Ok(Self {
            key: Key::secret(None, Algorithm::Hs256, secret)?,
            signing_key: SigningKey::secret(None, Algorithm::Hs256, secret)?,
            max_ttl,
        })
    }

    /// Whether this key is the one of sessions, whatever its id and algorithm.
    #[must_use]
    pub fn is_signed_with(&self, key: &Key) -> bool {
        self.key.is_same_as(key)
    }

    /// Whether this is the secret of sessions.
    #[must_use]
    pub fn is_signed_by(&self, secret: &Secret) -> bool {
        Key::secret(None, Algorithm::Hs256, secret).is_ok_and(|key| self.is_signed_with(&key))
    }

    /// Makes the value of a cookie that stands for this principal, and ends no later than what they showed.
    ///
    /// # Errors
    /// When it would be too long for a browser, the clock is before 1970 or the crypto library fails.
    pub(crate) fn open(
        &self,
        principal: &Principal,
        now: SystemTime,
    ) -> Result<String, SessionError> {
        let iat = seconds(now).ok_or(MintError::Clock)?;
        let ends = seconds(principal.expires_at()).unwrap_or_default();
        let claims = SessionClaims {
            aud: AUDIENCE,
            iat,
            exp: ends.min(iat.saturating_add(self.max_ttl.as_secs())),
            carried: Carried::of(principal),
        };
        let value = self.signing_key.token(&claims)?;
        if SESSION_COOKIE.len() + value.len() > MAX_COOKIE_BYTES {
            return Err(SessionError::TooLong);
        }
        Ok(value)
    }

    /// Authenticates the value of a cookie; `pbxs_of` tells which PBXs an issuer's tokens are for by now.
    ///
    /// # Errors
    /// When anything is wrong with it, or with its bearer's issuer.
    pub(super) fn authenticate(
        &self,
        value: &str,
        clock: &Clock,
        max_bytes: usize,
        pbxs_of: impl FnOnce(&str) -> Result<Option<Arc<[String]>>, AuthError>,
    ) -> Result<Principal, AuthError> {
        let token = Compact::decode(value, max_bytes)?;
        keys::verify(std::slice::from_ref(&self.key), &token.header()?, &token)?;
        let claims = Claims::parse(token.claims())?;
        claims.require_audience(&[AUDIENCE])?;
        let validity = clock.check(&claims)?;
        let carried: Carried =
            json_object(token.claims()).ok_or(AuthError::Claim("bearer_issuer"))?;
        let pbxs = pbxs_of(&carried.bearer_issuer)?;
        Ok(carried.into_principal(validity.expires_at(), pbxs))
    }
}

impl Carried {
    fn of(principal: &Principal) -> Self {
        let attributes = principal.attributes();
        let extensions = attributes.extensions.iter();
        Self {
            bearer_issuer: principal.issuer().to_owned(),
            bearer_subject: principal.subject().to_owned(),
            bearer_token_id: principal.token_id().map(str::to_owned),
            bearer_issued_at: principal.issued_at().and_then(seconds),
            roles: attributes.roles.clone(),
            extensions: extensions
                .map(|extension| (extension.pbx.clone(), extension.number.clone()))
                .collect(),
            tenant: attributes.tenant.clone(),
        }
    }

    fn into_principal(self, expires_at: SystemTime, pbxs: Option<Arc<[String]>>) -> Principal {
        let issued_at = self.bearer_issued_at.map(Duration::from_secs);
        let extensions = self.extensions.into_iter();
        let attributes = Attributes {
            roles: self.roles,
            extensions: extensions
                .map(|(pbx, number)| Extension { pbx, number })
                .collect(),
            tenant: self.tenant,
        };
        Principal {
            id: PrincipalId::new(&self.bearer_issuer, &self.bearer_subject),
            credential: Credential::Session,
            token_id: self.bearer_token_id,
            issued_at: issued_at.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(at)),
            expires_at,
            attributes: Arc::new(attributes),
            pbxs,
        }
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}
