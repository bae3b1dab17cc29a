//! Authentication: turns the credentials of a request into a principal.
//!
//! Knows the order of the checks, and that only all of them together make a [`Principal`]. Does not
//! know the PBX, the configuration as written, or HTTP answers. Pure, with no clock, I/O or log,
//! except for `key_sets` and `revocations`, which keep lists from elsewhere fresh.
//!
//! The claims are checked here and not by the JWT library. Its checks read the system's clock and
//! are loose by default: a leeway of a minute, `nbf` ignored, a missing `aud` or `iss` accepted.
//! The library verifies the signature and nothing more.
//!
//! Sources: RFC 7519 §7.2 (validating a JWT), RFC 7515 §5.2 (validating a JWS), RFC 6750 (bearer
//! tokens), RFC 8725 (best current practices for JWTs).

mod algorithm;
pub(crate) mod attributes;
mod authenticated;
mod claims;
pub(crate) mod cookies;
mod credential;
mod der;
mod error;
mod key_id;
pub mod key_sets;
mod keyring;
pub mod keys;
pub mod link;
pub mod link_minter;
pub mod mint;
pub(crate) mod principal;
mod required;
pub mod revocations;
mod self_test;
mod session;
mod token;
mod verified;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;

pub use self::algorithm::{Algorithm, UnknownAlgorithm};
use self::attributes::max_values;
pub use self::attributes::{AttributeClaims, Attributes, Extension};
pub use self::authenticated::Authenticated;
use self::claims::{Claims, Clock};
pub use self::cookies::Cookies;
use self::cookies::SESSION_COOKIE;
use self::credential::{RequestCredential, unescaped};
pub use self::error::{AuthError, CredentialError};
pub use self::key_id::KeyId;
pub use self::keyring::KeyRing;
use self::link::Links;
pub use self::principal::{Credential, CredentialKind, Principal};
pub use self::required::RequiredClaims;
pub use self::revocations::entries::{Revocation, RevocationError, RevocationList};
pub use self::self_test::{SelfTestError, self_test};
pub use self::session::{SessionError, Sessions};
use self::token::{CompactToken, MAX_TOKEN_BYTES};
use self::verified::VerifiedTokens;
use crate::principal::PrincipalId;

/// An issuer of bearer tokens, with the keys that verify them.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The exact value of the claim `iss`.
    pub name: String,
    /// The audiences that `aud`, or the claim configured in its place, may name. One match is
    /// enough.
    pub audiences: Vec<String>,
    /// Further claims that its tokens must have.
    pub required: RequiredClaims,
    /// The keys that verify tokens of this issuer, and of no other.
    pub keys: KeyRing,
    /// The claims that hold the attributes of its subjects.
    pub claims: AttributeClaims,
    /// The PBXs that its tokens are for; all when `None`.
    pub pbxs: Option<Arc<[String]>>,
}

impl Issuer {
    fn reaches(&self, pbx: &str) -> bool {
        let pbxs = self.pbxs.as_deref();
        pbxs.is_none_or(|pbxs| pbxs.iter().any(|one| one == pbx))
    }
}

/// Authenticates requests and makes principals.
#[derive(Clone, Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    links: Option<Links>,
    cookies: Cookies,
    skew: Duration,
    max_token_bytes: usize,
    verified: VerifiedTokens,
}

/// The result of authenticating a request.
pub(crate) struct AuthenticationResult<'a> {
    pub(crate) caller: Result<Authenticated, CredentialError>,
    /// The names of cookies that are authentic but expired. They count as absent.
    pub(crate) expired: Vec<&'a str>,
}

