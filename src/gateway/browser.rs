//! Answers for browsers: pages, sessions, CORS and frames, and checks on requests of other sites.
//!
//! Knows browsers. Does not know recordings or PBXs.

pub(crate) mod cors;
pub(crate) mod frames;
pub(crate) mod navigation;
pub(crate) mod page;
pub(in crate::gateway) mod session;
pub(crate) mod sites;
