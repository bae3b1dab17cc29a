//! The counters of each PBX.
//!
//! Knows their names and labels. Does not know who counts, or when.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::cache::Mend;
use super::calls::{Call, CallOutcome, Calls};
use super::words::{Labels, Words};

/// The counters of all PBXs.
pub(super) struct PbxFamilies {
    downloads: Family<Labels, Counter>,
    logins: Family<Labels, Counter>,
    calls: Family<Labels, Counter>,
    ended_early: Family<Labels, Counter>,
    agreed_ends: Family<Labels, Counter>,
    rows_unreadable: Family<Labels, Counter>,
}

impl PbxFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut family = |name: &str, help: &str| {
            let family = Family::<Labels, Counter>::default();
            registry.register(name, help, Family::clone(&family));
            family
        };
        Self {
            downloads: family("pbx_downloads", "Tries to begin a download, by outcome"),
            logins: family("pbx_logins", "Logins to a PBX, by outcome"),
            calls: family(
                "pbx_calls",
                "Calls to a PBX beside logins and downloads, by operation and outcome",
            ),
            ended_early: family(
                "pbx_tokens_ended_early",
                "PBX tokens that ended long before their time, as when another program logs in with the same account",
            ),
            agreed_ends: family(
                "pbx_agreed_ends",
                "Recordings without a length from the PBX, on whose end two readings agreed",
            ),
            rows_unreadable: family(
                "pbx_rows_unreadable",
                "Rows of lists that were left out because they are unreadable",
            ),
        }
    }

    /// The counters of the PBX of this name; the same ones for the same name.
    pub(super) fn of(&self, name: &str, mends: Words<Mend, 3>) -> PbxMetrics {
        let labels = vec![("pbx", name.to_owned())];
        PbxMetrics {
            ended_early: self.ended_early.get_or_create_owned(&labels),
            agreed_ends: self.agreed_ends.get_or_create_owned(&labels),
            rows_unreadable: self.rows_unreadable.get_or_create_owned(&labels),
            calls: Calls::of(&self.calls, &labels),
            logins: Words::of(&self.logins, labels.clone(), "outcome", Login::WORDS),
            downloads: Words::of(&self.downloads, labels, "outcome", Download::WORDS),
            mends,
        }
    }
}

/// The result of a try to begin a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Download {
    /// The PBX sends audio.
    Begun,
    /// The PBX does not know the recording.
    NotFound,
    /// The PBX has the recording, and it has no bytes.
    Empty,
    /// Another answer, or none.
    Failed,
}

impl Download {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Begun, "begun"),
        (Self::NotFound, "not-found"),
        (Self::Empty, "empty"),
        (Self::Failed, "failed"),
    ];
}

/// The result of a login to a PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Accepted,
    Refused,
    /// The PBX has locked our address.
    LockedOut,
    /// The credentials were not sent.
    Unsent,
    /// An answer came that does not judge the credentials.
    Unjudged,
    /// The credentials were sent, and no answer came.
    Unanswered,
}

impl Login {
    const WORDS: [(Self, &'static str); 6] = [
        (Self::Accepted, "accepted"),
        (Self::Refused, "refused"),
        (Self::LockedOut, "locked-out"),
        (Self::Unsent, "unsent"),
        (Self::Unjudged, "unjudged"),
        (Self::Unanswered, "unanswered"),
    ];
}

/// The counters of one PBX.
pub(crate) struct PbxMetrics {
    downloads: Words<Download, 4>,
    logins: Words<Login, 6>,
    calls: Calls,
    ended_early: Counter,
    agreed_ends: Counter,
    rows_unreadable: Counter,
    /// One set of counters for all PBXs together.
    mends: Words<Mend, 3>,
}

impl PbxMetrics {
    /// Counts a download that broke off, once its outcome is decided.
    pub(crate) fn mended(&self, mend: Mend) {
        self.mends.count(mend);
    }

    /// Counts a login.
    pub(crate) fn login_ended(&self, login: Login) {
        self.logins.count(login);
    }

    /// Counts a call that is neither a login nor a download.
    pub(crate) fn called(&self, call: Call, outcome: CallOutcome) {
        self.calls.count(call, outcome);
    }

    /// Counts a PBX token that ended long before its time.
    pub(crate) fn token_ended_early(&self) {
        self.ended_early.inc();
    }

    /// Counts a recording whose end two passes had to agree on.
    pub(crate) fn agreed_end(&self) {
        self.agreed_ends.inc();
    }

    /// Counts rows of a list that cannot be read.
    pub(crate) fn unreadable(&self, rows: u64) {
        self.rows_unreadable.inc_by(rows);
    }

    /// Counts a try to begin a download.
    pub(crate) fn tried(&self, download: Download) {
        self.downloads.count(download);
    }
}
