//! The books of a queue: who holds how many permits, who waits, and who is next.
//!
//! Knows the rules. Does not know what waiting is, nor what a permit is for. Pure: no clock, no tasks.
//!
//! Whose turn it is goes round by principal, in the order in which they began to wait; within one it is first come, first
//! served. While somebody waits who holds less than half of all, nobody gets more than half. Nobody waits while a permit
//! is free.

use std::collections::{BTreeMap, HashMap};

use crate::principal::PrincipalId;

/// Permits that are out, and those who wait for one, each with a value of `W`.
pub(super) struct Ledger<W> {
    total: usize,
    out: usize,
    /// Every principal that holds or awaits something.
    parties: HashMap<PrincipalId, Party<W>>,
    /// The principals that wait, by whose turn comes first.
    turns: BTreeMap<u64, PrincipalId>,
    /// The number of the next arrival or turn.
    next: u64,
}

/// One principal.
struct Party<W> {
    held: usize,
    /// Its key among the turns, while it waits.
    turn: u64,
    /// Those of it who wait, in the order in which they came.
    waiting: BTreeMap<u64, W>,
}

impl<W> Ledger<W> {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            out: 0,
            parties: HashMap::new(),
            turns: BTreeMap::new(),
            next: 0,
        }
    }

    /// Notes one more who waits. Returns the number that they are known by.
    pub(super) fn arrive(&mut self, who: &PrincipalId, waiter: W) -> u64 {
        let number = self.number();
        let party = self.parties.entry(who.clone()).or_default();
        if party.waiting.is_empty() {
            party.turn = number;
            self.turns.insert(number, who.clone());
        }
        party.waiting.insert(number, waiter);
        number
    }

    /// Notes that one has gone: out of the queue, or with the permit that they had got.
    pub(super) fn leave(&mut self, who: &PrincipalId, number: u64) {
        let Some(party) = self.parties.get_mut(who) else {
            return;
        };
        if party.waiting.remove(&number).is_none() {
            party.held = party.held.saturating_sub(1);
            self.out = self.out.saturating_sub(1);
        } else if party.waiting.is_empty() {
            self.turns.remove(&party.turn);
        }
        if party.held == 0 && party.waiting.is_empty() {
            self.parties.remove(who);
        }
    }

    /// Changes how many permits there are. Where more are out, the surplus goes as it comes back.
    pub(super) fn resize(&mut self, total: usize) {
        self.total = total;
    }

    /// Gives a permit to whoever is next, if one is free and somebody waits. To be called until there is nobody, after
    /// every change.
    pub(super) fn serve(&mut self) -> Option<W> {
        if self.out >= self.total {
            return None;
        }
        let turn = self.first()?;
        let who = self.turns.remove(&turn)?;
        let number = self.number();
        let party = self.parties.get_mut(&who)?;
        let (_, waiter) = party.waiting.pop_first()?;
        party.held += 1;
        self.out += 1;
        if !party.waiting.is_empty() {
            party.turn = number;
            self.turns.insert(number, who);
        }
        Some(waiter)
    }

    /// Whether anybody but `who` waits.
    pub(super) fn has_waiting_beside(&self, who: &PrincipalId) -> bool {
        self.turns.values().any(|waiting| waiting != who)
    }

    /// The first turn of a principal that holds less than half; where all that wait hold half, the first of all.
    fn first(&self) -> Option<u64> {
        let half = (self.total / 2).max(1);
        let holds_less =
            |who: &PrincipalId| self.parties.get(who).is_some_and(|party| party.held < half);
        let mut turns = self.turns.iter();
        let fair = turns.find(|(_, who)| holds_less(who));
        fair.or_else(|| self.turns.first_key_value())
            .map(|(turn, _)| *turn)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl<W> Default for Party<W> {
    fn default() -> Self {
        Self {
            held: 0,
            turn: 0,
            waiting: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
