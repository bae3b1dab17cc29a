//! Access to recordings: policies decide over HTTP, in `explain`, and in the tests of the
//! configuration in the same way.

mod claims;
mod explain;
mod explain_served;
mod files;
mod hidden;

use crate::harness::policies::{STARTERS, agent, outcome, pbx};
