//! The record of the logins to one PBX, and the rule by which the next one waits. Pure.
//!
//! Knows counts and times. Does not know files, tokens or passwords: only a salted, stretched and
//! cut hash, to notice that the credentials have changed.
//!
//! Source of the lock-out: Yeastar, "S-Series API Guide", "API Authentication".

pub(super) mod merge;

use std::io;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::metrics::Login;
use crate::pbx::error::LOCK_OUT;

const MAX_REFUSALS: u32 = 2;
/// The limit on refusals and lost answers together: one more could be the fifth.
const MAX_TRIES: u32 = 4;
/// The pauses from the beginning of one login to the next, while the PBX gives no answer to
/// credentials that it has accepted before. The last one goes on.
const OUTAGE_PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
const MAX_TIMES_KEPT: usize = 20;
/// The number of logins within [`RENEWAL_WINDOW`] that may take the place of tokens that were ended
/// early. Afterwards there is one after each [`RENEWAL_PAUSE`]: two programs that end each other's
/// tokens must not log in without a pause.
const MAX_RENEWALS_AT_ONCE: usize = 5;
const RENEWAL_WINDOW: Duration = Duration::from_secs(60);
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// The time over which an operator is told of them.
const RENEWAL_REPORT_WINDOW: Duration = Duration::from_secs(10 * 60);
/// The length of a fingerprint. It is so short that one password in 65,536 fits: of little use for
/// finding the password, enough to notice another one.
const FINGERPRINT_BYTES: usize = 2;
const PBKDF2_ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// The verdict on the next login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) enum LoginVerdict {
    Go,
    /// Not yet: the last one was refused.
    Wait(Duration),
    /// Not yet: the last ones got no answer.
    Unanswered(Duration),
    /// Not yet: the last ones got no answer, and the credentials have been accepted before.
    Outage(Duration),
    /// Not yet: the PBX has locked our address out.
    Locked(Duration),
    /// Not yet: the PBX may count four failures in a row, and locks our address out at the fifth.
    Brink(Duration),
    /// Not until the credentials change or the operator says so.
    Stopped,
}

/// The end of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) enum LoginEnd {
    Accepted,
    Refused,
    LockedOut,
    /// The credentials were not sent: no connection, or no trust in the peer.
    Unsent,
    /// The PBX, or a server before it, answered without a look at the credentials.
    Unjudged,
    /// A web page with status 200: the API is not up yet, or a refusal looks like that.
    Page,
    /// The credentials were sent, and no answer came that says how they were judged.
    Unanswered,
}

impl From<LoginEnd> for Login {
    fn from(end: LoginEnd) -> Self {
        match end {
            LoginEnd::Accepted => Self::Accepted,
            LoginEnd::Refused => Self::Refused,
            LoginEnd::LockedOut => Self::LockedOut,
            LoginEnd::Unsent => Self::Unsent,
            LoginEnd::Unjudged | LoginEnd::Page => Self::Unjudged,
            LoginEnd::Unanswered => Self::Unanswered,
        }
    }
}

/// The file's content. Times are seconds since the epoch, those in `_ms` milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LoginRecord {
    pub(super) salt: String,
    pub(super) credentials: String,
    /// Begins and ends of logins that were ever noted: of two records, the one with more is newer.
    steps: u64,
    /// The PBX has accepted these credentials, and not refused them since.
    accepted: bool,
    /// Logins refused in a row.
    refusals: u32,
    /// Logins in a row whose answer is not known: lost, under way, or of a process that died.
    unanswered: u32,
    /// Logins since the last acceptance that were not sent.
    unsent: u32,
    /// Logins since the last acceptance that something answered without a look at the credentials.
    unjudged: u32,
    /// Logins in a row that the PBX may count as failed, whatever the operator said in between.
    failures: u32,
    /// The time when the last of them was sent.
    last_failure: u64,
    last_try: u64,
    /// Both times before the login under way. They come back where that login was not judged.
    before: (u64, u64),
    /// The time when the last login began.
    began_ms: u64,
    locked_until: u64,
    /// The latest logins that were tried, oldest first.
    logins: Vec<u64>,
    /// The latest logins that took the place of a token which was ended early, oldest first.
    renewals_ms: Vec<u64>,
}

/// The counts of the logins to a PBX, for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) struct LoginCounts {
    /// The PBX has accepted these credentials, and not refused them since.
    pub(in crate::pbx) accepted: bool,
    /// Logins refused in a row.
    pub(in crate::pbx) refused: u32,
    /// Logins since the last acceptance that may have been judged, and whose answer is not known.
    pub(in crate::pbx) unanswered: u32,
    /// Logins since the last acceptance that cannot have been judged.
    pub(in crate::pbx) unjudged: u32,
    /// Logins of the last ten minutes that took the place of a token which was ended early; at most
    /// 20.
    pub(in crate::pbx) renewals: usize,
}

