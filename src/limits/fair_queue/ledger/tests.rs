//! The rules, each checked against a plain model of all events.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum LedgerStep {
    Arrive(usize),
    /// A waiting caller leaves.
    GiveUp(prop::sample::Index),
    /// A caller with a permit gives it back.
    GiveBack(prop::sample::Index),
    Resize(usize),
}

fn step() -> impl Strategy<Value = LedgerStep> {
    prop_oneof![
        6 => (0_usize..4).prop_map(LedgerStep::Arrive),
        2 => any::<prop::sample::Index>().prop_map(LedgerStep::GiveUp),
        5 => any::<prop::sample::Index>().prop_map(LedgerStep::GiveBack),
        1 => (1_usize..8).prop_map(LedgerStep::Resize),
    ]
}

/// A caller: its name, its principal, and its number in the ledger.
struct Caller {
    name: usize,
    principal: usize,
    number: u64,
}

/// The turns that a waiting principal has seen since it began to wait, or was last served.
struct Wait {
    since: usize,
    served: HashSet<usize>,
}

/// A ledger, and a plain model of its events.
struct LedgerModel {
    ledger: Ledger<usize>,
    total: usize,
    events: usize,
    /// In the order in which they came.
    waiting: Vec<Caller>,
    holding: Vec<Caller>,
    waits: HashMap<usize, Wait>,
}

impl LedgerModel {
    fn new(total: usize) -> Self {
        Self {
            ledger: Ledger::new(total),
            total,
            events: 0,
            waiting: Vec::new(),
            holding: Vec::new(),
            waits: HashMap::new(),
        }
    }

    fn apply(&mut self, step: LedgerStep) {
        self.events += 1;
        match step {
            LedgerStep::Arrive(principal) => self.arrive(principal),
            LedgerStep::GiveUp(index) if !self.waiting.is_empty() => {
                let caller = self.waiting.remove(index.index(self.waiting.len()));
                self.ledger.leave(&id(caller.principal), caller.number);
                if !self.waits_for(caller.principal) {
                    self.waits.remove(&caller.principal);
                }
            }
            LedgerStep::GiveBack(index) if !self.holding.is_empty() => {
                let caller = self.holding.remove(index.index(self.holding.len()));
                self.ledger.leave(&id(caller.principal), caller.number);
            }
            LedgerStep::GiveUp(_) | LedgerStep::GiveBack(_) => {}
            LedgerStep::Resize(total) => {
                self.total = total;
                self.ledger.resize(total);
            }
        }
        while let Some(name) = self.ledger.serve() {
            self.serve(name);
        }
        assert!(
            self.waiting.is_empty() || self.holding.len() >= self.total,
            "a permit is free and somebody waits"
        );
        for principal in 0..4 {
            let others = self
                .waiting
                .iter()
                .any(|caller| caller.principal != principal);
            assert_eq!(self.ledger.has_waiting_beside(&id(principal)), others);
        }
    }

    fn arrive(&mut self, principal: usize) {
        let (name, since) = (self.events, self.events);
        let served = HashSet::new();
        if !self.waits_for(principal) {
            self.waits.insert(principal, Wait { since, served });
        }
        let number = self.ledger.arrive(&id(principal), name);
        self.waiting.push(Caller {
            name,
            principal,
            number,
        });
    }

    /// Checks a permit that was given, and notes it.
    fn serve(&mut self, name: usize) {
        self.events += 1;
        let by_name = |caller: &Caller| caller.name == name;
        let index = self.waiting.iter().position(by_name).expect("they wait");
        let principal = self.waiting[index].principal;
        assert!(self.holding.len() < self.total, "more than there are");
        let mut before = self.waiting[..index].iter();
        assert!(before.all(|caller| caller.principal != principal));
        self.judge(principal);

        self.holding.push(self.waiting.remove(index));
        for wait in self.waits.values_mut() {
            wait.served.insert(principal);
        }
        self.waits.remove(&principal);
        if self.waits_for(principal) {
            let (since, served) = (self.events, HashSet::new());
            self.waits.insert(principal, Wait { since, served });
        }
    }

    /// Checks against the other waiting principals that it was this one's turn.
    fn judge(&self, principal: usize) {
        let half = (self.total / 2).max(1);
        let since = self.waits[&principal].since;
        let is_over = self.held(principal) >= half;
        for (other, wait) in self.waits.iter().filter(|(other, _)| **other != principal) {
            if self.held(*other) < half {
                assert!(!is_over, "more than half, while another waits");
                assert!(
                    !wait.served.contains(&principal),
                    "twice, while another waits"
                );
            }
            if is_over || self.held(*other) < half {
                assert!(since < wait.since, "before one who began earlier");
            }
        }
    }

    fn held(&self, principal: usize) -> usize {
        let own = |caller: &&Caller| caller.principal == principal;
        self.holding.iter().filter(own).count()
    }

    fn waits_for(&self, principal: usize) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|caller| caller.principal == principal)
    }
}

fn id(principal: usize) -> PrincipalId {
    PrincipalId::new("https://idp.example", &principal.to_string())
}

proptest! {
    #[test]
    fn any_sequence_of_steps_keeps_turns_and_loses_no_permit(
        total in 1_usize..8, steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut account = LedgerModel::new(total);
        for step in steps {
            account.apply(step);
        }
        let LedgerModel { mut ledger, total, waiting, holding, .. } = account;
        for caller in waiting.iter().chain(&holding) {
            ledger.leave(&id(caller.principal), caller.number);
        }
        // Nothing is left of callers that have gone, and all permits are back.
        prop_assert!(ledger.principals.is_empty() && ledger.turns.is_empty());
        for name in 0..=total {
            ledger.arrive(&id(0), name);
            prop_assert_eq!(ledger.serve(), (name < total).then_some(name));
        }
    }
}

fn letter(name: char) -> PrincipalId {
    PrincipalId::new("", &name.to_string())
}

/// Lets principals arrive, one letter each, in groups with `.` between them: a group comes when the
/// one before has been served as far as it can be. Then permits come back in the order in which
/// they were given. Returns that order.
fn served(total: usize, troops: &str) -> String {
    let mut ledger = Ledger::new(total);
    let mut numbers = Vec::new();
    let mut order = Vec::new();
    for troop in troops.split('.') {
        for name in troop.chars() {
            let index = numbers.len();
            numbers.push((name, ledger.arrive(&letter(name), index)));
        }
        order.extend(std::iter::from_fn(|| ledger.serve()));
    }
    let mut given_back = 0;
    while let Some(index) = order.get(given_back) {
        let (name, number) = numbers[*index];
        ledger.leave(&letter(name), number);
        given_back += 1;
        order.extend(std::iter::from_fn(|| ledger.serve()));
    }
    order.iter().map(|index| numbers[*index].0).collect()
}

#[track_caller]
fn check(total: usize, troops: &str, expected: &str) {
    assert_eq!(served(total, troops), expected, "{total} {troops}");
}

#[test]
fn principals_take_turns() {
    check(1, "aaaab", "abaaa");
    check(1, "aaabbc", "abcaba");
    check(2, "aaaabb", "ababaa");
    // A principal that comes back later starts anew.
    check(1, "ab.aab", "ababa");
}

#[test]
fn a_principal_gets_more_than_half_only_while_it_waits_alone() {
    check(4, "aaaa.aabbb", "aaaabbaab");
    check(3, "aaa.aabb", "aaababa");
    check(4, "aaaaaab", "abaaaaa");
}
