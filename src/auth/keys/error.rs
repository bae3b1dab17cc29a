//! What is wrong with a key in the configuration.
//!
//! Knows the mistakes, in words for whoever made them. Does not know the key: no text holds any of it.

use crate::auth::algorithm::Algorithm;

/// Why something in the configuration is not a key; the text is for whoever wrote the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A secret was given for an algorithm that needs a public key.
    #[error("{0} does not work with a secret; it needs a key in a PEM file")]
    NeedsPem(Algorithm),
    /// A PEM file was given for an algorithm that needs a secret.
    #[error("{0} does not work with a PEM file; it needs a shared secret")]
    NeedsSecret(Algorithm),
    /// The secret is a PEM file: published keys must not become secrets.
    #[error("the secret is a PEM file; choose the algorithm of that key, or another secret")]
    SecretIsPem,
    /// The secret is shorter than the hash.
    #[error("{algorithm} needs a secret of at least {min_bytes} bytes, this one has {found}")]
    SecretTooShort {
        /// The algorithm the secret is for.
        algorithm: Algorithm,
        /// The shortest secret accepted, in bytes.
        min_bytes: usize,
        /// The length of the secret that was given, in bytes.
        found: usize,
    },
    /// There is no PEM block.
    #[error("no PEM block (one starts with -----BEGIN)")]
    NotPem,
    /// The PEM block has no proper end, or is not base64.
    #[error("the PEM block is damaged")]
    BrokenPem,
    /// There is more than one PEM block, so it is not clear which is meant.
    #[error("more than one PEM block; leave only the key, or only the certificate that holds it")]
    SeveralBlocks,
    /// A private key where only the public one belongs.
    #[error(
        "this is a private key, which does not belong here; extract the public key with openssl pkey -pubout"
    )]
    Private,
    /// A public key where signing needs the private one.
    #[error("this is not a private key; signing needs one, in PKCS#8 form (BEGIN PRIVATE KEY)")]
    NotPrivate,
    /// A private key that needs a passphrase.
    #[error("the private key is encrypted; it is needed without a passphrase")]
    Encrypted,
    /// A private key in the older form of SEC 1.
    #[error("the private key is not in PKCS#8 form; convert it with openssl pkcs8 -topk8 -nocrypt")]
    NotPkcs8,
    /// A PEM block of another kind.
    #[error("the PEM block is neither a public key nor a certificate")]
    UnknownBlock,
    /// The contents of the block are not a key of a kind that is known here.
    #[error("not a key that is understood: RSA, P-256, P-384 or Ed25519")]
    Unreadable,
    /// The key is sound, but of another kind than the algorithm needs.
    #[error("{algorithm} needs {needed}, this is {found}")]
    WrongKind {
        /// The algorithm the key was given for.
        algorithm: Algorithm,
        /// What it needs, as in "an RSA key".
        needed: &'static str,
        /// What was given, in the same words.
        found: &'static str,
    },
    /// The private key cannot sign with this algorithm.
    #[error("not a private key that {0} can sign with")]
    CannotSign(Algorithm),
    /// The RSA modulus is too short or too long.
    #[error("the RSA key has {0} bits; accepted are 2048 to 8192")]
    RsaBits(usize),
}
