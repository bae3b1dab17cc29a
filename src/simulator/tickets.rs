//! The one-time strings ("random") that get_random gave out.
//!
//! Knows what each is good for, and that it is good once. Does not know tokens' lives or files.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files": valid for 30 s, once, for the
//! application and for the address in `allowedip`. That it is bound to its purpose, and spent by
//! the first request that shows it whatever comes of that, is an assumption.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const MAX_REMEMBERED_TICKETS: usize = 100_000;

/// What one random string is good for.
#[derive(Clone, Debug)]
pub(super) struct IssuedTicket {
    /// What it opens: the name of a recording, or the part of the CDR that was asked for.
    pub(super) purpose: String,
    /// The application: the address that asked, or that logged in.
    pub(super) requester: IpAddr,
    /// The address in `allowedip`, when one was given and understood.
    pub(super) allowed: Option<IpAddr>,
    /// The token it is bound to, where boxes bind it.
    pub(super) token: Option<String>,
    pub(super) issued: Instant,
}

/// Why a random string opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketRefusal {
    Unknown,
    Spent,
    Stale,
    OtherPurpose,
    OtherAddress,
    OtherToken,
}

/// What a download shows besides the random string.
pub(super) struct TicketClaim<'a> {
    pub(super) purpose: &'a str,
    pub(super) token: &'a str,
    pub(super) peer: IpAddr,
}

/// Every random string given out, spent ones included.
pub(super) struct Tickets {
    life: Duration,
    known: HashMap<String, (IssuedTicket, bool)>,
}

impl Tickets {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            life,
            known: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, random: &str, ticket: IssuedTicket) {
        if self.known.len() >= MAX_REMEMBERED_TICKETS {
            let (life, now) = (self.life, ticket.issued);
            self.known
                .retain(|_, (old, spent)| !*spent && old.age(now) < life);
        }
        self.known.insert(random.to_owned(), (ticket, false));
    }

    /// Spends a random string and returns its age. It is spent also when refused.
    pub(super) fn spend(
        &mut self,
        random: &str,
        claim: &TicketClaim<'_>,
        now: Instant,
    ) -> Result<Duration, TicketRefusal> {
        let (ticket, spent) = self.known.get_mut(random).ok_or(TicketRefusal::Unknown)?;
        if std::mem::replace(spent, true) {
            return Err(TicketRefusal::Spent);
        }
        let age = ticket.age(now);
        if age >= self.life {
            return Err(TicketRefusal::Stale);
        }
        ticket.admits(claim).map(|()| age)
    }

    /// Makes a spent random string good again, for as long as it would have lived.
    pub(super) fn restore(&mut self, random: &str) {
        if let Some((_, spent)) = self.known.get_mut(random) {
            *spent = false;
        }
    }

    /// Lets every random string become stale now.
    pub(super) fn expire_all(&mut self) {
        self.known.clear();
    }
}

impl IssuedTicket {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.issued)
    }

    fn admits(&self, claim: &TicketClaim<'_>) -> Result<(), TicketRefusal> {
        if self.purpose != claim.purpose {
            return Err(TicketRefusal::OtherPurpose);
        }
        if self.requester != claim.peer && self.allowed != Some(claim.peer) {
            return Err(TicketRefusal::OtherAddress);
        }
        match &self.token {
            Some(token) if token != claim.token => Err(TicketRefusal::OtherToken),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

    #[track_caller]
    fn check(
        purpose: &str,
        token: &str,
        peer: IpAddr,
        seconds: u64,
        expected: Result<(), TicketRefusal>,
    ) {
        let issued = Instant::now();
        let ticket = IssuedTicket {
            purpose: "a.wav".into(),
            requester: PEER,
            allowed: Some(OTHER),
            token: Some("t".into()),
            issued,
        };
        let mut tickets = Tickets::new(Duration::from_secs(30));
        tickets.add("r", ticket);
        let (claim, now) = (
            TicketClaim {
                purpose,
                token,
                peer,
            },
            issued + Duration::from_secs(seconds),
        );
        assert_eq!(tickets.spend("r", &claim, now).map(drop), expected);
        assert_eq!(tickets.spend("r", &claim, now), Err(TicketRefusal::Spent));
        tickets.restore("r");
        assert_eq!(tickets.spend("r", &claim, now).map(drop), expected);
        assert_eq!(tickets.spend("x", &claim, now), Err(TicketRefusal::Unknown));
    }

    #[test]
    fn a_random_is_good_once_for_its_purpose() {
        check("a.wav", "t", PEER, 29, Ok(()));
        check("a.wav", "t", OTHER, 0, Ok(()));
        check("a.wav", "t", THIRD, 0, Err(TicketRefusal::OtherAddress));
        check("b.wav", "t", PEER, 0, Err(TicketRefusal::OtherPurpose));
        check("a.wav", "u", PEER, 0, Err(TicketRefusal::OtherToken));
        check("a.wav", "t", PEER, 30, Err(TicketRefusal::Stale));
    }
}
