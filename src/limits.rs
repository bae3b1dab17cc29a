//! The ways to bound a number: by time, at once, in turns.
//!
//! | type | bounds |
//! |---|---|
//! | [`rate::RateLimit`] | the number per minute or second, for each key |
//! | [`principal_rate::PrincipalRate`] | the same for each principal, over all instances of a fleet |
//! | [`concurrency::ConcurrencyLimit`] | the number at once |
//! | [`streams::StreamLimit`] | the number at once, in all and for each principal |
//! | [`fair_queue::FairQueue`] | the number at once; waiting principals take turns |
//! | [`bandwidth::BandwidthLimit`] | bytes per second |
//!
//! Knows numbers and opaque keys to count by. Does not know what is bounded, or who a principal is.

pub(crate) mod bandwidth;
pub(crate) mod concurrency;
pub(crate) mod fair_queue;
pub(crate) mod principal_rate;
pub mod rate;
pub(crate) mod streams;
