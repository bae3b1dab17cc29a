//! The stages between a principal and a right: the policy decides, and the audit log has the
//! decision on disk before the answer begins.
//!
//! Knows the source of each field of a decision, and hides denials if the configuration says so.
//! Does not know how policies decide or how a line is written.

use std::sync::Arc;

use http::header::RANGE;

use super::active_transfers::ActiveTransfers;
use super::error::GatewayError;
use super::front::Addressed;
use crate::audit::{Allowed, AuditLog, AuditUnavailable, Decision, Recorded};
use crate::auth::Principal;
use crate::auth::link_minter::MintedLink;
use crate::auth::mint::MintError;
use crate::auth::revocations::Revocations;
use crate::limits::rate::Counted;
use crate::pbx::Pbx;
use crate::policy::{Action, Context, Grant, Policy, PolicyError, Viewer};
use crate::recording::RecordingName;
use crate::relay::access_line::AccessLine;

/// The longest `Range` that is written to the audit log. A valid one is far shorter.
const MAX_RANGE_CHARS: usize = 128;

/// The parts that decide on a right and record the decision.
pub(crate) struct Rights {
    pub(crate) policy: Policy,
    /// True if a denied recording is answered as one that does not exist.
    pub(crate) hides_denied: bool,
    pub(crate) audit: AuditLog,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) active: Arc<ActiveTransfers>,
}

impl Rights {
    /// Decides whether a principal may listen to a recording.
    ///
    /// # Errors
    /// If the policy denies it, or the decision cannot be written to the audit log.
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

    /// Decides whether a principal may share a recording, and makes the link. The line of the
    /// decision in the audit log has the id of the link.
    ///
    /// # Errors
    /// If the policy denies it, the link cannot be made, or the decision cannot be written to the
    /// audit log.
    ///
    /// # Cancel safety
    /// Safe: a link whose decision is not in the audit log is never handed out.
    pub(super) async fn share(
        &self,
        principal: Counted<Principal>,
        request: &Addressed<'_>,
        pbx: &Pbx,
        name: &RecordingName,
        line: &mut AccessLine,
        mint: impl FnOnce(&Grant) -> Result<MintedLink, MintError>,
    ) -> Result<MintedLink, GatewayError> {
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
                // The proof ends here: a right to share is no right to read.
                self.allow(decision, grant, line).await?;
                Ok(minted)
            }
            Err(denial) => {
                let error = self.deny(decision, denial).await;
                Err(self.hide(error, pbx, name))
            }
        }
    }

    /// Lets a principal view the list of a PBX. The policy decides again on each row.
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

    /// True if the right was withdrawn since: the principal is revoked, or a newer policy denies
    /// it.
    pub(super) fn is_withdrawn(&self, grant: &Grant) -> bool {
        self.revocations.revokes(grant.principal()) || self.active.denies(grant, &self.policy)
    }

    /// Writes a decision to the audit log, and returns an allowed one once its line is on disk.
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

    /// Writes an allowed decision. The line of the access log later adds the end of the request.
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

    /// Writes a denial, and returns it as the error of the request. If it cannot be written, that
    /// is the error.
    async fn deny(&self, mut decision: Decision, denial: PolicyError) -> GatewayError {
        let policies = denial.policies().iter();
        decision.policies = policies.map(Arc::clone).collect();
        decision.reason = Some(denial.to_string());
        match self.audit.denied(decision).await {
            Ok(()) => denial.into(),
            Err(unavailable) => unavailable.into(),
        }
    }

    /// Hides a denial, if `policy.forbidden_as_not_found` is set: the answer is that of a recording
    /// that does not exist. The PBX is not asked.
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

/// The attributes of the request that policies can use.
pub(super) fn context(request: &Addressed<'_>) -> Context {
    Context {
        source: request.source(),
        now: request.now(),
    }
}

/// The fields of a decision that are known before the policy decides.
fn decision(
    line: &AccessLine,
    request: &Addressed<'_>,
    principal: &Principal,
    action: &'static str,
    recording: Option<&RecordingName>,
) -> Decision {
    let range = request.headers().get(RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let mut decision = Decision {
        id: line.shared_request_id(),
        source: line.source().to_string(),
        issuer: Arc::default(),
        subject: Arc::default(),
        credential: "".into(),
        jti: None,
        action: action.into(),
        method: line.method().into(),
        pbx: Arc::clone(&line.pbx),
        recording: recording.map(RecordingName::shared),
        range: range.map(|range| range.chars().take(MAX_RANGE_CHARS).collect()),
        allowed: false,
        policies: Vec::new(),
        reason: None,
        link: None,
    };
    decision.tell_principal(principal);
    decision
}
