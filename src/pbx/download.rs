//! Downloads: from the name of a recording to its bytes.
//!
//! Knows the order of permit, token, ticket and answer, and how a download that breaks off is
//! mended. Does not know who listens. Calls go one way: `reading` → `source` → `fetch` → `ticket`,
//! and `stream` carries the bytes back.

pub(in crate::pbx) mod excerpt;
pub(in crate::pbx) mod fetch;
mod idle_timer;
pub(in crate::pbx) mod permit;
pub(in crate::pbx) mod reading;
pub(in crate::pbx) mod recording_request;
pub(in crate::pbx) mod source;
pub(in crate::pbx) mod stream;
pub(in crate::pbx) mod ticket;
