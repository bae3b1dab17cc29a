//! The tickets of the S-Series and the Cloud PBX: the one-time strings ("random") of get_random.
//!
//! Knows what each ticket opens, and that it works once. Does not know the lifetime of tokens, or
//! files.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files": valid for 30 s, once, for
//! the application and for the address in `allowedip`. Assumptions: a ticket is bound to its
//! purpose, and the first request that shows it spends it, whatever the result.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The number of tickets at which spent and stale ones are dropped.
const MAX_REMEMBERED_TICKETS: usize = 100_000;

/// The conditions of one ticket.
#[derive(Clone, Debug)]
pub(super) struct IssuedTicket {
    /// The name of the recording that it opens, or the parameters of the CDR.
    pub(super) purpose: String,
    /// The address of the application: the one that requested the ticket, or that logged in.
    pub(super) requester: IpAddr,
    /// The address in `allowedip`, if the request had a valid one.
    pub(super) allowed: Option<IpAddr>,
    /// If set, only this token may use the ticket.
    pub(super) token: Option<String>,
    pub(super) issued: Instant,
}

/// The reason why a ticket opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketRefusal {
    Unknown,
    Spent,
    Stale,
    OtherPurpose,
    OtherAddress,
    OtherToken,
}

/// The values that a download sends with its ticket, and the address it comes from.
pub(super) struct TicketClaim<'a> {
    pub(super) purpose: &'a str,
    pub(super) token: &'a str,
    pub(super) peer: IpAddr,
}

/// All tickets by their random string, each with a flag that is true once it is spent.
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

    /// Spends a ticket and returns its age. A ticket that is refused is spent as well.
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

    /// Makes a spent ticket good again, until its lifetime ends.
    pub(super) fn restore(&mut self, random: &str) {
        if let Some((_, spent)) = self.known.get_mut(random) {
            *spent = false;
        }
    }

    /// Forgets every ticket, so that none of them opens anything.
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
    fn a_ticket_opens_its_purpose_once() {
        check("a.wav", "t", PEER, 29, Ok(()));
        check("a.wav", "t", OTHER, 0, Ok(()));
        check("a.wav", "t", THIRD, 0, Err(TicketRefusal::OtherAddress));
        check("b.wav", "t", PEER, 0, Err(TicketRefusal::OtherPurpose));
        check("a.wav", "u", PEER, 0, Err(TicketRefusal::OtherToken));
        check("a.wav", "t", PEER, 30, Err(TicketRefusal::Stale));
    }
}
