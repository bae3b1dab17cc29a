//! Who may hear what: policies decide, over HTTP as in `explain` and in the tests of the configuration.

mod claims;
mod explain;
mod explain_served;
mod files;
mod hidden;

use crate::harness::policies::{STARTERS, agent, outcome, pbx};
