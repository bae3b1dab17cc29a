//! Mistakes in a configured key.
//!
//! Knows the mistakes, in words for the operator. Does not know the key: no text holds any of it.

use crate::auth::algorithm::Algorithm;

/// The reason why a configured value is not a usable key. The text is for the operator.
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
    /// The text has no PEM block.
    #[error("no PEM block (one starts with -----BEGIN)")]
    NotPem,
    /// The PEM block has no proper end, or is not base64.
    #[error("the PEM block is damaged")]
    BrokenPem,
    /// The text has more than one PEM block, so the choice is unclear.
    #[error("more than one PEM block; leave only the key, or only the certificate that holds it")]
    SeveralBlocks,
    /// A private key was given where only a public one is allowed.
    #[error(
        "this is a private key, which does not belong here; extract the public key with openssl pkey -pubout"
    )]
    Private,
    /// A public key was given where signing needs the private one.
    #[error("this is not a private key; signing needs one, in PKCS#8 form (BEGIN PRIVATE KEY)")]
    NotPrivate,
    /// The private key needs a passphrase.
    #[error("the private key is encrypted; it is needed without a passphrase")]
    Encrypted,
    /// The private key is in the older form of SEC 1.
    #[error("the private key is not in PKCS#8 form; convert it with openssl pkcs8 -topk8 -nocrypt")]
    NotPkcs8,
    /// The PEM block is of another kind.
    #[error("the PEM block is neither a public key nor a certificate")]
    UnknownBlock,
    /// The contents of the block are not a supported kind of key.
    #[error("not a key that is understood: RSA, P-256, P-384 or Ed25519")]
    Unreadable,
    /// The key is valid, but of another kind than the algorithm needs.
    #[error("{algorithm} needs {needed}, this is {found}")]
    WrongKind {
        /// The algorithm the key was given for.
        algorithm: Algorithm,
        /// The kind that it needs, as in "an RSA key".
        needed: &'static str,
        /// The kind that was given, in the same words.
        found: &'static str,
    },
    /// The private key cannot sign with this algorithm.
    #[error("not a private key that {0} can sign with")]
    CannotSign(Algorithm),
    /// The RSA modulus is too short or too long.
    #[error("the RSA key has {0} bits; accepted are 2048 to 8192")]
    RsaBits(usize),
}
