//! What the admin listener can tell and do, as the composition root gives it.
//!
//! Knows who may have something done: whoever has the token of `admin.token_file`. Does not know what a recording in memory is.

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use thiserror::Error;

use crate::auth::revocations::RevokeError;
use crate::recording::{NameError, RecordingName};
use crate::secret::Secret;

/// Tells something as a text.
pub(crate) type Report = Box<dyn Fn() -> String + Send + Sync>;

/// Ends what is held of a PBX's recording. `false` where there is no such PBX.
pub(crate) type Forget = Box<dyn Fn(&str, &RecordingName) -> bool + Send + Sync>;

/// Puts an entry, as JSON, on the list of what is revoked.
pub(crate) type Revoke = Box<dyn Fn(&str) -> Result<(), RevokeError> + Send + Sync>;

/// Reports and write calls.
pub(crate) struct Calls {
    /// How the PBXs are doing, as JSON.
    pub(crate) pbxs: Report,
    /// What was counted, as [`crate::metrics::MEDIA_TYPE`].
    pub(crate) metrics: Report,
    pub(crate) forget: Forget,
    pub(crate) revoke: Revoke,
    /// What keeps the gateway from answering requests, if anything does.
    pub(crate) lacks: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// A recording's name as the log shows it.
    pub(crate) mask: Box<dyn Fn(&RecordingName) -> String + Send + Sync>,
    /// The bearer token of write calls; without one there are none.
    pub(crate) token: ArcSwapOption<Secret>,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub(super) enum Refused {
    #[error("no write calls: admin.token_file is not configured")]
    NoCalls,
    #[error("the bearer token of admin.token_file is missing")]
    Unauthenticated,
    #[error("not the bearer token of admin.token_file")]
    WrongToken,
    #[error("not a recording's name: {0}")]
    Name(#[from] NameError),
    #[error("no PBX of this name is configured")]
    NoSuchPbx,
    #[error("the body is not application/json")]
    NotJson,
    #[error("the body is longer than 4096 bytes, or did not come whole")]
    Body,
    #[error(transparent)]
    NotRevoked(#[from] RevokeError),
}

impl Calls {
    /// Ends what is held of a recording, if the caller may have that done.
    pub(super) fn forget(
        &self,
        headers: &HeaderMap,
        pbx: &str,
        name: Result<&RecordingName, NameError>,
    ) -> Result<(), Refused> {
        self.authenticate(headers)?;
        match (self.forget)(pbx, name?) {
            true => Ok(()),
            false => Err(Refused::NoSuchPbx),
        }
    }

    /// Revokes what the body says, if the caller may have that done. Blocks on a file.
    pub(super) fn revoke(&self, headers: &HeaderMap, body: Option<&[u8]>) -> Result<(), Refused> {
        self.authenticate(headers)?;
        let media_type = headers
            .get(CONTENT_TYPE)
            .and_then(|field| field.to_str().ok());
        let media_type = media_type.and_then(|field| field.split(';').next());
        if !media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Refused::NotJson);
        }
        let body = str::from_utf8(body.ok_or(Refused::Body)?).map_err(|_| Refused::NotJson)?;
        Ok((self.revoke)(body)?)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let token = self.token.load();
        let token = token.as_deref().ok_or(Refused::NoCalls)?;
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let field = fields.next().ok_or(Refused::Unauthenticated)?;
        let presented = field.to_str().ok().and_then(|field| field.split_once(' '));
        let matches = presented.is_some_and(|(scheme, presented)| {
            let presented = presented.trim_start_matches(' ').as_bytes();
            scheme.eq_ignore_ascii_case("Bearer")
                && verify_slices_are_equal(presented, token.expose()).is_ok()
        });
        if matches && fields.next().is_none() {
            Ok(())
        } else {
            Err(Refused::WrongToken)
        }
    }
}
