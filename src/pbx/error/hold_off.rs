//! The reasons for a pause without a login.
//!
//! Knows how long each lasts, roughly, and the advice to an operator. Does not know the time.

use thiserror::Error;

use crate::pbx::dialect::RefusalClass;

/// Why no login is tried for the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum HoldOff {
    #[error("the last login was refused")]
    LoginRefused,
    #[error("the last logins got no answer, and may have been refused")]
    LoginsUnanswered,
    #[error("the last logins got no answer; the PBX has accepted these credentials before")]
    Outage,
    #[error("the PBX has locked our address out")]
    LockedOut,
    #[error("the last four logins failed, and the fifth in a row would lock our address out")]
    Brink,
    #[error("all slots for tokens are taken")]
    SlotsTaken,
    #[error("another program logs in with this account again and again, and ends our tokens")]
    TokensEnded,
    #[error("the configuration of this PBX was exchanged a moment ago")]
    Retired,
    #[error("another instance of the fleet is logging in")]
    FleetBusy,
    #[error("the shared store is away, and an instance on its own waits before it logs in")]
    StoreAway,
}

impl HoldOff {
    /// Returns true if it is a matter of seconds, so that a request may wait for its end.
    pub(in crate::pbx) fn passes_soon(self) -> bool {
        matches!(self, Self::Outage | Self::TokensEnded | Self::FleetBusy)
    }

    /// A word for monitors.
    pub(in crate::pbx) fn as_str(self) -> &'static str {
        match self {
            Self::LoginRefused => "login-refused",
            Self::LoginsUnanswered => "logins-unanswered",
            Self::Outage => "outage",
            Self::LockedOut => "locked-out",
            Self::Brink => "brink",
            Self::SlotsTaken => "slots-taken",
            Self::TokensEnded => "tokens-ended",
            Self::Retired => "retired",
            Self::FleetBusy => "fleet-busy",
            Self::StoreAway => "store-away",
        }
    }

    /// Advice to an operator, for the log.
    pub(in crate::pbx) fn advice(self) -> &'static str {
        match self {
            Self::LoginRefused | Self::Brink => RefusalClass::LoginRefused.row().advice,
            Self::LoginsUnanswered => {
                "the PBX is slow or hangs; look at its load, or raise pbx.answer_timeout_ms; SIGHUP tries at once"
            }
            Self::Outage => {
                "nothing to do if the PBX is starting; else look at its load and at the server at pbx.url; SIGHUP tries at once"
            }
            Self::LockedOut => RefusalClass::LockedOut.row().advice,
            Self::SlotsTaken => RefusalClass::TokenLimit.row().advice,
            Self::TokensEnded => {
                "another program uses this API account and its logins end ours; let it share the token or log in less"
            }
            Self::Retired | Self::FleetBusy => "nothing to do",
            Self::StoreAway => {
                "look at the store at shared.url; as soon as it is back, one instance logs in for all"
            }
        }
    }
}
