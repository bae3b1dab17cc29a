//! What the admin listener can tell and do, as the composition root gives it.
//!
//! Knows who may have something done: whoever has the token of `admin.token_file`. Does not know what a recording in memory is.

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use thiserror::Error;

use crate::config::secret::Secret;
use crate::recording::{NameError, RecordingName};

/// Tells something as a text.
pub(crate) type Report = Box<dyn Fn() -> String + Send + Sync>;

/// Ends what is held of a PBX's recording. `false` where there is no such PBX.
pub(crate) type Forget = Box<dyn Fn(&str, &RecordingName) -> bool + Send + Sync>;

/// Reports and write calls.
pub(crate) struct Calls {
    /// How the PBXs are doing, as JSON.
    pub(crate) pbxs: Report,
    /// What was counted, as [`crate::metrics::MEDIA_TYPE`].
    pub(crate) metrics: Report,
    pub(crate) forget: Forget,
    /// What keeps the gateway from answering requests, if anything does.
    pub(crate) lacks: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// A recording's name as the log shows it.
    pub(crate) mask: Box<dyn Fn(&RecordingName) -> String + Send + Sync>,
    /// The bearer token of write calls; without one there are none.
    pub(crate) token: ArcSwapOption<Secret>,
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
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
