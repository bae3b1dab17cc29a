//! For every variant of a PBX that is known or assumed of the S-Series, its recordings come
//! through, or one problem clearly names the cause.
//!
//! Every switch of the simulator is a row of the table in [`table`], for every generation it
//! applies to. A row is useful only if its result differs without its switch, so that is tested,
//! too.

mod allowed_ip;
mod case;
mod documents;
mod outcome;
mod setup;
mod table;

use std::collections::HashMap;

use wavegate::simulator::{Api, Switch};

use case::Case;
use setup::Observed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_and_switch_gives_the_bytes_or_its_problem() {
    let versions = Api::ALL.iter().copied();
    let tables: Vec<_> = versions.map(|api| tokio::spawn(all_rows(api))).collect();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for table in tables {
        let (ran, failures) = table.await.unwrap();
        rows += ran;
        wrong.extend(failures);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let of = |switch: &Switch| {
        Api::ALL
            .iter()
            .filter(|api| switch.applies_to(**api))
            .count()
    };
    assert_eq!(rows, Switch::ALL.iter().map(of).sum::<usize>());
}

#[tokio::test]
async fn a_pbx_of_another_version_than_configured_is_named_as_such() {
    for &pbx in Api::ALL {
        for &configured in Api::ALL {
            let case = Case::fetch().api(configured);
            let case = if is_same_path(pbx, configured) {
                case
            } else if pbx == Api::PSeries || configured == Api::PSeries {
                // The PBX answers with a page, since it does not have this path.
                case.problem("pbx-protocol")
            } else {
                case.problem("pbx-api-unsupported")
            };
            let observed = case.run(pbx, None).await;
            assert_eq!(
                case.complaint(&observed),
                None,
                "{configured} for a PBX of {pbx}"
            );
        }
    }
}

/// A Cloud PBX has the same paths as an S-Series of the same version.
fn is_same_path(pbx: Api, configured: Api) -> bool {
    let version = |api: Api| api.as_str().rsplit_once('-').map(|(_, version)| version);
    pbx == configured || version(pbx) == version(configured)
}

/// Runs the rows of one generation. Returns their number and the failures.
async fn all_rows(api: Api) -> (usize, Vec<String>) {
    let mut without = Without {
        api,
        known: HashMap::new(),
    };
    let mut wrong = Vec::new();
    let mut rows = 0;
    for &switch in Switch::ALL.iter().filter(|switch| switch.applies_to(api)) {
        wrong.extend(row(switch, &mut without).await);
        rows += 1;
    }
    (rows, wrong)
}

async fn row(switch: Switch, without: &mut Without) -> Vec<String> {
    let api = without.api;
    let mut wrong = Vec::new();
    let mut differs = false;
    let cases = table::cases(switch, api);
    if cases.is_empty() {
        wrong.push(format!("{api} {switch}: the table has no case for it"));
        return wrong;
    }
    for case in cases {
        for case in case.on_cache().iter().chain([&case]) {
            let observed = case.run(api, Some(switch)).await;
            if let Some(complaint) = case.complaint(&observed) {
                wrong.push(format!("{api} {switch}, {case:?}: {complaint}"));
            }
        }
        differs |= case.complaint(without.observe(&case).await).is_some();
    }
    match (differs, table::makes_no_difference(switch)) {
        (false, None) => wrong.push(format!("{api} {switch}: no case shows the switch at work")),
        (true, Some(_)) => wrong.push(format!("{api} {switch}: it does make a difference")),
        (true, None) | (false, Some(_)) => {}
    }
    wrong
}

/// The results of cases at a PBX without any switch of its own.
struct Without {
    api: Api,
    known: HashMap<String, Observed>,
}

impl Without {
    /// Several cases differ only in what they expect, so they share one result.
    async fn observe(&mut self, case: &Case) -> &Observed {
        let key = case.setup();
        if !self.known.contains_key(&key) {
            let observed = case.run(self.api, None).await;
            self.known.insert(key.clone(), observed);
        }
        &self.known[&key]
    }
}
