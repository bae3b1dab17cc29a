//! A PBX used once and let go, for somebody who wants to see whether it works.
//!
//! Knows the order of login, ticket, download and logout as the gateway has them, each made once: nothing is tried
//! again behind the back of whoever looks. Logins go through the token keeper and so through the history of logins.

use std::sync::Arc;

use super::answer::read_answer;
use super::dialect::Operation;
use super::stream::{Part, PbxStream};
use super::ticket::Ticket;
use super::token::{Logins, PbxToken};
use super::wave::{self, Wave};
use super::{Pbx, PbxError, TransportError, within};
use crate::audit::{Recorded, SystemRead};
use crate::principal::PrincipalId;

/// Enough of a recording to tell its format, where no other chunks stand in front of it: headers are far shorter.
const SAMPLE_BYTES: usize = 4 * 1024;

/// A login that lasts as long as somebody looks.
pub(crate) struct Session<'p> {
    pbx: &'p Pbx,
    token: Arc<PbxToken>,
}

/// What the beginning of a recording tells.
pub(crate) struct Sample {
    /// By content.
    pub(crate) media_type: &'static str,
    /// The length in bytes that HTTP tells.
    pub(crate) length: Option<u64>,
    /// The format of a WAV file.
    pub(crate) wave: Option<Wave>,
}

impl Pbx {
    /// Logs in once, unless earlier refusals forbid it.
    ///
    /// # Errors
    /// How that went, or why it was not tried.
    pub(crate) async fn log_in(&self) -> Result<Session<'_>, PbxError> {
        let token = self.keeper.token_now().await?;
        Ok(Session { pbx: self, token })
    }
}

impl Session<'_> {
    /// How the logins to this PBX stand.
    pub(crate) fn logins(&self) -> Logins {
        self.pbx.keeper.logins()
    }

    /// Asks for a ticket of a recording that the gateway itself may read.
    pub(crate) async fn ticket(&self, read: &Recorded<SystemRead>) -> Result<Ticket, PbxError> {
        let operation = Operation::Ticket;
        let pbx = self.pbx;
        let asking = async {
            let mut connection = pbx.connected(None, operation).await?;
            pbx.take_ticket(&mut connection, &self.token, &pbx.audio(read.recording()))
                .await
        };
        within(
            pbx.config.limits.answer_timeout,
            operation,
            "answer",
            asking,
        )
        .await
    }

    /// Spends the ticket for the first bytes, and lets go of the rest.
    pub(crate) async fn sample(
        &self,
        read: &Recorded<SystemRead>,
        ticket: Ticket,
    ) -> Result<Sample, PbxError> {
        let operation = Operation::Download;
        let pbx = self.pbx;
        let permit = pbx.standing.downloads.take(&nobody()).await;
        let reading = async {
            let audio = pbx.audio(read.recording());
            let fetched = pbx.spend_ticket(None, &self.token, &audio, ticket).await?;
            let mut stream = pbx.stream(fetched, &self.token, &Arc::new(permit))?;
            let head = beginning(&mut stream).await?;
            Ok(Sample {
                media_type: stream.audio().media_type(),
                length: stream.length(),
                wave: wave::read(&head),
            })
        };
        let limit = pbx.config.limits.first_byte_timeout;
        within(limit, operation, "first byte", reading).await
    }

    /// Asks for the beginning of the list, or for the ticket of one; `None` where the API has none.
    pub(crate) async fn list(&self) -> Option<Result<(), PbxError>> {
        self.pbx.try_list(&self.token).await
    }

    /// Gives the token back, where the configuration wants that; `None` where it does not.
    pub(crate) async fn log_out(self) -> Option<Result<(), PbxError>> {
        let operation = Operation::Logout;
        let call = self.pbx.dialect.logout(self.token.text())?;
        let answer = self.pbx.transport.call(&call).await;
        let given_back = answer
            .map_err(|source| PbxError::Transport { operation, source })
            .and_then(|answer| {
                read_answer(operation, answer, |body| {
                    self.pbx.dialect.read_prolong(body)
                })
            });
        Some(given_back)
    }
}

/// Whoever looks has shown no credential.
fn nobody() -> PrincipalId {
    PrincipalId::new("", "")
}

/// The first bytes; fewer only of a short recording.
async fn beginning(stream: &mut PbxStream) -> Result<Vec<u8>, PbxError> {
    let mut head = Vec::new();
    while head.len() < SAMPLE_BYTES || wave::reach(&head).is_some() {
        match std::future::poll_fn(|context| stream.poll_next(context)).await {
            Ok(Part::End(_)) => break,
            Ok(Part::Bytes(bytes)) => head.extend_from_slice(&bytes),
            Err(error) => {
                return Err(PbxError::Transport {
                    operation: Operation::Download,
                    source: TransportError::Broken(error.to_string()),
                });
            }
        }
    }
    Ok(head)
}
