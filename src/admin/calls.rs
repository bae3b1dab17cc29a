//! The reports and calls of the admin listener, as the composition root gives them.
//!
//! Knows who may make a call: a caller with the token of `admin.token_file`. Does not know the
//! cache or the list of revocations.

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use thiserror::Error;

use crate::auth::revocations::RevokeError;
use crate::metrics::TextFormat;
use crate::recording::{NameError, RecordingName};
use crate::secret::Secret;

/// Makes a report as a text.
pub(crate) type TextReport = Box<dyn Fn() -> String + Send + Sync>;

/// Deletes a PBX's recording from the cache. Returns `false` where there is no such PBX.
pub(crate) type ForgetCall = Box<dyn Fn(&str, &RecordingName) -> bool + Send + Sync>;

/// Adds an entry, given as JSON, to the list of revocations.
pub(crate) type RevokeCall = Box<dyn Fn(&str) -> Result<(), RevokeError> + Send + Sync>;

/// The reports and the write calls.
pub(crate) struct AdminCalls {
    /// The state of the PBXs, as JSON.
    pub(crate) pbxs: TextReport,
    /// The metrics in this form.
    pub(crate) metrics: Box<dyn Fn(TextFormat) -> String + Send + Sync>,
    pub(crate) forget: ForgetCall,
    pub(crate) revoke: RevokeCall,
    /// The reason why the gateway cannot answer requests now, if there is one.
    pub(crate) lacks: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// The recording's name as the log shows it.
    pub(crate) mask: Box<dyn Fn(&RecordingName) -> String + Send + Sync>,
    /// The bearer token of write calls; without a token every write call is refused.
    pub(crate) token: ArcSwapOption<Secret>,
}

/// Why a write call was refused.
#[derive(Debug, Error)]
pub(super) enum CallError {
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

impl AdminCalls {
    /// Deletes a recording from the cache, if the caller has the token.
    pub(super) fn forget(
        &self,
        headers: &HeaderMap,
        pbx: &str,
        name: Result<&RecordingName, NameError>,
    ) -> Result<(), CallError> {
        self.authenticate(headers)?;
        match (self.forget)(pbx, name?) {
            true => Ok(()),
            false => Err(CallError::NoSuchPbx),
        }
    }

    /// Revokes the entry in the body, if the caller has the token. Blocks on a file.
    pub(super) fn revoke(&self, headers: &HeaderMap, body: Option<&[u8]>) -> Result<(), CallError> {
        self.authenticate(headers)?;
        let media_type = headers
            .get(CONTENT_TYPE)
            .and_then(|field| field.to_str().ok());
        let media_type = media_type.and_then(|field| field.split(';').next());
        if !media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json")) {
            return Err(CallError::NotJson);
        }
        let body = str::from_utf8(body.ok_or(CallError::Body)?).map_err(|_| CallError::NotJson)?;
        Ok((self.revoke)(body)?)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<(), CallError> {
        let token = self.token.load();
        let token = token.as_deref().ok_or(CallError::NoCalls)?;
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let field = fields.next().ok_or(CallError::Unauthenticated)?;
        let presented = field.to_str().ok().and_then(|field| field.split_once(' '));
        let matches = presented.is_some_and(|(scheme, presented)| {
            let presented = presented.trim_start_matches(' ').as_bytes();
            scheme.eq_ignore_ascii_case("Bearer")
                && verify_slices_are_equal(presented, token.expose()).is_ok()
        });
        if matches && fields.next().is_none() {
            Ok(())
        } else {
            Err(CallError::WrongToken)
        }
    }
}
