//! A request for a recording, once it is allowed: what of it is wanted, whether it is wanted at all, and from where.
//!
//! Knows the order: what is known already, then a tape or the PBX, then the range. Does not know how any of them works.

mod asked;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Response, StatusCode, request};
use tokio::time::timeout;

use super::Gateway;
use super::downstream::Downstream;
use super::error::GatewayError;
use crate::auth::Credential;
use crate::auth::policy::Grant;
use crate::metrics::Hit;
use crate::pbx::{Pbx, ReadingError};
use crate::relay::{RelayBody, StreamPermit};
use crate::response::AnswerBody;
use crate::response::headers::{self, Body};
use crate::tape::{Facts, PartOf, Source, TapeError};
use crate::telemetry::AccessLine;
use asked::{Asked, Choice, Found};

/// Openings of a recording for one request: a tape may end just as somebody comes to it, or turn out to be of an earlier
/// content.
const OPENINGS: u32 = 3;

/// What a request for a recording comes to.
pub(super) struct Prepared {
    grant: Grant,
    permit: StreamPermit,
    facts: Arc<Facts>,
    last_modified: Option<SystemTime>,
    content: Content,
}

enum Content {
    NotModified,
    /// The header fields alone.
    Head(Body),
    Bytes(Body, Box<Source>),
}

/// Why an opening of a recording came to nothing.
enum Lost {
    /// The bytes are wanted that were read, and thrown away, to learn the length.
    Spent(Arc<Facts>),
    /// What was there has ended, or is not what the PBX has any more.
    Gone(TapeError),
    /// Another opening would not change it.
    Failed(GatewayError),
}

impl Gateway {
    /// Finds out what to answer, and from where.
    ///
    /// # Cancel safety
    /// Safe: everything taken is given back.
    pub(super) async fn recording(
        &self,
        pbx: &Arc<Pbx>,
        grant: Grant,
        head: &request::Parts,
        now: SystemTime,
    ) -> Result<Prepared, GatewayError> {
        let permit = self.admission.admit(&grant.principal().id())?;
        let asked = Asked::new(head, grant.recording(), now);
        let known = self.tapes.known(pbx, grant.recording());
        let answered = match &known {
            Some(facts) if !self.waits(&asked, facts) => {
                let content = asked.without_bytes(facts)?;
                content.map(|content| (Arc::clone(facts), content))
            }
            _ => None,
        };
        let (facts, content) = match answered {
            Some(answered) => {
                self.metrics.hit(Hit::Known);
                answered
            }
            None => {
                let _waiting = pbx.wait()?;
                self.content(pbx, &grant, &asked, known).await?
            }
        };
        Ok(Prepared {
            last_modified: asked.last_modified_of(&facts),
            grant,
            permit,
            facts,
            content,
        })
    }

    /// Opens the recording, and opens it anew where what was found is gone.
    async fn content(
        &self,
        pbx: &Arc<Pbx>,
        grant: &Grant,
        asked: &Asked<'_>,
        known: Option<Arc<Facts>>,
    ) -> Result<(Arc<Facts>, Content), GatewayError> {
        let mut part = known.and_then(|facts| asked.part_of(facts));
        let (mut before, mut learned) = (None, None);
        let mut last = ReadingError::Differs.into();
        for _ in 0..OPENINGS {
            let mut source = self.open(pbx, grant, part.take()).await?;
            if let Some(facts) = &before {
                source.expect(facts);
            }
            match self.choose(grant, asked, source, &mut learned).await {
                Ok(chosen) => return Ok(chosen),
                Err(Lost::Spent(facts)) => before = Some(facts),
                Err(Lost::Gone(error)) => {
                    (before, learned) = (None, None);
                    last = error;
                }
                Err(Lost::Failed(error)) => return Err(error),
            }
        }
        Err(last.into())
    }

    /// Chooses what to send of a recording that is open. `learned` is its length where only this request knows it.
    async fn choose(
        &self,
        grant: &Grant,
        asked: &Asked<'_>,
        mut source: Source,
        learned: &mut Option<u64>,
    ) -> Result<(Arc<Facts>, Content), Lost> {
        let mut may_wait = true;
        loop {
            let facts = source.facts().await?;
            if std::mem::take(&mut may_wait) && self.waits(asked, &facts) {
                self.read_on(grant, &mut source, None).await?;
                if let Ok(length) = timeout(self.range_wait, source.learn_length()).await {
                    *learned = Some(length?);
                }
                continue;
            }
            let body = match asked.select(&facts, *learned)? {
                Choice::NotModified => return Ok((facts, Content::NotModified)),
                Choice::Send(body) if asked.head_only => return Ok((facts, Content::Head(body))),
                Choice::Send(_) | Choice::Open(_) if source.is_spent() => {
                    return Err(Lost::Spent(facts));
                }
                Choice::Send(body) => body,
                Choice::Open(wanted) => {
                    self.read_on(grant, &mut source, None).await?;
                    match asked.part_of_unknown(&mut source, wanted).await? {
                        Found::Part(body) => body,
                        Found::Length(length) => {
                            *learned = Some(length);
                            continue;
                        }
                    }
                }
            };
            let (offset, end) = match body {
                Body::Whole(length) => (0, length),
                Body::Part { first, last, .. } => (first, Some(last.saturating_add(1))),
            };
            self.read_on(grant, &mut source, end).await?;
            source.go_to(offset, end);
            return Ok((facts, Content::Bytes(body, Box::new(source))));
        }
    }

