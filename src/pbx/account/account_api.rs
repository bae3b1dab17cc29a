//! The calls that concern our account on a PBX, and not a recording.
//!
//! Knows how a call is made and read. Does not know when.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{Call, CallOutcome, PbxMetrics};
use crate::pbx::dialect::{AnswerError, Dialect, Operation, PbxCall, Tokens};
use crate::pbx::error::{PbxError, TimeLimit, TransportError};
use crate::pbx::wire::answer::read_answer;
use crate::pbx::wire::call_metrics;
use crate::pbx::wire::transport::Transport;
use crate::secret::Secret;

/// The limit on a login with credentials that the PBX has accepted before: a PBX that starts may
/// take connections and never answer.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);

/// The way in which the account's calls are made. A reload may change it; the token stays.
pub(in crate::pbx) struct AccountApi {
    dialect: Arc<dyn Dialect>,
    transport: Arc<Transport>,
    metrics: Arc<PbxMetrics>,
}

impl AccountApi {
    pub(in crate::pbx) fn new(
        dialect: &Arc<dyn Dialect>,
        transport: &Arc<Transport>,
        metrics: &Arc<PbxMetrics>,
    ) -> Self {
        Self {
            dialect: Arc::clone(dialect),
            transport: Arc::clone(transport),
            metrics: Arc::clone(metrics),
        }
    }

    /// Logs in. `is_accepted` says that the PBX has accepted these credentials before: then a login
    /// without an answer is given up early, and tried again.
    pub(super) async fn log_in(&self, is_accepted: bool) -> Result<Tokens, PbxError> {
        let login = self.dialect.login();
        self.tokens(Operation::Login, &login, is_accepted).await
    }

    /// Exchanges the token for a new one; `None` where the API has no exchange.
    pub(super) async fn refresh(
        &self,
        refresh: &Secret,
        is_accepted: bool,
    ) -> Option<Result<Tokens, PbxError>> {
        let call = self.dialect.refresh(refresh)?;
        Some(self.tokens(Operation::Refresh, &call, is_accepted).await)
    }

    async fn tokens(
        &self,
        operation: Operation,
        call: &PbxCall,
        is_accepted: bool,
    ) -> Result<Tokens, PbxError> {
        let transport = &self.transport;
        let answer = match is_accepted {
            true => {
                transport
                    .call_early(call, LOGIN_LIMIT, TimeLimit::Login)
                    .await
            }
            false => transport.call(call).await,
        };
        let answer = answer.map_err(|source| PbxError::Transport { operation, source });
        let tokens = answer.and_then(|answer| {
            read_answer(operation, answer, |body| self.dialect.read_tokens(body))
        });
        call_metrics::count(&self.metrics, operation, tokens.as_ref().err());
        tokens
    }

    /// Keeps a token alive that nobody uses; `None` where that is not wanted.
    pub(super) async fn prolong(
        &self,
        token: &Secret,
    ) -> Option<Result<Result<(), AnswerError>, TransportError>> {
        let call = self.dialect.prolong(token)?;
        let answer = self.transport.call(&call).await;
        let prolonged = answer.map(|answer| self.dialect.read_prolong(&answer.body));
        self.metrics.called(
            Call::Prolong,
            match &prolonged {
                Ok(Ok(())) => CallOutcome::Done,
                Ok(Err(AnswerError::Refused(_))) => CallOutcome::Refused,
                Ok(Err(AnswerError::Unreadable(_))) => CallOutcome::Unusable,
                Err(_) => CallOutcome::Unanswered,
            },
        );
        Some(prolonged)
    }

    /// Gives a token back, where the configuration wants that.
    pub(super) async fn log_out(&self, token: &Secret) -> Result<(), TransportError> {
        match self.dialect.logout(token) {
            Some(call) => {
                let answer = self.transport.call(&call).await;
                // The answer is not read: the token ends anyhow.
                let outcome = match answer {
                    Ok(_) => CallOutcome::Done,
                    Err(_) => CallOutcome::Unanswered,
                };
                self.metrics.called(Call::Logout, outcome);
                answer.map(drop)
            }
            None => Ok(()),
        }
    }
}
