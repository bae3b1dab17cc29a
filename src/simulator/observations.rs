//! Counters and samples of the box, which tests read and wait for.
//!
//! Knows how to count. Does not know what the counters mean to a test.

use std::time::Duration;

use tokio::sync::watch;

use super::fault::CallKind;

/// The bound on samples of one kind; the oldest goes first.
const MAX_SAMPLES: usize = 1_000;
/// The bound on secrets; later ones are not kept.
const MAX_SECRETS: usize = 100_000;

/// Counters and samples since the start.
///
/// `downloads_started` is the sum of the downloads that are complete, aborted, cut and running. A
/// ticket is a random string; on a P-Series it is the address of a file.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// TCP connections accepted, dropped ones included.
    pub connections: u64,
    /// TCP connections dropped because the address of the peer is not allowed.
    pub connections_dropped: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// TLS handshakes that resumed an earlier session.
    pub tls_resumed: u64,
    /// Requests whose head and body were read, by kind of call.
    pub requests: Requests,
    /// Requests that were not HTTP, too large, or cut off.
    pub bad_requests: u64,
    /// Logins that answered a token.
    pub logins_ok: u64,
    /// Logins of the simulated other program.
    pub other_logins: u64,
    /// Logins that were refused, for any reason.
    pub logins_refused: u64,
    /// The optional fields of each login. Keeps the last 1000.
    pub login_fields: Vec<LoginFields>,
    /// Refreshes that answered a new pair of tokens.
    pub refreshes: u64,
    /// Heartbeats that succeeded.
    pub heartbeats: u64,
    /// Logouts that succeeded.
    pub logouts: u64,
    /// Tickets issued for recordings.
    pub tickets_issued: u64,
    /// The recording of each issued ticket, in order of issue. Keeps the last 1000.
    pub ticket_recordings: Vec<String>,
    /// Tickets that were good when a download showed them.
    pub tickets_used: u64,
    /// Tickets that were refused: unknown, spent, stale, or issued for something else.
    pub tickets_refused: u64,
    /// Tickets shown again after they had been spent. They count in `tickets_refused` as well,
    /// unless they are addresses of a P-Series that are good more than once.
    pub tickets_used_twice: u64,
    /// The greatest age of a ticket in `tickets_used`.
    pub oldest_ticket_used: Duration,
    /// The field `allowedip` of each get_random, `None` if absent. Keeps the last 1000.
    pub allowedip_values: Vec<Option<String>>,
    /// Downloads that began to send a recording.
    pub downloads_started: u64,
    /// Downloads that sent a recording to its end.
    pub downloads_complete: u64,
    /// Downloads that ended because the peer closed the connection, or the simulator stopped.
    pub downloads_aborted_by_peer: u64,
    /// Downloads that a fault or a switch ended early.
    pub downloads_cut: u64,
    /// Downloads that are running now.
    pub downloads_running: u64,
    /// The greatest number of downloads that ran at the same time.
    pub downloads_running_max: u64,
    /// Bytes of recordings handed to the network.
    pub bytes_sent: u64,
    /// Downloads that asked for a range.
    pub range_headers_seen: u64,
    /// HEAD requests.
    pub head_requests: u64,
    /// Tickets issued for the CDR. `tickets_issued` does not count them.
    pub cdr_tickets_issued: u64,
    /// CDR tickets that were good when a `cdr/download` showed them.
    pub cdr_tickets_used: u64,
    /// CDR tickets that were refused: unknown, spent, stale, or issued for something else.
    pub cdr_tickets_refused: u64,
    /// The parameters of each `cdr/get_random` with a good token. Keeps the last 1000.
    pub cdr_queries: Vec<CdrQuery>,
    /// Rows of the CDR handed to the network completely, without the line of column names.
    pub cdr_rows_sent: u64,
    /// Bytes of the CDR handed to the network.
    pub cdr_bytes_sent: u64,
    /// Every token and ticket that the box issued. Keeps the first 100 000. Tests search logs for
    /// them, and `Debug` shows them.
    pub secrets: Vec<String>,
}

/// The number of requests, by kind of call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// `login`, `get_token`.
    pub login: u64,
    /// `token/refresh`, `refresh_token`.
    pub refresh: u64,
    /// `recording/get_random`; on the P-Series `recording/download`.
    pub get_random: u64,
    /// `recording/download`; on the P-Series the request for the address of a file.
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

/// The optional fields that a login had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginFields {
    /// `port`, the port that event reports go to.
    pub port: bool,
    /// `url`, the URL that event reports go to.
    pub url: bool,
    /// `urltag`, the kind of `url`.
    pub urltag: bool,
    /// `version`, the format of event reports.
    pub version: bool,
}

/// The parameters of a `cdr/get_random`, as the request spelled them.
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
    /// The number of all requests.
    pub fn total(&self) -> u64 {
        let account = self.login + self.refresh + self.heartbeat + self.logout;
        let lists = self.cdr_random + self.cdr_download + self.list;
        account + self.get_random + self.download + lists + self.other
    }

    fn count(&mut self, kind: Option<CallKind>) {
        let counter = match kind {
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

/// The observations, shared by all connections.
pub(super) struct ObservationLedger(watch::Sender<Observations>);

impl ObservationLedger {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Observations::default()))
    }

    pub(super) fn snapshot(&self) -> Observations {
        self.0.borrow().clone()
    }

    /// Waits until `predicate` is true. Cancel safe.
    pub(super) async fn until(&self, predicate: impl Fn(&Observations) -> bool) {
        // `self` keeps the sender alive, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|seen| predicate(seen)).await;
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Observations)) {
        self.0.send_modify(change);
    }

    pub(super) fn request(&self, kind: Option<CallKind>) {
        self.note(|seen| seen.requests.count(kind));
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

    /// Counts a download as running until the returned guard is dropped.
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

/// The way in which a download ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DownloadEnd {
    Complete,
    Cut,
    AbortedByPeer,
}

/// Counts a running download. When it is dropped, the download counts as aborted by the peer,
/// unless [`Self::ends`] was called before.
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
    async fn a_wait_ends_when_its_predicate_is_true() {
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
    fn of_more_than_a_thousand_samples_the_last_stay() {
        let ledger = ObservationLedger::new();
        for number in 0..1_001 {
            ledger.allowed_ip(Some(number.to_string()));
        }
        let values = ledger.snapshot().allowedip_values;
        assert_eq!((values.len(), values[0].as_deref()), (1_000, Some("1")));
    }
}
