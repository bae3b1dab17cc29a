//! Whose certificate is accepted as that of a peer.
//!
//! Knows the three ways to trust. Does not know how they are checked; [`client`](super::client) does.

use rustls::pki_types::CertificateDer;

use super::pin::Pin;

/// How a PBX's certificate is judged. There is no "not at all".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxTrust {
    /// By the operating system's roots.
    System,
    /// By these certificates, out of a PEM file.
    Ca(Vec<CertificateDer<'static>>),
    /// By the SHA-256 of the leaf certificate; its names and dates are then not looked at.
    Pins(Vec<Pin>),
}
