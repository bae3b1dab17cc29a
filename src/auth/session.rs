//! The gateway's own sessions: the value of the cookie that replaces a bearer token in browsers.
//!
//! Knows the claims in such a value and its lifetime. Does not know cookies, or how one reaches a
//! browser.
//!
//! The value is a JWT with a key and an audience of its own, so that it is never accepted as a
//! bearer token or a link, or the other way round. For the same reason it has neither `iss` nor
//! `sub`. It names the bearer token that it was issued for, and is revoked together with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::attributes::{Attributes, Extension};
use super::claims::{Claims, Clock};
use super::cookies::SESSION_COOKIE;
use super::error::AuthError;
use super::keys::{self, KeyError, VerifyingKey};
use super::mint::{MintError, SigningKey};
use super::principal::{Credential, Principal};
use super::token::{CompactToken, json_object};
use crate::principal::PrincipalId;
use crate::secret::Secret;

/// The claim `aud`. The key is used for nothing else, so this is a second safeguard.
const AUDIENCE: &str = "urn:wavegate:session";
/// The longest cookie that every browser stores: name and value together, in bytes.
///
/// Source: draft-ietf-httpbis-rfc6265bis, "Storage Model": longer ones are ignored. So a bearer
/// token may carry more than a session can.
const MAX_COOKIE_BYTES: usize = 4096;

/// Makes and reads the values of session cookies.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: VerifyingKey,
    signing_key: SigningKey,
    max_ttl: Duration,
}

/// The reason why no session was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The claims of the bearer token do not fit into a cookie.
    #[error("the claims of the bearer token do not fit into the 4096 bytes of a cookie")]
    TooLong,
    /// The value could not be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
}

#[derive(Serialize)]
struct SessionClaims {
    aud: &'static str,
    iat: u64,
    exp: u64,
    #[serde(flatten)]
    carried: CarriedClaims,
}

/// The data that a session keeps of its bearer token. Everything that a policy looks at must be
/// added here, in [`CarriedClaims::of`] and in [`CarriedClaims::into_principal`]: the principal of
/// a session has nothing else.
#[derive(Deserialize, Serialize)]
struct CarriedClaims {
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
    /// Makes sessions with a lifetime of at most `max_ttl`, signed with a secret of at least 32
    /// bytes.
    ///
    /// # Errors
    /// When the secret is shorter, or is a PEM file.
    pub fn new(secret: &Secret, max_ttl: Duration) -> Result<Self, KeyError> {
        Ok(Self {
            key: VerifyingKey::secret(None, Algorithm::Hs256, secret)?,
            signing_key: SigningKey::secret(None, Algorithm::Hs256, secret)?,
            max_ttl,
        })
    }

    /// Returns true if sessions are signed with this key, whatever its id and algorithm.
    #[must_use]
    pub fn uses_key(&self, key: &VerifyingKey) -> bool {
        self.key.is_same_as(key)
    }

    /// Returns true if sessions are signed with this secret.
    #[must_use]
    pub fn uses_secret(&self, secret: &Secret) -> bool {
        VerifyingKey::secret(None, Algorithm::Hs256, secret).is_ok_and(|key| self.uses_key(&key))
    }

    /// Makes the value of a cookie for this principal. It expires no later than the principal's
    /// bearer token.
    ///
    /// # Errors
    /// When it would be too long for a browser, the clock is before 1970 or the crypto library
    /// fails.
    pub(crate) fn issue(
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
            carried: CarriedClaims::of(principal),
        };
        let value = self.signing_key.token(&claims)?;
        if SESSION_COOKIE.len() + value.len() > MAX_COOKIE_BYTES {
            return Err(SessionError::TooLong);
        }
        Ok(value)
    }

    /// Authenticates the value of a cookie. `pbxs_of` gives the PBXs that an issuer's tokens are
    /// for now.
    ///
    /// # Errors
    /// When anything is wrong with the value, or the issuer of its bearer token is no longer
    /// configured.
    pub(super) fn authenticate(
        &self,
        value: &str,
        clock: &Clock,
        max_bytes: usize,
        pbxs_of: impl FnOnce(&str) -> Result<Option<Arc<[String]>>, AuthError>,
    ) -> Result<Principal, AuthError> {
        let token = CompactToken::decode(value, max_bytes)?;
        keys::verify(std::slice::from_ref(&self.key), &token.header()?, &token)?;
        let claims = Claims::parse(token.claims())?;
        claims.require_audience(&[AUDIENCE])?;
        let validity = clock.check(&claims)?;
        let carried: CarriedClaims =
            json_object(token.claims()).ok_or(AuthError::Claim("bearer_issuer"))?;
        let pbxs = pbxs_of(&carried.bearer_issuer)?;
        Ok(carried.into_principal(validity.expires_at(), pbxs))
    }
}

impl CarriedClaims {
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
            token_id: self.bearer_token_id.map(Arc::from),
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
