//! The ways to trust the certificate of a peer.
//!
//! Knows the three ways to trust. Does not know how they are checked; [`client`](super::client)
//! does.

use rustls::pki_types::CertificateDer;

use super::pin::Pin;

/// The way to verify a PBX's certificate. There is no way to skip it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxTrust {
    /// By the operating system's root certificates.
    System,
    /// By these CA certificates from a PEM file.
    Ca(Vec<CertificateDer<'static>>),
    /// By the SHA-256 of the leaf certificate. Its names and dates are then ignored.
    Pins(Vec<Pin>),
}
