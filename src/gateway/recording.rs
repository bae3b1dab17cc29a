//! A request for a recording, once it is allowed: what of it is wanted, whether it is wanted at all, and from where.
//!
//! Knows the order: what is known already, then a tape or the PBX, then the range. Does not know how any of them works.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, Response, StatusCode, Version, request};
use tokio::time::timeout;

use super::Gateway;
use super::downstream::Downstream;
use super::error::GatewayError;
use crate::auth::Credential;
use crate::auth::policy::Grant;
use crate::metrics::Hit;
use crate::pbx::{Pbx, ReadingError};
use crate::relay::conditions::{self, Evaluation, Validators};
use crate::relay::range::{self, Selection, Wanted};
use crate::relay::{RelayBody, StreamPermit};
use crate::response::AnswerBody;
use crate::response::headers::{self, Body};
use crate::tape::{Facts, Source, TapeError};
use crate::telemetry::AccessLine;

/// Openings of a recording for one request: a tape may end just as somebody comes to it.
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

/// What is asked of a recording.
struct Asked<'r> {
    head: &'r request::Parts,
    head_only: bool,
    now: SystemTime,
    last_modified: Option<SystemTime>,
}

/// What that is of a recording.
enum Choice {
    NotModified,
    Send(Body),
    /// It depends on the length, which is not known.
    Open(Wanted),
}

