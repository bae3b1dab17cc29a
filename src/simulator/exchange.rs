//! One request and its answer on an open connection.
//!
//! Knows the web server around the API: delays, redirects, whether a connection stays open, and the
//! faults that strike a request. Does not know the calls of the API.
//!
//! Source: the samples in Yeastar, "S-Series API 2.0", "Heartbeat", show that a connection closes
//! after each answer. Yeastar, "S-Series User Guide", "Service", describes the redirect.

use std::io;
use std::net::IpAddr;

use super::api;
use super::errno::Errno;
use super::fault::{BodyBreak, FaultPlan, Misbehavior};
use super::generation::Api;
use super::p_series;
use super::pbx::{Busy, PbxState, lock};
use super::reply::{RenderedReply, Reply};
use super::request::ParsedRequest;
use super::route::RoutedCall;
use super::switch::Switch;
use super::wire::{ConnectionEnd, Wire};

mod delivery;
mod head;

use delivery::BodyDelivery;
use head::{ReplyFraming, head};

/// The future of a connection after an answer.
pub(super) enum Continuation {
    NextRequest,
    End(ConnectionEnd),
}

/// Answers one request.
///
/// # Errors
///
/// When the connection breaks.
pub(super) async fn exchange(
    pbx: &PbxState,
    wire: &mut Wire,
    request: &ParsedRequest,
    peer: IpAddr,
) -> io::Result<Continuation> {
    let call = RoutedCall::from_path(request.path(), pbx.api, &pbx.switches);
    pbx.ledger.request(call.kind());
    if request.is_head() {
        pbx.ledger.note(|seen| seen.head_requests += 1);
    }
    let recording = downloaded(pbx, call, request);
    let mut plan = lock(&pbx.faults).meet(call.kind(), recording.as_deref());
    if let Some(chaos) = &mut *lock(&pbx.chaos) {
        chaos.add_to(&mut plan, call.is_download());
    }
    delay(pbx, &plan).await;
    // The slot is held until the answer is sent.
    let _slot = match take_slot(pbx, call).await {
        Ok(slot) => slot,
        Err(Busy) => {
            return Exchange { pbx, request, plan }.send(wire, busy(pbx)).await;
        }
    };
    let exchange = Exchange { pbx, request, plan };
    let Some(reply) = exchange.reply(call, peer) else {
        return Ok(Continuation::End(exchange.connection_end()));
    };
    exchange.send(wire, reply).await
}

/// Answers 400 to bytes that are not a request.
pub(super) async fn refuse(pbx: &PbxState, wire: &mut Wire) -> io::Result<()> {
    pbx.ledger.note(|seen| seen.bad_requests += 1);
    let answer = Reply::Page(400).render(&pbx.switches);
    wire.write(&head(
        pbx,
        &answer,
        1,
        ReplyFraming {
            length: None,
            is_chunked: false,
            stays_open: false,
        },
    ))
    .await?;
    wire.write(&answer.body.chunk(0, u64::MAX)).await?;
    wire.flush().await
}

/// The name of the recording that a download asks for; `None` for other calls.
fn downloaded(pbx: &PbxState, call: RoutedCall, request: &ParsedRequest) -> Option<String> {
    match call {
        RoutedCall::Download => Some(request.parameter("recording", &pbx.switches)),
        RoutedCall::PSeries(p_series::PSeriesCall::File) => {
            let resources = lock(&pbx.p_series.resources);
            resources.recording(request.path()).map(str::to_owned)
        }
        _ => None,
    }
}

async fn delay(pbx: &PbxState, plan: &FaultPlan) {
    if let Some(delay) = plan.delay {
        tokio::time::sleep(delay).await;
    }
    if pbx.has(Switch::SlowAnswers) {
        tokio::time::sleep(pbx.answer_delay).await;
    }
}

async fn take_slot(
    pbx: &PbxState,
    call: RoutedCall,
) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Busy> {
    if call.is_download() {
        pbx.slots.take().await
    } else {
        Ok(None)
    }
}

/// The reply to a download for which there is no slot.
fn busy(pbx: &PbxState) -> Reply {
    if pbx.has(Switch::BusyIs503) {
        Reply::Page(503)
    } else {
        p_series::overloaded(pbx)
    }
}

struct Exchange<'a> {
    pbx: &'a PbxState,
    request: &'a ParsedRequest,
    plan: FaultPlan,
}

