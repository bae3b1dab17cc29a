//! Links made by the gateway itself, on behalf of a caller.
//!
//! Knows which key signs them and what that key's links may be. Does not know whether the caller may have one.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use url::Url;

use super::mint::{self, MintError, SigningKey};
use crate::recording::RecordingName;

/// Makes links with one key of the configuration.
#[derive(Clone, Debug)]
pub struct Minter {
    /// What signs; the gateway verifies with the same key.
    pub key: SigningKey,
    /// The audience of links.
    pub audience: String,
    /// The longest life of this key's links, in whole seconds.
    pub max_ttl: Duration,
    /// The PBXs whose recordings they may open; all when `None`.
    pub pbxs: Option<Vec<String>>,
}

/// Why no link is made, whoever asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinksError {
    #[error("links.signing_key is not configured")]
    NoKey,
    #[error("server.public_url is not configured")]
    NoPublicUrl,
}

/// Why no link is made to the recordings of a PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of links.signing_key is not for this PBX")]
pub(crate) struct LinkKeyScopeError;

/// What a link is to be good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkRequest<'o> {
    /// On whose behalf the recording is heard.
    pub(crate) subject: &'o str,
    pub(crate) pbx: &'o str,
    pub(crate) recording: &'o RecordingName,
    pub(crate) ip: Option<IpAddr>,
    /// In whole seconds.
    pub(crate) ttl: Duration,
}

/// A link, and when it ends.
pub(crate) struct MintedLink {
    pub(crate) token: String,
    /// The claim `jti`.
    pub(crate) id: String,
    pub(crate) expires_at: SystemTime,
}

/// All that making links takes.
///
/// # Errors
/// When the configuration lacks a part of it.
pub(crate) fn configured<'c>(
    minter: Option<&'c Minter>,
    public_url: Option<&'c Url>,
) -> Result<(&'c Minter, &'c Url), LinksError> {
    let minter = minter.ok_or(LinksError::NoKey)?;
    Ok((minter, public_url.ok_or(LinksError::NoPublicUrl)?))
}

impl Minter {
    /// Refuses a PBX whose recordings its links must not name.
    ///
    /// # Errors
    /// When it is such a PBX.
    pub(crate) fn require_pbx(&self, pbx: &str) -> Result<(), LinkKeyScopeError> {
        let pbxs = self.pbxs.as_ref();
        let reaches = pbxs.is_none_or(|pbxs| pbxs.iter().any(|allowed| allowed == pbx));
        if reaches {
            Ok(())
        } else {
            Err(LinkKeyScopeError)
        }
    }

    /// Makes a link. The caller has seen to it that it may be made.
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
        // As the token has it: from the second in which it was made.
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