    /// Whether to wait for the length before anything is answered.
    fn waits(&self, asked: &Asked<'_>, facts: &Facts) -> bool {
        !self.range_wait.is_zero() && asked.depends_on_length(facts)
    }

    /// What is there of the recording, or a new reading of it: of no more than the `part` where that can be.
    async fn open(
        &self,
        pbx: &Arc<Pbx>,
        grant: &Grant,
        part: Option<PartOf>,
    ) -> Result<Source, GatewayError> {
        let name = grant.recording();
        if let Some(source) = self.tapes.find(pbx, name)? {
            let hit = source.hit();
            hit.into_iter().for_each(|hit| self.metrics.hit(hit));
            return Ok(source);
        }
        self.count_read(grant)?;
        let owner = grant.principal().id();
        Ok(self.tapes.open(pbx, name, &owner, part).await?)
    }

    /// Counts a recording that is about to be read from its PBX anew.
    fn count_read(&self, grant: &Grant) -> Result<(), GatewayError> {
        let counted = self.reads.check(&grant.principal().id());
        counted.map_err(|retry_after| GatewayError::RateLimited { retry_after })
    }

    /// Has a tape read on that was stopped, where the bytes up to `end`, or to the end of the recording, are wanted.
    async fn read_on(
        &self,
        grant: &Grant,
        source: &mut Source,
        end: Option<u64>,
    ) -> Result<(), Lost> {
        if !self.tapes.lacks(source, end) {
            return Ok(());
        }
        self.count_read(grant)?;
        match self.tapes.go_on(source, &grant.principal().id()).await {
            // Nothing of the old content has been sent yet.
            Err(error @ TapeError::Broken(ReadingError::Differs)) => Err(Lost::Gone(error)),
            gone_on => Ok(gone_on?),
        }
    }
}

impl From<GatewayError> for Lost {
    fn from(error: GatewayError) -> Self {
        Self::Failed(error)
    }
}

impl From<TapeError> for Lost {
    fn from(error: TapeError) -> Self {
        match error {
            TapeError::Ended(_) => Self::Gone(error),
            error => Self::Failed(error.into()),
        }
    }
}

/// The answer to a request for a recording.
pub(super) fn relay(
    head: &request::Parts,
    prepared: Prepared,
    mut line: AccessLine,
    downstream: &Downstream,
    idle_timeout: Duration,
) -> Response<AnswerBody> {
    let Prepared {
        grant,
        permit,
        facts,
        last_modified,
        content,
    } = prepared;
    let mut response = Response::new(AnswerBody::Absent);
    let by_link = matches!(grant.principal().credential(), Credential::Link(_));
    let etag = facts.etag.as_ref();
    let body = match &content {
        Content::NotModified => None,
        Content::Head(body) | Content::Bytes(body, _) => Some(*body),
    };
    *response.status_mut() = match body {
        None => StatusCode::NOT_MODIFIED,
        Some(Body::Whole(_)) => StatusCode::OK,
        Some(Body::Part { .. }) => StatusCode::PARTIAL_CONTENT,
    };
    line.status = response.status().as_u16();
    let fields = response.headers_mut();
    match body {
        None => headers::fill_not_modified(fields, etag, last_modified, by_link),
        Some(body) => headers::fill(
            fields,
            &headers::Recording {
                name: grant.recording(),
                media_type: facts.media_type(),
                body,
                etag,
                last_modified,
                download: wants_download(head),
                by_link,
            },
        ),
    }
    if let Content::Bytes(body, source) = content {
        let watchdog = &downstream.watchdog;
        let body = RelayBody::new(*source, body.length(), permit, line, idle_timeout, watchdog);
        *response.body_mut() = AnswerBody::Recording(body);
    } else {
        line.outcome = "complete";
    }
    response
}

fn wants_download(head: &request::Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    query.split('&').any(|parameter| parameter == "download=1")
}
