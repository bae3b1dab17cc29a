//! The ways to bound: a rate, a number at once, a fair queue, and bytes per second.
//!
//! Knows numbers and opaque keys to count by. Does not know what is bounded, or who a principal is.

pub(crate) mod bandwidth;
pub(crate) mod concurrency;
pub(crate) mod fair_queue;
pub mod rate;
pub(crate) mod reads;
pub(crate) mod streams;
