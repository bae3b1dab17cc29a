//! HTTP as its RFCs define it, apart from connections: conditions, ranges, tags, problem documents
//! and header fields.
//!
//! Knows RFC 9110, 9111 and 9457. Does not know credentials, rights or sockets. Pure: no clock, no
//! I/O.

pub(crate) mod conditions;
pub(crate) mod error_row;
pub(crate) mod etag;
pub(crate) mod headers;
pub mod problem;
pub(crate) mod range;
