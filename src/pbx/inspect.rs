//! A PBX used once and let go, for an operator who wants to see whether it works.
//!
//! Knows the order of login, ticket, download and logout as the gateway has them, each made once:
//! nothing is tried again unseen. Logins go through the token keeper and so through the history of
//! logins.

use std::future::poll_fn;
use std::sync::Arc;

use super::account::login_report::LoginReport;
use super::account::pbx_token::PbxToken;
use super::account::token_keeper::TokenKeeper;
use super::content::riff::{RiffHeader, Wave};
use super::dialect::Operation;
use super::download::permit::DownloadPermit;
use super::download::recording_request::RecordingRequest;
use super::download::source::Downloads;
use super::download::stream::PbxStream;
use super::download::ticket::Ticket;
use super::error::{PbxError, TimeLimit, TransportError};
use super::listing::Lister;
use super::wire::answer::read_answer;
use super::wire::body_end::{BodyEnd, BodyPart};
use super::wire::time_limit::within;
use super::wire::transport::Transport;
use crate::audit::{Recorded, SystemRead};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// Enough of a recording to tell its format, where no other chunks stand in front of it: headers
/// are far shorter.
const SAMPLE_BYTES: usize = 4 * 1024;

/// A login that lasts as long as the operator looks.
pub(crate) struct Inspection<'p> {
    keeper: &'p TokenKeeper,
    transport: &'p Transport,
    downloads: &'p Downloads,
    lister: &'p Lister,
    token: Arc<PbxToken>,
    permit: DownloadPermit,
}

/// The facts that the beginning of a recording tells.
pub(crate) struct RecordingSample {
    /// By content.
    pub(crate) media_type: &'static str,
    /// The length in bytes that HTTP tells.
    pub(crate) length: Option<u64>,
    /// The format of a WAV file.
    pub(crate) wave: Option<Wave>,
}

impl<'p> Inspection<'p> {
    /// Logs in once, unless earlier refusals forbid it.
    pub(in crate::pbx) async fn begin(
        keeper: &'p Arc<TokenKeeper>,
        transport: &'p Transport,
        downloads: &'p Downloads,
        lister: &'p Lister,
    ) -> Result<Self, PbxError> {
        let token = keeper.token_now().await?;
        // An operator has shown no credential.
        let nobody = PrincipalId::new("", "");
        let permit = DownloadPermit::take(&downloads.permits, &nobody).await;
        Ok(Self {
            keeper,
            transport,
            downloads,
            lister,
            token,
            permit,
        })
    }

    /// The state of the logins to this PBX.
    pub(crate) fn logins(&self) -> LoginReport {
        self.keeper.logins()
    }

    /// Asks for a ticket of a recording that the gateway itself may read.
    pub(crate) async fn ticket(&self, read: &Recorded<SystemRead>) -> Result<Ticket, PbxError> {
        let request = self.request(read.recording());
        self.downloads.tickets.ticket(&self.token, &request).await
    }

    /// Spends the ticket for the first bytes, and lets go of the rest.
    pub(crate) async fn sample(
        &self,
        read: &Recorded<SystemRead>,
        ticket: Ticket,
    ) -> Result<RecordingSample, PbxError> {
        let reading = async {
            let request = self.request(read.recording());
            let Downloads {
                tickets, bandwidth, ..
            } = self.downloads;
            let judged = tickets.spend_ticket(None, &request, ticket).await?;
            let mut stream = PbxStream::new(judged, self.permit.clone(), bandwidth)?;
            let head = read_beginning(&mut stream).await?;
            Ok(RecordingSample {
                media_type: stream.audio().media_type(),
                length: stream.known_end().and_then(BodyEnd::length),
                wave: RiffHeader::read(&head).and_then(|header| header.wave),
            })
        };
        let limit = self.downloads.limits.first_byte_timeout;
        within(limit, Operation::Download, TimeLimit::FirstByte, reading).await
    }

    fn request<'r>(&'r self, recording: &'r RecordingName) -> RecordingRequest<'r> {
        RecordingRequest::new(&*self.downloads.dialect, recording, None, &self.permit)
    }

    /// Asks for the beginning of the list, or for the ticket of one; `None` where the API has none.
    pub(crate) async fn list(&self) -> Option<Result<(), PbxError>> {
        self.lister.probe(&self.token).await
    }

    /// Gives the token back, where the configuration wants that; `None` where it does not.
    pub(crate) async fn log_out(self) -> Option<Result<(), PbxError>> {
        let operation = Operation::Logout;
        let dialect = &self.downloads.dialect;
        let call = dialect.logout(self.token.text())?;
        let answer = self.transport.call(&call).await;
        let given_back = answer
            .map_err(|source| PbxError::Transport { operation, source })
            .and_then(|answer| read_answer(operation, answer, |body| dialect.read_prolong(body)));
        Some(given_back)
    }
}

/// Reads the first bytes; fewer only of a short recording.
async fn read_beginning(stream: &mut PbxStream) -> Result<Vec<u8>, PbxError> {
    let mut head = Vec::new();
    while head.len() < SAMPLE_BYTES || RiffHeader::read(&head).is_some_and(|it| it.reach.is_some())
    {
        match poll_fn(|context| stream.poll_next(context)).await {
            Ok(BodyPart::End(_)) => break,
            Ok(BodyPart::Bytes(bytes)) => head.extend_from_slice(&bytes),
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