impl Exchange<'_> {
    /// Finds the reply, with faults applied. `None` closes the connection without a reply.
    fn reply(&self, call: RoutedCall, peer: IpAddr) -> Option<Reply> {
        if let Some(reply) = self.web_server_reply() {
            return Some(reply);
        }
        if self.plan.dead_token && call.spends_ticket() {
            self.kill_token();
        }
        let reply = match &self.plan.replacement {
            None => {
                let reply = api::answer(self.pbx, call, self.request, peer);
                Some(if self.plan.other_range {
                    reply.earlier()
                } else {
                    reply
                })
            }
            Some(misbehavior) => {
                if call.spends_ticket() {
                    // The call is carried out because it spends a ticket. Its own reply is dropped.
                    drop(api::answer(self.pbx, call, self.request, peer));
                }
                replacement_reply(misbehavior, self.pbx)
            }
        };
        if self.plan.dead_token && !call.spends_ticket() {
            self.kill_token();
        }
        reply
    }

    /// The reply of the web server, if it does not pass the request on to the API.
    fn web_server_reply(&self) -> Option<Reply> {
        let host = self.request.field("host").unwrap_or_default();
        if self.pbx.has(Switch::RedirectFromPort80) {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let port = if self.pbx.api.is_cloud() { "" } else { ":8088" };
            return Some(Reply::Redirect(format!(
                "https://{name}{port}{}",
                self.request.target
            )));
        }
        let stranger =
            self.pbx.has(Switch::HostRequired) && !self.pbx.hosts.iter().any(|known| known == host);
        stranger.then_some(Reply::Page(400))
    }

    fn kill_token(&self) {
        let name = if self.pbx.api == Api::PSeries {
            "access_token"
        } else {
            "token"
        };
        let token = self.request.parameter(name, &self.pbx.switches);
        self.pbx.kill_token(&token);
    }

    async fn send(&self, wire: &mut Wire, reply: Reply) -> io::Result<Continuation> {
        let answer = reply.render(&self.pbx.switches);
        let framing = self.framing(&answer);
        wire.write(&head(self.pbx, &answer, self.request.minor, framing))
            .await?;
        let stays_open = framing.stays_open;
        if !self.request.is_head() {
            let ending = BodyDelivery {
                pbx: self.pbx,
                plan: &self.plan,
                answer: &answer,
                is_chunked: framing.is_chunked,
            }
            .run(wire)
            .await?;
            if let Some(ending) = ending {
                return Ok(Continuation::End(self.broken_off(ending)));
            }
        }
        wire.flush().await?;
        Ok(if stays_open {
            Continuation::NextRequest
        } else {
            Continuation::End(self.connection_end())
        })
    }

    fn framing(&self, answer: &RenderedReply) -> ReplyFraming {
        let keep_alive = self.pbx.has(Switch::KeepAlive);
        let is_chunked = self.pbx.has(Switch::DownloadChunked)
            && answer.opened_by.is_some()
            && self.request.minor == 1;
        let announces_length = match self.plan.early_end {
            _ if is_chunked => false,
            Some(BodyBreak::Cut { with_length, .. }) => with_length,
            _ => keep_alive || answer.with_length,
        };
        let closing = self
            .request
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let stays_open = keep_alive
            && (announces_length || is_chunked)
            && !closing
            && self.request.minor == 1
            && !self.plan.no_close_notify;
        ReplyFraming {
            length: announces_length.then(|| answer.body.len()),
            is_chunked,
            stays_open,
        }
    }

    fn connection_end(&self) -> ConnectionEnd {
        if self.plan.no_close_notify || self.pbx.has(Switch::NoCloseNotify) {
            ConnectionEnd::CloseSilently
        } else {
            ConnectionEnd::Close
        }
    }

    fn broken_off(&self, ending: BodyBreak) -> ConnectionEnd {
        match ending {
            BodyBreak::Reset { .. } => ConnectionEnd::Reset,
            BodyBreak::Cut { .. } | BodyBreak::Stall { .. } => self.connection_end(),
        }
    }
}

/// The reply that a scripted fault puts in place of the right one. `None` closes the connection.
fn replacement_reply(misbehavior: &Misbehavior, pbx: &PbxState) -> Option<Reply> {
    match misbehavior {
        Misbehavior::Html { status: 200 } => Some(Reply::LoginPage),
        Misbehavior::Html { status } => Some(Reply::Page(*status)),
        Misbehavior::Status(status) => Some(Reply::Empty(*status)),
        Misbehavior::Errno(errcode) if pbx.api == Api::PSeries => {
            Some(p_series::scripted(errcode, pbx))
        }
        Misbehavior::Errno(errno) => Some(Reply::Failed(Errno::other(errno))),
        Misbehavior::WrongJson => Some(Reply::Json(
            r#"["status",{"status":7,"token":null,"random":[]}]"#,
        )),
        Misbehavior::NotJsonGarbage => Some(Reply::Garbage),
        Misbehavior::HugeJson => Some(Reply::HugeJson),
        Misbehavior::CloseBeforeAnswer
        | Misbehavior::Slow(_)
        | Misbehavior::Throttle { .. }
        | Misbehavior::Cut { .. }
        | Misbehavior::Reset { .. }
        | Misbehavior::Stall { .. }
        | Misbehavior::NoCloseNotify
        | Misbehavior::OtherRange
        | Misbehavior::DeadTokenAfterTicket => None,
    }
}
