//! The way to an open recording: what is waited for, and what is tried once more.
//!
//! Knows the order of permit, token and try. Does not know one try, or what comes of an open recording.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, timeout_at};
use tracing::debug;

use super::Pbx;
use super::attempts::{Attempts, Death};
use super::dialect::RefusalClass;
use super::error::PbxError;
use super::excerpt::Excerpt;
use super::reading::{Asked, Reading, ReadingError, Seen};
use super::stream::PbxStream;
use super::token::PbxToken;
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

impl Pbx {
    /// Opens a recording, or the `excerpt` of it where the PBX gives that out; [`Reading::start`] tells. What a whole one
    /// hands out begins with bytes known to be audio.
    ///
    /// A recording of a young call that the PBX does not know, or of which it has nothing yet, is asked for again after
    /// a while, holding no permit: it may still be on its way from the call to the PBX's disk. So is one that the PBX is
    /// still at work on.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(crate) async fn open(
        self: &Arc<Self>,
        recording: &RecordingName,
        who: &PrincipalId,
        excerpt: Option<Excerpt>,
    ) -> Result<Reading, PbxError> {
        let opened = self.read_patiently(recording, who, excerpt).await;
        self.standing.health.note(&opened);
        let (asked, stream) = opened?;
        Ok(Reading::new(asked, stream))
    }

    /// Opens a recording of which an earlier reading saw the beginning, to go on behind that.
    ///
    /// # Errors
    /// As [`Pbx::open`], in [`ReadingError::NotAgain`]; and when it is not what was seen.
    ///
    /// # Cancel safety
    /// As for [`Pbx::open`].
    pub(crate) async fn open_behind(
        self: &Arc<Self>,
        recording: &RecordingName,
        who: &PrincipalId,
        seen: Seen,
    ) -> Result<Reading, ReadingError> {
        let opened = self.read_patiently(recording, who, None).await;
        self.standing.health.note(&opened);
        let (asked, stream) = opened.map_err(ReadingError::NotAgain)?;
        Reading::behind(asked, stream, seen)
    }

    async fn read_patiently(
        self: &Arc<Self>,
        recording: &RecordingName,
        who: &PrincipalId,
        excerpt: Option<Excerpt>,
    ) -> Result<(Asked, PbxStream), PbxError> {
        let mut pauses = self.config.not_ready.retries.iter();
        loop {
            match self.read(recording, who, excerpt).await {
                Err(error) if self.may_come(&error, recording) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(self.or_not_ready(error, recording)),
                },
                result => return result,
            }
        }
    }

    /// The error, or that the recording is not ready where it may come yet.
    pub(super) fn or_not_ready(&self, error: PbxError, recording: &RecordingName) -> PbxError {
        match self.may_come(&error, recording) && !error.is_busy() {
            true => PbxError::NotReady,
            false => error,
        }
    }

    fn may_come(&self, error: &PbxError, recording: &RecordingName) -> bool {
        let empty = matches!(error, PbxError::Empty | PbxError::EmptyRecording);
        let deleted = error.refusal_class() == Some(RefusalClass::Deleted);
        let unsure = deleted && self.dialect.deleted_may_be_missing();
        let missing = error.is_not_found() || empty || unsure;
        error.is_busy() || (missing && self.is_young(recording))
    }

    /// Whether a recording may still change: its call began not long ago.
    pub(crate) fn is_young(&self, recording: &RecordingName) -> bool {
        let age = recording
            .call_started()
            .map(|started| SystemTime::now().duration_since(started));
        // A call that begins in our future: the clocks disagree, and it is young by either.
        age.is_some_and(|age| age.unwrap_or_default() < self.config.not_ready.window)
    }

    /// Opens a recording within the limit of downloads at once, when it is the principal's turn.
    async fn read(
        self: &Arc<Self>,
        recording: &RecordingName,
        who: &PrincipalId,
        excerpt: Option<Excerpt>,
    ) -> Result<(Asked, PbxStream), PbxError> {
        let deadline = self.queue_deadline();
        let turn = self.standing.downloads.take(who);
        let place = timeout_at(deadline.into(), turn).await;
        let asked = Asked {
            pbx: Arc::clone(self),
            recording: recording.clone(),
            excerpt,
            permit: Arc::new(place.map_err(|_| self.why_saturated())?),
        };
        let stream = asked.open(deadline).await?;
        Ok((asked, stream))
    }

    /// The reason why no download came free: those who have one may wait for a login.
    fn why_saturated(&self) -> PbxError {
        self.keeper.short_pause().unwrap_or(PbxError::Saturated)
    }

    /// Until when something may wait that begins to wait now.
    pub(super) fn queue_deadline(&self) -> Instant {
        Instant::now() + self.config.limits.queue_timeout
    }

    /// Opens a recording under a permit, as often as that is worth it. A token is waited for until `deadline`.
    pub(super) async fn connect(
        &self,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<PbxStream, PbxError> {
        let mut attempts = Attempts::default();
        loop {
            let token = self.keeper.token(deadline).await?;
            match self.attempt(&token, asked, &mut attempts).await {
                Ok(stream) => return Ok(stream),
                Err(error) => self.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    /// After a failed try: returns, after a pause, if another one is worth it; else gives the error back.
    pub(super) async fn recover(
        &self,
        error: PbxError,
        token: &Arc<PbxToken>,
        attempts: &mut Attempts,
    ) -> Result<(), PbxError> {
        let next = match self.death(&error, token) {
            Some(death) => {
                self.keeper.died(token);
                attempts.after_dead_token(death).then_some(Duration::ZERO)
            }
            None => attempts.next(&error, self.config.limits.retry_delay),
        };
        let Some(pause) = next else {
            return Err(error);
        };
        debug!(pbx = self.name(), %error, "asking the PBX once more");
        sleep(pause).await;
        Ok(())
    }

    /// How the token died, if it did.
    pub(super) fn death(&self, error: &PbxError, token: &PbxToken) -> Option<Death> {
        let told = error.refusal_class() == Some(RefusalClass::TokenDead);
        let shown = self.dialect.hides_dead_tokens() && error.looks_logged_out();
        let worn_out = told && token.has_worked() && self.keeper.can_refresh();
        (told || shown).then_some(if worn_out {
            Death::WornOut
        } else {
            Death::Other
        })
    }
}
