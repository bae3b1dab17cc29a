//! TLS on both sides: certificates, their pins, trust in a peer, and the certificate of the public
//! listener.
//!
//! Knows rustls and X.509. Does not know the data sent over a connection.

pub(crate) mod certificate;
pub(crate) mod client;
pub mod pin;
pub(crate) mod server;
pub mod trust;
