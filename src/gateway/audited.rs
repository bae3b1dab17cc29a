//! What the audit log is told of a request.
//!
//! Knows where each field of a decision comes from, and that nothing goes on before it is on disk. Does not know how it is
//! written.

use std::sync::Arc;

use http::header::RANGE;
use http::request;

use super::Gateway;
use super::error::GatewayError;
use super::links::Shared;
use crate::audit::{Audio, Decision};
use crate::auth::Principal;
use crate::cache::Metadata;
use crate::policy::{Grant, PolicyError, Viewer};
use crate::recording::RecordingName;
use crate::relay::access_line::AccessLine;

/// A range is the caller's word; a real one is far shorter.
const MAX_RANGE_CHARS: usize = 128;

/// The positive decisions that there are.
pub(super) trait Granted {
    /// The ids of the policies that made it.
    fn policies(&self) -> Vec<String>;
}

impl Granted for Grant {
    fn policies(&self) -> Vec<String> {
        ids(Self::policies(self))
    }
}

impl Granted for Shared {
    fn policies(&self) -> Vec<String> {
        ids(self.grant.policies())
    }
}

impl Granted for Viewer<'_> {
    fn policies(&self) -> Vec<String> {
        Vec::new()
    }
}

fn ids(policies: &[Arc<str>]) -> Vec<String> {
    policies.iter().map(|id| id.as_ref().to_owned()).collect()
}

/// What is known of a request before it is decided on.
pub(super) fn decision(
    line: &AccessLine,
    head: &request::Parts,
    principal: &Principal,
    action: &str,
    recording: Option<&RecordingName>,
) -> Decision {
    let range = head
        .headers
        .get(RANGE)
        .and_then(|range| range.to_str().ok());
    Decision {
        id: line.request_id().to_owned(),
        source: line.source().to_string(),
        issuer: line.issuer.clone(),
        subject: line.subject.clone(),
        credential: line.credential.to_owned(),
        jti: principal.token_id().map(str::to_owned),
        action: action.to_owned(),
        method: line.method().to_owned(),
        pbx: line.pbx.clone(),
        recording: recording.map(|name| name.as_str().to_owned()),
        range: range.map(|range| range.chars().take(MAX_RANGE_CHARS).collect()),
        allowed: false,
        policies: Vec::new(),
        reason: None,
        link: None,
    }
}

impl Gateway {
    /// Writes down what was decided, and hands it on once that is on disk. What becomes of an allowed request is written with
    /// its line in the access log.
    ///
    /// # Errors
    /// The denial; or that it cannot be written down.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn written<T: Granted>(
        &self,
        mut decision: Decision,
        decided: Result<T, PolicyError>,
        line: &mut AccessLine,
    ) -> Result<T, GatewayError> {
        match decided {
            Ok(granted) => {
                decision.allowed = true;
                decision.policies = granted.policies();
                line.audit = self.audit.allowed(decision).await?;
                Ok(granted)
            }
            Err(denied) => {
                decision.policies = ids(denied.policies());
                decision.reason = Some(denied.to_string());
                self.audit.denied(decision).await?;
                Err(denied.into())
            }
        }
    }
}

/// Where the audio stands in a recording, as far as its header tells. Where the length in the header is not
/// the recording's, it is of an earlier state of it, as while it was being written, and nobody knows where the audio ends.
pub(super) fn audio(metadata: &Metadata) -> Option<Audio> {
    let wave = metadata.wave.as_ref()?;
    let begin = wave.data_offset()?;
    let end = wave
        .data_bytes()
        .filter(|_| metadata.told_length().is_some())
        .map(|bytes| begin.saturating_add(bytes.into()));
    Some(Audio {
        begin,
        end,
        bytes_per_second: wave.bytes_per_second(),
    })
}
