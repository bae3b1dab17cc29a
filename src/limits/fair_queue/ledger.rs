//! The rules of a fair queue: which principal holds how many permits, which wait, which is next.
//!
//! Knows the rules. Does not know how a task waits, or what a permit is for. Pure: no clock, no
//! tasks.
//!
//! Principals take turns, in the order in which they began to wait; within a principal, the first
//! to come is the first served. While a principal waits that holds less than half of all permits,
//! no principal gets more than half. No task waits while a permit is free.

use std::collections::{BTreeMap, HashMap};

use crate::principal::PrincipalId;

/// The permits that are out, and the waiting tasks, each with a value of `W`.
pub(super) struct Ledger<W> {
    total: usize,
    out: usize,
    /// Every principal that holds a permit or waits for one.
    principals: HashMap<PrincipalId, PrincipalRecord<W>>,
    /// The waiting principals, in the order of their turns.
    turns: BTreeMap<u64, PrincipalId>,
    /// The number of the last arrival or turn.
    next: u64,
}

/// The permits and the waiting tasks of one principal.
struct PrincipalRecord<W> {
    held: usize,
    /// The principal's key in `turns`, while it waits.
    turn: u64,
    /// Its waiting tasks, in the order in which they came.
    waiting: BTreeMap<u64, W>,
}

impl<W> Ledger<W> {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            out: 0,
            principals: HashMap::new(),
            turns: BTreeMap::new(),
            next: 0,
        }
    }

    /// Adds a waiting task. Returns its number.
    pub(super) fn arrive(&mut self, who: &PrincipalId, waiter: W) -> u64 {
        let number = self.number();
        let record = self.principals.entry(who.clone()).or_default();
        if record.waiting.is_empty() {
            record.turn = number;
            self.turns.insert(number, who.clone());
        }
        record.waiting.insert(number, waiter);
        number
    }

    /// Removes a task: from the queue, or with the permit that it got.
    pub(super) fn leave(&mut self, who: &PrincipalId, number: u64) {
        let Some(record) = self.principals.get_mut(who) else {
            return;
        };
        if record.waiting.remove(&number).is_none() {
            record.held = record.held.saturating_sub(1);
            self.out = self.out.saturating_sub(1);
        } else if record.waiting.is_empty() {
            self.turns.remove(&record.turn);
        }
        if record.held == 0 && record.waiting.is_empty() {
            self.principals.remove(who);
        }
    }

    /// Changes the number of permits. If more are out, the surplus goes as it comes back.
    pub(super) fn resize(&mut self, total: usize) {
        self.total = total;
    }

    /// The number of permits that are free.
    pub(super) fn free(&self) -> usize {
        self.total.saturating_sub(self.out)
    }

    /// Gives a permit to the next waiting task, if one is free. Call it after every change, until
    /// it returns `None`.
    pub(super) fn serve(&mut self) -> Option<W> {
        if self.out >= self.total {
            return None;
        }
        let turn = self.first()?;
        let who = self.turns.remove(&turn)?;
        let number = self.number();
        let record = self.principals.get_mut(&who)?;
        let (_, waiter) = record.waiting.pop_first()?;
        record.held += 1;
        self.out += 1;
        if !record.waiting.is_empty() {
            record.turn = number;
            self.turns.insert(number, who);
        }
        Some(waiter)
    }

    /// True if a principal other than `who` waits.
    pub(super) fn has_waiting_beside(&self, who: &PrincipalId) -> bool {
        self.turns.values().any(|waiting| waiting != who)
    }

    /// The first turn of a principal that holds less than half. If all waiting principals hold half
    /// or more, the first turn of all.
    fn first(&self) -> Option<u64> {
        let half = (self.total / 2).max(1);
        let holds_less = |who: &PrincipalId| {
            self.principals
                .get(who)
                .is_some_and(|record| record.held < half)
        };
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

impl<W> Default for PrincipalRecord<W> {
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
