//! What the simulator has seen, for tests to look at and to wait for.
//!
//! Knows counters. Does not know what they count for.

use std::time::Duration;

use tokio::sync::watch;

use super::fault::CallKind;

const MAX_SAMPLES: usize = 1_000;
const MAX_SECRETS: usize = 100_000;

/// Everything counted since the start.
///
/// `downloads_started` is the sum of the complete, aborted, cut and running ones.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// TCP connections accepted, dropped ones included.
    pub connections: u64,
    /// TCP connections dropped because their address is not allowed.
    pub connections_dropped: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// TLS handshakes that resumed an earlier session.
    pub tls_resumed: u64,
    /// Requests whose head and body could be read, by operation.
    pub requests: Requests,
    /// Requests that were not HTTP, too large, or cut off.
    pub bad_requests: u64,
    /// Logins that gave a token.
    pub logins_ok: u64,
    /// Logins of another program with the same account.
    pub other_logins: u64,
    /// Logins that were refused, whatever the reason.
    pub logins_refused: u64,
    /// Which optional fields each login had: the last 1000.
    pub login_fields: Vec<LoginFields>,
    /// Refreshes that gave a new pair of tokens.
    pub refreshes: u64,
    /// Heartbeats that succeeded.
    pub heartbeats: u64,
    /// Logouts that succeeded.
    pub logouts: u64,
    /// Random strings given out; on a P-Series addresses of files, here and below.
    pub tickets_issued: u64,
    /// The recording that each of them is for, in the order in which they were given out: the last 1000.
    pub ticket_recordings: Vec<String>,
    /// Random strings that were good when a download showed them.
    pub tickets_used: u64,
    /// Random strings that were not: unknown, spent, stale, or for something else.
    pub tickets_refused: u64,
    /// Random strings shown once more after they had been spent; they are in `tickets_refused`, except for addresses of
    /// a P-Series that are good more than once.
    pub tickets_used_twice: u64,
    /// The greatest age of a random string in `tickets_used`.
    pub oldest_ticket_used: Duration,
    /// The field `allowedip` of each get_random, `None` where absent: the last 1000.
    pub allowedip_values: Vec<Option<String>>,
    /// Downloads whose recording began to be sent.
    pub downloads_started: u64,
    /// Downloads whose recording was sent to its end.
    pub downloads_complete: u64,
    /// Downloads that ended because the peer left, or the simulator stopped.
    pub downloads_aborted_by_peer: u64,
    /// Downloads that a fault or a switch ended early.
    pub downloads_cut: u64,
    /// Downloads being sent now.
    pub downloads_running: u64,
    /// The most downloads that were being sent at once.
    pub downloads_running_max: u64,
    /// Bytes of recordings handed to the network.
    pub bytes_sent: u64,
    /// Downloads that asked for a range.
    pub range_headers_seen: u64,
    /// HEAD requests.
    pub head_requests: u64,
    /// Random strings given out for the CDR; `tickets_issued` does not count them.
    pub cdr_tickets_issued: u64,
    /// Random strings that were good when a `cdr/download` showed them.
    pub cdr_tickets_used: u64,
    /// Random strings that were not: unknown, spent, stale, or for something else.
    pub cdr_tickets_refused: u64,
    /// What each `cdr/get_random` with a good token asked for: the last 1000.
    pub cdr_queries: Vec<CdrQuery>,
    /// Rows of the CDR handed to the network to their end, the line with the names not counted.
    pub cdr_rows_sent: u64,
    /// Bytes of the CDR handed to the network.
    pub cdr_bytes_sent: u64,
    /// Every token, random string and address of a file ever given out: the first 100 000. For searching logs; `Debug`
    /// shows them.
    pub secrets: Vec<String>,
}

/// Requests by operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// `login`, `get_token`.
    pub login: u64,
    /// `token/refresh`, `refresh_token`.
    pub refresh: u64,
    /// `recording/get_random`; `recording/download` of the P-Series.
    pub get_random: u64,
    /// `recording/download`; the address itself on the P-Series.
    pub download: u64,
    /// `heartbeat`.
    pub heartbeat: u64,
    /// `logout`, `del_token`.
    pub logout: u64,
    /// `cdr/get_random`.
    pub cdr_random: u64,
    /// `cdr/download`.
    pub cdr_download: u64,
    /// `recording/list`, `recording/search`.
    pub list: u64,
    /// Any other path.
    pub other: u64,
}

/// Which optional fields a login had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginFields {
    /// `port`, where event reports go.
    pub port: bool,
    /// `url`, where event reports go.
    pub url: bool,
    /// `urltag`, what `url` means.
    pub urltag: bool,
    /// `version`, the format of event reports.
    pub version: bool,
}

/// What a `cdr/get_random` asked for, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdrQuery {
    /// `extid` or `number`: `all`, or extensions with commas between.
    pub extensions: String,
    /// `starttime`.
    pub start: String,
    /// `endtime`.
    pub end: String,
    /// `allowedip`, `None` where absent.
    pub allowedip: Option<String>,
}