impl Authenticator {
    /// Makes an authenticator. `skew` is the greatest difference allowed between other clocks and
    /// ours.
    ///
    /// The caller makes sure that no two issuers share a name, and that no issuer has the audience
    /// of links.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>, links: Option<Links>, skew: Duration) -> Self {
        Self {
            issuers,
            links,
            cookies: Cookies::default(),
            skew,
            max_token_bytes: MAX_TOKEN_BYTES,
            verified: VerifiedTokens::new(),
        }
    }

    /// Accepts cookies as well.
    #[must_use]
    pub fn with_cookies(self, cookies: Cookies) -> Self {
        Self { cookies, ..self }
    }

    /// Accepts tokens up to the longest request head, in bytes.
    #[must_use]
    pub fn with_max_token_bytes(self, max_token_bytes: usize) -> Self {
        Self {
            max_token_bytes,
            ..self
        }
    }

    /// The gateway's own sessions, if they are configured.
    pub(crate) fn sessions(&self) -> Option<&Sessions> {
        self.cookies.sessions.as_ref()
    }

    /// Authenticates a request that came from the address `source` at the time `now`.
    ///
    /// The first credential present decides, in this order: the `Authorization` field, `?link=`,
    /// the gateway's own cookie, the cookie of single sign-on.
    ///
    /// # Errors
    /// When there is no credential, or anything about it is wrong. A later credential never makes
    /// up for a wrong one.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        source: IpAddr,
        now: SystemTime,
    ) -> Result<Authenticated, CredentialError> {
        self.authenticate_request(headers, query, false, source, now)
            .caller
    }

    /// Like [`Authenticator::authenticate`]. If `is_visit`, a person is opening a page: a cookie
    /// that is authentic but expired then counts as absent, so that someone who returns the next
    /// day can sign in again instead of being refused.
    pub(crate) fn authenticate_request(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        is_visit: bool,
        source: IpAddr,
        now: SystemTime,
    ) -> AuthenticationResult<'_> {
        let mut expired = Vec::new();
        let clock = Clock::at(now, self.skew);
        let principal = match credential::find(headers, query) {
            Ok(RequestCredential::Bearer(token)) => clock
                .and_then(|clock| self.authenticate_bearer(token, &clock))
                .map_err(CredentialError::Bearer),
            Ok(RequestCredential::Link(token)) => clock
                .and_then(|clock| self.authenticate_link(&unescaped(token), source, &clock))
                .map_err(CredentialError::Link),
            Err(CredentialError::Bearer(AuthError::Missing)) => {
                clock.map_err(CredentialError::Cookie).and_then(|clock| {
                    let expired = is_visit.then_some(&mut expired);
                    self.authenticate_cookie(headers, &clock, expired)
                })
            }
            Err(rejected) => Err(rejected),
        };
        let caller = principal.map(Authenticated::new);
        AuthenticationResult { caller, expired }
    }

    /// Returns true if the request has the gateway's own cookie, whatever its value.
    pub(crate) fn has_session_cookie(&self, headers: &HeaderMap) -> bool {
        self.sessions().is_some() && !matches!(cookies::value(headers, SESSION_COOKIE), Ok(None))
    }

    /// The names of the accepted cookies. The first one present decides.
    fn cookie_names(&self) -> impl Iterator<Item = (&str, Credential)> {
        let own = self
            .sessions()
            .map(|_| (SESSION_COOKIE, Credential::Session));
        let sso = self
            .cookies
            .sso
            .as_deref()
            .map(|name| (name, Credential::Sso));
        own.into_iter().chain(sso)
    }

    /// If `expired` is given, a cookie that is authentic but expired counts as absent, and its name
    /// is added to the list.
    fn authenticate_cookie<'a>(
        &'a self,
        headers: &HeaderMap,
        clock: &Clock,
        mut expired: Option<&mut Vec<&'a str>>,
    ) -> Result<Principal, CredentialError> {
        for (name, credential) in self.cookie_names() {
            let Some(token) = cookies::value(headers, name).map_err(CredentialError::Cookie)?
            else {
                continue;
            };
            let decided = match credential {
                Credential::Session => self.authenticate_session(token, clock),
                _ => self.authenticate_bearer(token, clock),
            };
            if let (Err(AuthError::Expired), Some(expired)) = (&decided, &mut expired) {
                expired.push(name);
                continue;
            }
            let principal = decided.map_err(CredentialError::Cookie)?;
            return Ok(Principal {
                credential,
                ..principal
            });
        }
        Err(CredentialError::Bearer(AuthError::Missing))
    }

    /// Authenticates a session. It is refused if its issuer is no longer configured.
    fn authenticate_session(&self, value: &str, clock: &Clock) -> Result<Principal, AuthError> {
        let sessions = self.sessions().ok_or(AuthError::Missing)?;
        let pbxs_of = |issuer: &str| Ok(self.issuer(issuer)?.pbxs.clone());
        sessions.authenticate(value, clock, self.max_token_bytes, pbxs_of)
    }

    fn authenticate_link(
        &self,
        token: &str,
        source: IpAddr,
        clock: &Clock,
    ) -> Result<Principal, AuthError> {
        let links = self.links.as_ref().ok_or(AuthError::LinksDisabled)?;
        links.authenticate(token, source, clock, self.max_token_bytes)
    }

    /// Reads the claim `iss` before it is verified, but only to choose the keys that must verify
    /// it.
    fn authenticate_bearer(&self, text: &str, clock: &Clock) -> Result<Principal, AuthError> {
        let generation_of = |issuer: &str| {
            let issuer = self.issuer(issuer).ok()?;
            Some(issuer.keys.current().generation)
        };
        if let Some(principal) = self.verified.find(text, clock, generation_of) {
            return Ok(principal);
        }
        let token = CompactToken::decode(text, self.max_token_bytes)?;
        let header = token.header()?;
        let json = token.claims();
        let claims = Claims::parse(json)?;
        let issuer = self.issuer(claims.issuer()?)?;
        let keys = issuer.keys.current();
        keys::verify(&keys.keys, &header, &token).map_err(|error| match keys.is_missing {
            // Without the keys, the token is neither valid nor invalid.
            true => AuthError::KeysUnavailable,
            false => error,
        })?;
        issuer.required.check(&claims, json, &issuer.audiences)?;
        let validity = clock.check(&claims)?;
        let max = max_values(self.max_token_bytes);
        let principal = Principal {
            id: PrincipalId::new(&issuer.name, claims.subject()?),
            credential: Credential::Bearer,
            token_id: claims.token_id()?.map(Arc::from),
            issued_at: validity.issued_at(),
            expires_at: validity.expires_at(),
            attributes: Arc::new(issuer.claims.read(json, issuer.pbxs.as_deref(), max)?),
            pbxs: issuer.pbxs.clone(),
        };
        self.verified
            .insert(text, &principal, validity, keys.generation);
        Ok(principal)
    }

    /// The keys of the issuer that a bearer token names, for a renewal; `None` if the issuer
    /// publishes none. Call it when a token was refused because its key is unknown. The token stands
    /// in the `Authorization` field or in the cookie of single sign-on; cookies in `expired` are
    /// skipped. The gateway's own cookie names no issuer whose keys could help.
    pub(crate) fn keys_to_renew(&self, headers: &HeaderMap, expired: &[&str]) -> Option<KeyRing> {
        let token = match credential::find(headers, None) {
            Ok(RequestCredential::Bearer(token)) => token,
            _ => self.deciding_sso_cookie(headers, expired)?,
        };
        let token = CompactToken::decode(token, self.max_token_bytes).ok()?;
        let claims = Claims::parse(token.claims()).ok()?;
        let issuer = self.issuer(claims.issuer().ok()?).ok()?;
        issuer.keys.is_published().then(|| issuer.keys.clone())
    }

    fn deciding_sso_cookie<'r>(&self, headers: &'r HeaderMap, expired: &[&str]) -> Option<&'r str> {
        let names = self.cookie_names();
        for (name, credential) in names.filter(|(name, _)| !expired.contains(name)) {
            let value = cookies::value(headers, name).ok()?;
            if value.is_some() {
                return value.filter(|_| credential == Credential::Sso);
            }
        }
        None
    }

    /// Returns true if the issuer, or the key of the link, that authenticated `principal` is still
    /// configured and still covers `pbx`. The key itself may have been replaced: that does not
    /// invalidate what the old key signed.
    pub(crate) fn still_accepts(&self, principal: &Principal, pbx: &str) -> bool {
        let issuer = || self.issuer(principal.issuer()).ok();
        let is_issued = || issuer().is_some_and(|issuer| issuer.reaches(pbx));
        match principal.credential() {
            Credential::Bearer => is_issued(),
            Credential::Session => self.sessions().is_some() && is_issued(),
            Credential::Sso => self.cookies.sso.is_some() && is_issued(),
            Credential::Link(_) => self
                .links
                .as_ref()
                .is_some_and(|links| links.has_key_for(principal.issuer(), pbx)),
        }
    }

    /// Returns true if the keys of every issuer have been loaded.
    pub(crate) fn has_keys(&self) -> bool {
        !self.issuers.iter().any(|issuer| issuer.keys.is_missing())
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, AuthError> {
        self.issuers
            .iter()
            .find(|issuer| issuer.name == name)
            .ok_or(AuthError::UnknownIssuer)
    }
}

#[cfg(test)]
mod tests;
