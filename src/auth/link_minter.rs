//! Links that the gateway makes on behalf of a caller.
//!
//! Knows the key that signs them and the limits of that key. Does not know whether the caller may
//! have one.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use url::Url;

use super::mint::{self, MintError, SigningKey};
use crate::recording::RecordingName;

/// Makes links with one configured key.
#[derive(Clone, Debug)]
pub struct Minter {
    /// The signing key. The gateway verifies with the same key.
    pub key: SigningKey,
    /// The audience of links.
    pub audience: String,
    /// The longest lifetime of this key's links, in whole seconds.
    pub max_ttl: Duration,
    /// The PBXs whose recordings the links may open; all when `None`.
    pub pbxs: Option<Vec<String>>,
}

/// The reason why this gateway makes no links at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinksError {
    #[error("links.signing_key is not configured")]
    NoKey,
    #[error("server.public_url is not configured")]
    NoPublicUrl,
}

/// The signing key does not cover this PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of links.signing_key is not for this PBX")]
pub(crate) struct LinkKeyScopeError;

/// The properties of a link to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkRequest<'o> {
    /// The person on whose behalf the recording is heard.
    pub(crate) subject: &'o str,
    pub(crate) pbx: &'o str,
    pub(crate) recording: &'o RecordingName,
    pub(crate) ip: Option<IpAddr>,
    /// In whole seconds.
    pub(crate) ttl: Duration,
}

/// A link with its id and its expiry.
pub(crate) struct MintedLink {
    pub(crate) token: String,
    /// The claim `jti`.
    pub(crate) id: String,
    pub(crate) expires_at: SystemTime,
}

/// The two settings that making links needs.
///
/// # Errors
/// When either is not configured.
pub(crate) fn configured<'c>(
    minter: Option<&'c Minter>,
    public_url: Option<&'c Url>,
) -> Result<(&'c Minter, &'c Url), LinksError> {
    let minter = minter.ok_or(LinksError::NoKey)?;
    Ok((minter, public_url.ok_or(LinksError::NoPublicUrl)?))
}

impl Minter {
    /// Checks that the key covers a PBX.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn require_pbx(&self, pbx: &str) -> Result<(), LinkKeyScopeError> {
        let pbxs = self.pbxs.as_ref();
        let reaches = pbxs.is_none_or(|pbxs| pbxs.iter().any(|allowed| allowed == pbx));
        if reaches {
            Ok(())
        } else {
            Err(LinkKeyScopeError)
        }
    }

    /// Makes a link. The caller has already checked that it is allowed.
    ///
    /// # Errors
    /// When the clock is before 1970 or the crypto library fails.
    pub(crate) fn mint(
        &self,
        order: &LinkRequest<'_>,
        now: SystemTime,
    ) -> Result<MintedLink, MintError> {
        let claims = mint::LinkClaims {
            audience: &self.audience,
            subject: order.subject,
            pbx: order.pbx,
            recording: order.recording,
            ip: order.ip,
        };
        let (token, id) = mint::identified_link(&self.key, &claims, now, order.ttl)?;
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| MintError::Clock)?;
        // The token counts from the whole second in which it was made.
        let ends = Duration::from_secs(since.as_secs()).saturating_add(order.ttl);
        let expires_at = SystemTime::UNIX_EPOCH
            .checked_add(ends)
            .ok_or(MintError::Clock)?;
        Ok(MintedLink {
            token,
            id,
            expires_at,
        })
    }
}
