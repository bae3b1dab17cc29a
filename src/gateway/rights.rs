//! The stages between a principal and a right: a policy decides, and the audit log has the decision on disk before anything
//! is answered.
//!
//! Knows where each field of a decision comes from, and that a denial may have to look like a recording that does not
//! exist. Does not know how policies decide or how a line is written.

use std::sync::Arc;

use http::header::RANGE;

use super::active_transfers::ActiveTransfers;
use super::error::GatewayError;
use super::front::Addressed;
use crate::audit::{Allowed, AuditLog, AuditUnavailable, Decision, Recorded};
use crate::auth::Principal;
use crate::auth::mint::MintError;
use crate::auth::minter::MintedLink;
use crate::auth::revocations::Revocations;
use crate::limits::rate::Counted;
use crate::pbx::Pbx;
use crate::policy::{Action, Context, Grant, Policy, PolicyError, Viewer};
use crate::recording::RecordingName;
use crate::relay::access_line::AccessLine;

/// A range is the caller's word; a real one is far shorter.
const MAX_RANGE_CHARS: usize = 128;

/// What decides who may do what, and keeps the record of it.
pub(crate) struct Rights {
    pub(crate) policy: Policy,
    /// Whether a recording that is denied is answered as one that does not exist.
    pub(crate) hides_denied: bool,
    pub(crate) audit: AuditLog,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) active: Arc<ActiveTransfers>,
}

impl Rights {
    /// Decides whether a principal may listen to a recording.
    ///
    /// # Errors
    /// The denial; or that the decision cannot be written down.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn listen(
        &self,
        principal: Counted<Principal>,
        request: &Addressed<'_>,
        pbx: &Pbx,
        name: &RecordingName,
        line: &mut AccessLine,
    ) -> Result<Recorded<Grant>, GatewayError> {
        let decision = decision(line, request, &principal, "listen", Some(name));
        let action = Action::Listen;
        let context = context(request);
        let decided = self
            .policy
            .authorize(principal, action, pbx.name(), name.clone(), &context);
        let recorded = self.record(decision, decided, line).await;
        recorded.map_err(|error| self.hide(error, pbx, name))
    }

    /// Decides whether a principal may share a recording, and has the link made that the decision is written down with.
    ///
    /// # Errors
    /// The denial; that no link can be made; or that the decision cannot be written down.
    ///
    /// # Cancel safety
    /// Safe: a link whose decision is not written down is not handed out.
    pub(super) async fn share(
        &self,
        principal: Counted<Principal>,
        request: &Addressed<'_>,
        pbx: &Pbx,
        name: &RecordingName,
        line: &mut AccessLine,
        mint: impl FnOnce(&Grant) -> Result<MintedLink, MintError>,
    ) -> Result<(Recorded<Grant>, MintedLink), GatewayError> {
        let mut decision = decision(line, request, &principal, "share", Some(name));
        let action = Action::Share;
        let context = context(request);
        let authorized =
            self.policy
                .authorize(principal, action, pbx.name(), name.clone(), &context);
        match authorized {
            Ok(grant) => {
                let minted = mint(&grant)?;
                decision.link = Some(minted.id.clone());
                Ok((self.allow(decision, grant, line).await?, minted))
            }
            Err(denial) => {
                let error = self.deny(decision, denial).await;
                Err(self.hide(error, pbx, name))
            }
        }
    }

    /// Lets a principal look at the list of a PBX, row by row.
    ///
    /// # Errors
    /// As for [`Rights::listen`].
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn view(
        &self,
        principal: Counted<Principal>,
        request: &Addressed<'_>,
        pbx: &Pbx,
        line: &mut AccessLine,
    ) -> Result<Recorded<Viewer<'_>>, GatewayError> {
        let decision = decision(line, request, &principal, "list", None);
        let viewer = self.policy.view(principal, pbx.name(), &context(request));
        self.record(decision, viewer, line).await
    }

    /// True where the right has gone since: the principal was revoked, or newer policies deny it.
    pub(super) fn is_withdrawn(&self, grant: &Grant) -> bool {
        self.revocations.revokes(grant.principal()) || self.active.denies(grant, &self.policy)
    }

    /// Writes a decision down, and hands a positive one on once its line is on disk.
    async fn record<T: Allowed>(
        &self,
        decision: Decision,
        decided: Result<T, PolicyError>,
        line: &mut AccessLine,
    ) -> Result<Recorded<T>, GatewayError> {
        match decided {
            Ok(allowed) => Ok(self.allow(decision, allowed, line).await?),
            Err(denial) => Err(self.deny(decision, denial).await),
        }
    }

    /// Writes down what is allowed. How the request ends is written down with its line in the access log.
    async fn allow<T: Allowed>(
        &self,
        decision: Decision,
        allowed: T,
        line: &mut AccessLine,
    ) -> Result<Recorded<T>, AuditUnavailable> {
        let (recorded, entry) = self.audit.record(decision, allowed).await?;
        line.audit = entry;
        Ok(recorded)
    }

    /// Writes a denial down, and returns it as the error of the request; or that it cannot be written down.
    async fn deny(&self, mut decision: Decision, denial: PolicyError) -> GatewayError {
        let policies = denial.policies().iter();
        decision.policies = policies.map(|id| id.as_ref().to_owned()).collect();
        decision.reason = Some(denial.to_string());
        match self.audit.denied(decision).await {
            Ok(()) => denial.into(),
            Err(unavailable) => unavailable.into(),
        }
    }

    /// Makes a denial look as if there were no such recording, where the configuration wants that. The PBX is not asked.
    fn hide(&self, error: GatewayError, pbx: &Pbx, name: &RecordingName) -> GatewayError {
        match error {
            GatewayError::Policy(denial) if self.hides_denied && denial.is_denial() => {
                let young = pbx.is_young(name);
                GatewayError::Hidden { denial, young }
            }
            error => error,
        }
    }
}

/// What policies may ask about the request itself.
pub(super) fn context(request: &Addressed<'_>) -> Context {
    Context {
        source: request.source(),
        now: request.now(),
    }
}

/// What is known of a request before it is decided on.
fn decision(
    line: &AccessLine,
    request: &Addressed<'_>,
    principal: &Principal,
    action: &str,
    recording: Option<&RecordingName>,
) -> Decision {
    let range = request.headers().get(RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let mut decision = Decision {
        id: line.request_id().to_owned(),
        source: line.source().to_string(),
        issuer: String::new(),
        subject: String::new(),
        credential: String::new(),
        jti: None,
        action: action.to_owned(),
        method: line.method().to_owned(),
        pbx: line.pbx.clone(),
        recording: recording.map(|name| name.as_str().to_owned()),
        range: range.map(|range| range.chars().take(MAX_RANGE_CHARS).collect()),
        allowed: false,
        policies: Vec::new(),
        reason: None,
        link: None,
    };
    decision.tell_principal(principal);
    decision
}