/// What is found out about a recording of unknown length.
enum Found {
    Part(Body),
    Length(u64),
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
        let asked = Asked {
            head,
            head_only: head.method == Method::HEAD,
            now,
            last_modified: conditions::last_modified(grant.recording(), now),
        };
        let known = self.tapes.known(pbx, grant.recording());
        let answered = match known {
            Some(facts) if !self.waits(&asked, &facts) => {
                let content = asked.without_bytes(&facts)?;
                content.map(|content| (facts, content))
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
                self.content(pbx, &grant, &asked).await?
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

    async fn content(
        &self,
        pbx: &Arc<Pbx>,
        grant: &Grant,
        asked: &Asked<'_>,
    ) -> Result<(Arc<Facts>, Content), GatewayError> {
        let mut source = self.open(pbx, grant).await?;
        let mut may_wait = true;
        let mut openings = 1;
        // What a recording that tells no length was found to have, where nothing is remembered either.
        let mut learned = None;
        loop {
            let facts = source.facts().await?;
            if std::mem::take(&mut may_wait) && self.waits(asked, &facts) {
                self.read_on(grant, &mut source, None).await?;
                if let Ok(length) = timeout(self.range_wait, source.learn_length()).await {
                    learned = Some(length?);
                }
                continue;
            }
            let body = match asked.select(&facts, learned)? {
                Choice::NotModified => return Ok((facts, Content::NotModified)),
                Choice::Send(body) if asked.head_only => return Ok((facts, Content::Head(body))),
                // The bytes are wanted, and those that were read for the length are gone.
                Choice::Send(_) | Choice::Open(_) if source.is_spent() => {
                    if openings == OPENINGS {
                        return Err(TapeError::Broken(ReadingError::Differs).into());
                    }
                    openings += 1;
                    source = self.open(pbx, grant).await?;
                    source.expect(&facts);
                    continue;
                }
                Choice::Send(body) => body,
                Choice::Open(wanted) => {
                    self.read_on(grant, &mut source, None).await?;
                    match asked.part_of_unknown(&mut source, wanted).await? {
                        Found::Part(body) => body,
                        Found::Length(length) => {
                            learned = Some(length);
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

    /// A recording whose beginning is known to be audio.
    async fn open(&self, pbx: &Arc<Pbx>, grant: &Grant) -> Result<Source, GatewayError> {
        let name = grant.recording();
        let mut openings = 0;
        loop {
            openings += 1;
            let mut source = match self.tapes.find(pbx, name)? {
                Some(source) => {
                    source
                        .hit()
                        .into_iter()
                        .for_each(|hit| self.metrics.hit(hit));
                    source
                }
                None => {
                    self.count_read(grant)?;
                    self.tapes.open(pbx, name, &grant.principal().id()).await?
                }
            };
            match source.facts().await {
                Err(TapeError::Ended(_)) if openings < OPENINGS => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(source),
            }
        }
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
    ) -> Result<(), GatewayError> {
        if self.tapes.lacks(source, end) {
            self.count_read(grant)?;
            self.tapes.go_on(source, &grant.principal().id()).await?;
        }
        Ok(())
    }
}

impl Asked<'_> {
    /// Whether the answer would be another one if the length were known, and the tag with it.
    fn depends_on_length(&self, facts: &Facts) -> bool {
        let is_open = || matches!(self.select(facts, None), Ok(Choice::Open(_)));
        facts.length.is_none() && (conditions::name_a_tag(&self.head.headers) || is_open())
    }

    /// What to send of a recording whose length is not known, or the length where that had to be found.
    async fn part_of_unknown(
        &self,
        source: &mut Source,
        wanted: Wanted,
    ) -> Result<Found, GatewayError> {
        let (first, last) = match wanted {
            // Nobody knows where it begins before the end has come, and anything else would be another answer.
            Wanted::Last(_) => {
                let length = source.learn_length_at_any_price().await?;
                return Ok(Found::Length(length));
            }
            Wanted::Whole | Wanted::From(0) | Wanted::Between { first: 0, .. } => {
                return if self.needs_length() {
                    Err(GatewayError::LengthUnknown)
                } else {
                    Ok(Found::Part(Body::Whole(None)))
                };
            }
            Wanted::From(first) => (first, u64::MAX),
            Wanted::Between { first, last } => (first, last),
        };
        let read = source.read_beyond(first).await?;
        if read <= first {
            return Ok(Found::Length(read));
        }
        Ok(Found::Part(Body::Part {
            first,
            last: last.min(read - 1),
            total: None,
        }))
    }

    /// None of a recording that was still being written: it keeps the date when it is completed, so the date does not stand
    /// for its content.
    fn last_modified_of(&self, facts: &Facts) -> Option<SystemTime> {
        self.last_modified.filter(|_| !facts.is_unfinished)
    }

    /// HTTP/1.0 tells the end of an answer by its length or by the end of the connection, and that comes also when it
    /// breaks.
    fn needs_length(&self) -> bool {
        self.head.version == Version::HTTP_10 && !self.head_only
    }

    /// The answer where that needs no byte of the recording.
    fn without_bytes(&self, facts: &Facts) -> Result<Option<Content>, GatewayError> {
        Ok(match self.select(facts, None)? {
            Choice::NotModified => Some(Content::NotModified),
            Choice::Send(body) if self.head_only => Some(Content::Head(body)),
            Choice::Send(_) | Choice::Open(_) => None,
        })
    }

    /// What is wanted of a recording of which so much is known; `learned` is its length where only this request knows it.
    fn select(&self, facts: &Facts, learned: Option<u64>) -> Result<Choice, GatewayError> {
        let headers = &self.head.headers;
        let validators = Validators {
            etag: facts.etag.clone(),
            last_modified: self.last_modified_of(facts),
        };
        match conditions::evaluate(headers, &validators) {
            Evaluation::Proceed => {}
            Evaluation::NotModified => return Ok(Choice::NotModified),
            Evaluation::Failed => return Err(GatewayError::PreconditionFailed),
        }
        let wanted = range::wanted(headers, !self.head_only, &validators, self.now);
        let Some(length) = facts.length.or(learned) else {
            return Ok(match wanted {
                Wanted::Whole if !self.needs_length() => Choice::Send(Body::Whole(None)),
                wanted => Choice::Open(wanted),
            });
        };
        match wanted.of_length(length) {
            Selection::Whole => Ok(Choice::Send(Body::Whole(Some(length)))),
            Selection::Part { first, last } => Ok(Choice::Send(Body::Part {
                first,
                last,
                total: Some(length),
            })),
            Selection::Unsatisfiable => Err(GatewayError::RangeNotSatisfiable { length }),
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
