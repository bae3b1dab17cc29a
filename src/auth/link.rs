//! Link tokens: a JWT in the query that opens one recording for a short time.
//!
//! Knows what a link token must and may hold besides its signature; [`mint`](super::mint) makes
//! one, and `gateway/links.rs` serves callers who ask for one. Of the request it knows only the
//! source address: the policy checks that the link is used for the recording that it names.
//!
//! A link token has keys and an audience of its own, so that it is never accepted as a bearer
//! token, or the other way round. It needs no `iss`, because its key identifies its issuer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::claims::{Claims, Clock};
use super::error::AuthError;
use super::keys::{self, VerifyingKey};
use super::principal::{Credential, Principal};
use super::token::CompactToken;
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// The issuer of links whose key has no id.
const NAMELESS_ISSUER: &str = "link";

/// The settings by which link tokens are accepted.
#[derive(Clone, Debug)]
pub struct Links {
    /// The required audience. No issuer may have it, or a link would pass for a bearer token.
    pub audience: String,
    /// The longest lifetime of any link.
    pub max_ttl: Duration,
    /// The keys that verify links, and no other tokens.
    pub keys: Vec<LinkKey>,
}

/// A key for links, with its limits.
#[derive(Clone, Debug)]
pub struct LinkKey {
    /// The key itself; its id is the issuer of its links.
    pub key: VerifyingKey,
    /// The PBXs that its links may name; all when `None`.
    pub pbxs: Option<Vec<String>>,
    /// The longest lifetime of its links, if shorter than [`Links::max_ttl`].
    pub max_ttl: Option<Duration>,
}

/// The one recording that a link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkScope {
    pub(super) recording: RecordingName,
    pub(super) pbx: String,
}

impl LinkScope {
    /// The scope of a link for one recording of one PBX.
    pub(crate) fn new(recording: RecordingName, pbx: String) -> Self {
        Self { recording, pbx }
    }

    /// The claim `recording`.
    #[must_use]
    pub fn recording(&self) -> &RecordingName {
        &self.recording
    }

    /// The claim `pbx`: the configured name of a PBX, never empty.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }
}

impl Links {
    /// The longest lifetime of the links of one key: its own limit or the general one, whichever is
    /// shorter.
    #[must_use]
    pub fn max_ttl_of(&self, key: &LinkKey) -> Duration {
        self.max_ttl.min(key.max_ttl.unwrap_or(Duration::MAX))
    }

    /// The issuer of a key's links: the id of the key, or `link` if it has none.
    #[must_use]
    pub fn issuer_of(key: &LinkKey) -> &str {
        key.key.id().unwrap_or(NAMELESS_ISSUER)
    }

    /// Returns true if a key has this issuer name and covers this PBX.
    pub(super) fn has_key_for(&self, issuer: &str, pbx: &str) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| Self::issuer_of(key) == issuer && key.reaches(pbx))
    }

    /// Authenticates a link token that came from the address `source`.
    pub(super) fn authenticate(
        &self,
        token: &str,
        source: IpAddr,
        clock: &Clock,
        max_bytes: usize,
    ) -> Result<Principal, AuthError> {
        let token = CompactToken::decode(token, max_bytes)?;
        let key = keys::verify(&self.keys, &token.header()?, &token)?;
        let claims = Claims::parse(token.claims())?;
        claims.require_audience(&[&self.audience])?;
        let validity = clock.check(&claims)?;
        let max_ttl = self.max_ttl_of(key);
        if clock.lifetime(&validity) > max_ttl {
            let max_s = max_ttl.as_secs();
            return Err(AuthError::LinkTooLong { max_s });
        }
        check_address(&claims, source)?;
        Ok(Principal {
            id: PrincipalId::new(Self::issuer_of(key), claims.subject()?),
            credential: Credential::Link(key.scope(&claims)?),
            token_id: claims.token_id()?.map(Arc::from),
            issued_at: validity.issued_at(),
            expires_at: validity.expires_at(),
            attributes: Arc::default(),
            pbxs: None,
        })
    }
}

impl LinkKey {
    /// Returns true if its links may name a recording of this PBX.
    #[must_use]
    pub fn reaches(&self, pbx: &str) -> bool {
        self.pbxs
            .as_ref()
            .is_none_or(|pbxs| pbxs.iter().any(|allowed| allowed == pbx))
    }

    fn scope(&self, claims: &Claims<'_>) -> Result<LinkScope, AuthError> {
        let recording = claims
            .recording()?
            .parse()
            .map_err(|_| AuthError::Claim("recording"))?;
        let pbx = claims.pbx()?;
        if !self.reaches(pbx) {
            return Err(AuthError::LinkPbx);
        }
        Ok(LinkScope {
            recording,
            pbx: pbx.to_owned(),
        })
    }
}

impl AsRef<VerifyingKey> for LinkKey {
    fn as_ref(&self) -> &VerifyingKey {
        &self.key
    }
}

/// Compares addresses in canonical form: a dual-stack socket reports IPv4 callers as v4-mapped
/// IPv6.
fn check_address(claims: &Claims<'_>, source: IpAddr) -> Result<(), AuthError> {
    let Some(address) = claims.address()? else {
        return Ok(());
    };
    let address: IpAddr = address.parse().map_err(|_| AuthError::Claim("ip"))?;
    if address.to_canonical() == source.to_canonical() {
        Ok(())
    } else {
        Err(AuthError::LinkAddress)
    }
}
