//! The claims of a token, and the checks beyond the signature.
//!
//! Knows the registered claims, the three of a link token, their types, and the times between which
//! a token is valid. Does not know keys or where a token came from. The clock is a parameter.
//!
//! `nbf`, `iat` and `jti` may be absent or `null`. A claim that decides may not be `null`.
//!
//! Source: RFC 7519 §2 (NumericDate), §4 (claim names must be unique) and §4.1 (registered claims).

pub(super) mod path;
mod value;

use std::time::{Duration, SystemTime};

use serde::Deserialize;

pub(super) use self::value::ClaimValue;
use super::error::AuthError;
use super::token::json_object;

/// The claims that matter, as they stand in the token. Others are skipped.
///
/// The type of a claim is checked when the claim is read, so that an error names it, and so that an
/// issuer may use names like `pbx` for something else in its bearer tokens.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 't"))]
pub(super) struct Claims<'t> {
    iss: ClaimValue<'t>,
    sub: ClaimValue<'t>,
    aud: ClaimValue<'t>,
    exp: ClaimValue<'t>,
    nbf: ClaimValue<'t>,
    iat: ClaimValue<'t>,
    jti: ClaimValue<'t>,
    recording: ClaimValue<'t>,
    pbx: ClaimValue<'t>,
    ip: ClaimValue<'t>,
}

impl<'t> Claims<'t> {
    /// Reads the claims.
    ///
    /// # Errors
    /// When they are not a JSON object, or when a claim that matters is repeated.
    pub(super) fn parse(json: &'t [u8]) -> Result<Self, AuthError> {
        json_object(json).ok_or(AuthError::Malformed(
            "claims are not an object with unique members",
        ))
    }

    pub(super) fn issuer(&self) -> Result<&str, AuthError> {
        self.iss.text().ok_or(AuthError::Claim("iss"))
    }

    pub(super) fn subject(&self) -> Result<&str, AuthError> {
        self.sub.name().ok_or(AuthError::Claim("sub"))
    }

    /// The token's own id. An id that is not a valid name could not be revoked, so it is an error.
    pub(super) fn token_id(&self) -> Result<Option<&str>, AuthError> {
        match &self.jti {
            jti if jti.is_null_or_absent() => Ok(None),
            jti => jti.name().map(Some).ok_or(AuthError::Claim("jti")),
        }
    }

    pub(super) fn recording(&self) -> Result<&str, AuthError> {
        self.recording.text().ok_or(AuthError::Claim("recording"))
    }

    pub(super) fn pbx(&self) -> Result<&str, AuthError> {
        self.pbx.name().ok_or(AuthError::Claim("pbx"))
    }

    /// The only address that a link works from. The claim decides, so it may be absent but not
    /// `null`.
    pub(super) fn address(&self) -> Result<Option<&str>, AuthError> {
        match &self.ip {
            ClaimValue::Absent => Ok(None),
            ip => ip.text().map(Some).ok_or(AuthError::Claim("ip")),
        }
    }

    /// Returns true if there is an `aud`, whatever its value.
    pub(super) fn has_audience(&self) -> bool {
        !matches!(self.aud, ClaimValue::Absent)
    }

    /// Requires that `aud`, one string or an array of strings, names an accepted audience.
    pub(super) fn require_audience(&self, accepted: &[impl AsRef<str>]) -> Result<(), AuthError> {
        let is_meant = self.aud.names_one_of(accepted);
        match is_meant.ok_or(AuthError::Claim("aud"))? {
            true => Ok(()),
            false => Err(AuthError::WrongAudience("claim aud")),
        }
    }
}

/// The time of a request since 1970, and the skew allowed for other clocks.
pub(super) struct Clock {
    now: Duration,
    skew: Duration,
}

/// The times of a token that is valid now, since 1970, in whole seconds.
#[derive(Debug)]
pub(super) struct Validity {
    expires: Duration,
    issued: Option<Duration>,
}

impl Clock {
    /// # Errors
    /// When the clock is before 1970, since expiry cannot be checked then.
    pub(super) fn at(now: SystemTime, skew: Duration) -> Result<Self, AuthError> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| AuthError::Clock)?;
        Ok(Self { now, skew })
    }

    /// Checks `exp`, which is required, `nbf` and `iat`. A token has expired once `exp` plus the
    /// skew has passed.
    pub(super) fn check(&self, claims: &Claims<'_>) -> Result<Validity, AuthError> {
        let expires = claims.exp.time().ok_or(AuthError::Claim("exp"))?;
        let issued = optional_time(&claims.iat, "iat")?;
        let not_before = optional_time(&claims.nbf, "nbf")?;
        let validity = Validity { expires, issued };
        if self.has_expired(&validity) {
            return Err(AuthError::Expired);
        }
        let latest = self.now.saturating_add(self.skew);
        for (time, claim) in [(issued, "iat"), (not_before, "nbf")] {
            if time.is_some_and(|time| time > latest) {
                return Err(AuthError::NotYetValid(claim));
            }
        }
        Ok(validity)
    }

    /// Returns true if the token has expired.
    pub(super) fn has_expired(&self, validity: &Validity) -> bool {
        self.now >= validity.expires.saturating_add(self.skew)
    }

    /// The whole lifetime of a token: from `iat` if it has one, else from now.
    pub(super) fn lifetime(&self, validity: &Validity) -> Duration {
        validity
            .expires
            .saturating_sub(validity.issued.unwrap_or(self.now))
    }
}

impl Validity {
    pub(super) fn expires_at(&self) -> SystemTime {
        after_1970(self.expires)
    }

    pub(super) fn issued_at(&self) -> Option<SystemTime> {
        self.issued.map(after_1970)
    }
}

/// `time` is at most the year 9999, which every SystemTime can express.
fn after_1970(time: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(time)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn optional_time(
    value: &ClaimValue<'_>,
    claim: &'static str,
) -> Result<Option<Duration>, AuthError> {
    match value {
        value if value.is_null_or_absent() => Ok(None),
        value => value.time().map(Some).ok_or(AuthError::Claim(claim)),
    }
}
