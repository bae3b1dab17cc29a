//! Downloads: from the name of a recording to its bytes.
//!
//! Knows the order of permit, token, ticket and answer, and how a download that breaks off is mended.
//! Does not know who listens.

pub(in crate::pbx) mod excerpt;
pub(in crate::pbx) mod fetch;
pub(in crate::pbx) mod opening;
pub(in crate::pbx) mod reading;
pub(in crate::pbx) mod recording_request;
pub(in crate::pbx) mod silence;
pub(in crate::pbx) mod stream;
pub(in crate::pbx) mod ticket;