impl LoginRecord {
    /// A record for new credentials. The failures that the PBX may count against our address stay.
    pub(super) fn afresh(&self, credentials: &[u8]) -> io::Result<Self> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(|_| io::Error::other("the system has no randomness"))?;
        Ok(Self {
            salt: BASE64.encode(salt),
            credentials: fingerprint(&salt, credentials),
            failures: self.failures,
            last_failure: self.last_failure,
            ..Self::default()
        })
    }

    pub(super) fn is_of(&self, credentials: &[u8]) -> bool {
        let salt = BASE64.decode(&self.salt).unwrap_or_default();
        !salt.is_empty() && fingerprint(&salt, credentials) == self.credentials
    }

    /// Returns true if both are of the same credentials.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.salt == other.salt && self.credentials == other.credentials
    }

    /// Takes over the failures that the PBX counts against our address, with whichever credentials.
    /// Where both records have counted, the higher count wins: one that is too high costs ten
    /// minutes, and one that is too low a lock-out.
    pub(super) fn take_over_address(&mut self, other: &Self) {
        self.failures = self.failures.max(other.failures);
        self.last_failure = self.last_failure.max(other.last_failure);
        self.locked_until = self.locked_until.max(other.locked_until);
    }

    /// The verdict on a login that would be tried `now`; `retry` is the pause after a refusal.
    pub(super) fn verdict(&mut self, now: SystemTime, retry: Duration) -> LoginVerdict {
        self.mend_times(now);
        let left = |until: u64| {
            Some(Duration::from_secs(until.saturating_sub(seconds(now))))
                .filter(|left| !left.is_zero())
        };
        if let Some(left) = left(self.locked_until) {
            return LoginVerdict::Locked(left);
        }
        // Accepted credentials: a login without an answer says nothing about them, so only the
        // short pauses of an outage count.
        if self.accepted {
            return self
                .outage_pause(now)
                .map_or(LoginVerdict::Go, LoginVerdict::Outage);
        }
        if self.refusals >= MAX_REFUSALS {
            return LoginVerdict::Stopped;
        }
        let counted = self.refusals + self.unanswered;
        // Four failures that the PBX may count, though fewer of them are held against these
        // credentials: the operator has forgiven some, or they were made with others. The next
        // could be the fifth.
        if self.failures >= MAX_TRIES
            && counted < MAX_TRIES
            && let Some(left) = left(self.last_failure.saturating_add(LOCK_OUT.as_secs()))
        {
            return LoginVerdict::Brink(left);
        }
        // Lost answers alone are followed by a pause from the second on, a refusal always; after
        // four tries together, the pause lasts until the PBX has forgotten the first.
        let pause = match (self.refusals, counted) {
            (_, MAX_TRIES..) => LOCK_OUT,
            (0, ..MAX_REFUSALS) => return LoginVerdict::Go,
            _ => retry,
        };
        match left(self.last_try.saturating_add(pause.as_secs())) {
            None => LoginVerdict::Go,
            Some(left) if self.refusals == 0 => LoginVerdict::Unanswered(left),
            Some(left) if counted >= MAX_TRIES => LoginVerdict::Brink(left),
            Some(left) => LoginVerdict::Wait(left),
        }
    }

    /// Moves times that lie in the future to `now`: a clock that was wrong must not stretch a wait.
    fn mend_times(&mut self, now: SystemTime) {
        let seconds = seconds(now);
        self.last_try = self.last_try.min(seconds);
        self.last_failure = self.last_failure.min(seconds);
        self.began_ms = self.began_ms.min(milliseconds(now));
        self.renewals_ms.retain(|time| *time <= milliseconds(now));
        self.locked_until = self.locked_until.min(seconds + LOCK_OUT.as_secs());
    }

    /// The rest of the pause after logins without an answer, with credentials that were accepted
    /// before.
    fn outage_pause(&self, now: SystemTime) -> Option<Duration> {
        let tries = [self.unanswered, self.unsent, self.unjudged];
        let tries = tries.into_iter().fold(0, u32::saturating_add);
        left_of(outage_pause(tries), self.began_ms, now)
    }

    /// The rest of the pause before a login that takes the place of a token which was ended early.
    pub(super) fn renewal_pause(&mut self, now: SystemTime) -> Option<Duration> {
        self.mend_times(now);
        let last = self.renewals_ms.last()?;
        let at_once = self.renewals_within(RENEWAL_WINDOW, now) < MAX_RENEWALS_AT_ONCE;
        left_of(RENEWAL_PAUSE, *last, now).filter(|_| !at_once)
    }

    fn renewals_within(&self, span: Duration, now: SystemTime) -> usize {
        let is_recent = |time: &&u64| left_of(span, **time, now).is_some();
        self.renewals_ms.iter().filter(is_recent).count()
    }

    /// Counts a login that is about to be tried as one without an answer, until there is one.
    pub(super) fn begin(&mut self, now: SystemTime) {
        self.steps = self.steps.saturating_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        self.before = (self.last_failure, self.last_try);
        self.last_failure = seconds(now);
        self.last_try = seconds(now);
        self.began_ms = milliseconds(now);
        keep(&mut self.logins, seconds(now));
    }

    /// Notes that a login took the place of a token which was ended early.
    pub(super) fn renew(&mut self, now: SystemTime) {
        keep(&mut self.renewals_ms, milliseconds(now));
    }

    /// Counts the end of the login that was begun.
    pub(super) fn end(&mut self, end: LoginEnd, now: SystemTime) {
        let end = match end {
            // The PBX has accepted these credentials before, so the page is not about them.
            LoginEnd::Page if self.accepted => LoginEnd::Unjudged,
            LoginEnd::Page => LoginEnd::Unanswered,
            end => end,
        };
        self.steps = self.steps.saturating_add(1);
        self.last_try = seconds(now);
        if end == LoginEnd::Accepted {
            self.accepted = true;
            self.refusals = 0;
            self.unanswered = 0;
            self.unsent = 0;
            self.unjudged = 0;
            self.failures = 0;
            self.locked_until = 0;
            return;
        }
        // `begin` has counted the login as one without an answer already.
        if end == LoginEnd::Unanswered {
            return;
        }
        self.unanswered = self.unanswered.saturating_sub(1);
        match end {
            LoginEnd::Refused => {
                self.accepted = false;
                self.refusals = self.refusals.saturating_add(1);
            }
            LoginEnd::LockedOut => self.lock_out(now),
            LoginEnd::Unsent => {
                self.take_back_failure();
                self.unsent = self.unsent.saturating_add(1);
            }
            _ => {
                self.take_back_failure();
                self.unjudged = self.unjudged.saturating_add(1);
            }
        }
    }

    /// Takes the failure back that `begin` has counted: the login was not judged, so it neither
    /// counts nor makes the next one wait.
    fn take_back_failure(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        (self.last_failure, self.last_try) = self.before;
    }

    /// Notes that the PBX has locked our address out.
    pub(super) fn lock_out(&mut self, now: SystemTime) {
        self.failures = 0;
        self.locked_until = seconds(now + LOCK_OUT);
    }

    /// Allows one more login at once.
    pub(super) fn forgive(&mut self) {
        self.refusals = self.refusals.min(MAX_REFUSALS - 1);
        self.unanswered = 0;
        self.unsent = 0;
        self.unjudged = 0;
        self.last_try = 0;
        self.locked_until = 0;
        self.renewals_ms.clear();
    }

    pub(super) fn counts(&self, now: SystemTime) -> LoginCounts {
        LoginCounts {
            accepted: self.accepted,
            refused: self.refusals,
            unanswered: self.unanswered,
            unjudged: self.unsent.saturating_add(self.unjudged),
            renewals: self.renewals_within(RENEWAL_REPORT_WINDOW, now),
        }
    }
}

/// The pause after this number of tries in a row without an answer, from the beginning of the last
/// one.
pub(in crate::pbx) fn outage_pause(tries: u32) -> Duration {
    let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = OUTAGE_PAUSES.get(index).or(OUTAGE_PAUSES.last());
    pause.copied().filter(|_| tries > 0).unwrap_or_default()
}

/// The rest at `now` of a pause that began at `start_ms`.
fn left_of(pause: Duration, start_ms: u64, now: SystemTime) -> Option<Duration> {
    let until = Duration::from_millis(start_ms).saturating_add(pause);
    let left = until.saturating_sub(Duration::from_millis(milliseconds(now)));
    Some(left).filter(|left| !left.is_zero())
}

/// Adds the newest, and forgets the oldest where there are many.
fn keep(times: &mut Vec<u64>, now: u64) {
    times.push(now);
    let surplus = times.len().saturating_sub(MAX_TIMES_KEPT);
    times.drain(..surplus);
}

fn fingerprint(salt: &[u8], credentials: &[u8]) -> String {
    let mut hash = [0; FINGERPRINT_BYTES];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        PBKDF2_ROUNDS,
        salt,
        credentials,
        &mut hash,
    );
    BASE64.encode(hash)
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