impl Requests {
    /// The sum of all.
    pub fn total(&self) -> u64 {
        let account = self.login + self.refresh + self.heartbeat + self.logout;
        let lists = self.cdr_random + self.cdr_download + self.list;
        account + self.get_random + self.download + lists + self.other
    }

    fn count(&mut self, operation: Option<CallKind>) {
        let counter = match operation {
            Some(CallKind::Login) => &mut self.login,
            Some(CallKind::GetRandom) => &mut self.get_random,
            Some(CallKind::Download) => &mut self.download,
            Some(CallKind::Heartbeat) => &mut self.heartbeat,
            Some(CallKind::Logout) => &mut self.logout,
            Some(CallKind::Refresh) => &mut self.refresh,
            Some(CallKind::CdrRandom) => &mut self.cdr_random,
            Some(CallKind::CdrDownload) => &mut self.cdr_download,
            Some(CallKind::List) => &mut self.list,
            Some(CallKind::Any) | None => &mut self.other,
        };
        *counter += 1;
    }
}

/// The counters, shared by all connections.
pub(super) struct ObservationLedger(watch::Sender<Observations>);

impl ObservationLedger {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Observations::default()))
    }

    pub(super) fn snapshot(&self) -> Observations {
        self.0.borrow().clone()
    }

    /// Waits until the predicate holds. Cancel safe.
    pub(super) async fn until(&self, predicate: impl Fn(&Observations) -> bool) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|seen| predicate(seen)).await;
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Observations)) {
        self.0.send_modify(change);
    }

    pub(super) fn request(&self, operation: Option<CallKind>) {
        self.note(|seen| seen.requests.count(operation));
    }

    pub(super) fn secret(&self, secret: &str) {
        self.note(|seen| {
            if seen.secrets.len() < MAX_SECRETS {
                seen.secrets.push(secret.to_owned());
            }
        });
    }

    pub(super) fn login_fields(&self, fields: LoginFields) {
        self.note(|seen| push_bounded(&mut seen.login_fields, fields));
    }

    pub(super) fn ticket(&self, recording: &str) {
        self.note(|seen| {
            seen.tickets_issued += 1;
            push_bounded(&mut seen.ticket_recordings, recording.to_owned());
        });
    }

    pub(super) fn allowed_ip(&self, value: Option<String>) {
        self.note(|seen| push_bounded(&mut seen.allowedip_values, value));
    }

    pub(super) fn cdr_query(&self, query: CdrQuery) {
        self.note(|seen| push_bounded(&mut seen.cdr_queries, query));
    }

    /// Counts a download as running until the returned value is dropped.
    pub(super) fn download(&self) -> CountedDownload<'_> {
        self.note(|seen| {
            seen.downloads_started += 1;
            seen.downloads_running += 1;
            seen.downloads_running_max = seen.downloads_running_max.max(seen.downloads_running);
        });
        CountedDownload {
            ledger: self,
            end: DownloadEnd::AbortedByPeer,
        }
    }
}

fn push_bounded<T>(samples: &mut Vec<T>, sample: T) {
    if samples.len() >= MAX_SAMPLES {
        samples.remove(0);
    }
    samples.push(sample);
}

/// How a download ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DownloadEnd {
    Complete,
    Cut,
    AbortedByPeer,
}

/// A download being sent. Unless told otherwise it ends as aborted by the peer.
pub(super) struct CountedDownload<'a> {
    ledger: &'a ObservationLedger,
    end: DownloadEnd,
}

impl CountedDownload<'_> {
    pub(super) fn sent(&self, bytes: usize) {
        self.ledger.note(|seen| seen.bytes_sent += bytes as u64);
    }

    pub(super) fn ends(&mut self, end: DownloadEnd) {
        self.end = end;
    }
}

impl Drop for CountedDownload<'_> {
    fn drop(&mut self) {
        let end = self.end;
        self.ledger.note(|seen| {
            seen.downloads_running -= 1;
            match end {
                DownloadEnd::Complete => seen.downloads_complete += 1,
                DownloadEnd::Cut => seen.downloads_cut += 1,
                DownloadEnd::AbortedByPeer => seen.downloads_aborted_by_peer += 1,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_when_the_state_is_there() {
        let ledger = ObservationLedger::new();
        let waiting = ledger.until(|seen| seen.downloads_complete == 1);
        let working = async {
            let mut running = ledger.download();
            tokio::task::yield_now().await;
            running.ends(DownloadEnd::Complete);
        };
        tokio::join!(waiting, working);
        let seen = ledger.snapshot();
        assert_eq!(
            (
                seen.downloads_started,
                seen.downloads_running,
                seen.downloads_running_max
            ),
            (1, 0, 1)
        );
    }

    #[test]
    fn samples_are_bounded() {
        let ledger = ObservationLedger::new();
        for number in 0..1_001 {
            ledger.allowed_ip(Some(number.to_string()));
        }
        let values = ledger.snapshot().allowedip_values;
        assert_eq!((values.len(), values[0].as_deref()), (1_000, Some("1")));
    }
}
