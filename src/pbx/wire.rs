//! The wire to one PBX: connections, calls and answers, before it is known what they are about.
//!
//! Knows sockets, TLS, HTTP and time limits. Does not know accounts, recordings or lists.

pub(in crate::pbx) mod answer;
pub(in crate::pbx) mod attempts;
pub(in crate::pbx) mod body_end;
pub(in crate::pbx) mod call_metrics;
pub(in crate::pbx) mod connection;
pub(in crate::pbx) mod connection_pool;
pub(in crate::pbx) mod http1;
pub(in crate::pbx) mod pending_response;
pub(in crate::pbx) mod probe;
pub(in crate::pbx) mod read_ahead;
pub(in crate::pbx) mod time_limit;
pub(in crate::pbx) mod transport;
