//! The one PEM block of a key file.
//!
//! Knows labels and base64. Does not know what the contents mean.
//!
//! Source: RFC 7468 §2 (text before and after the block is allowed and ignored) and §§5, 10-13
//! (labels).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::auth::keys::KeyError;

/// The text at the start of every block.
pub(in crate::auth) const BEGIN: &str = "-----BEGIN ";

/// The label of a block and its contents. These may be a private key, so they are wiped when
/// dropped.
pub(in crate::auth) struct PemBlock<'t> {
    pub(in crate::auth) label: &'t str,
    pub(in crate::auth) der: Zeroizing<Vec<u8>>,
}

impl PemBlock<'_> {
    /// Returns true if the contents are a private key.
    pub(in crate::auth) fn is_private(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

/// Reads the only block of a text.
///
/// # Errors
/// When there is no block or more than one, or when its end or its base64 is broken.
pub(in crate::auth) fn read(text: &[u8]) -> Result<PemBlock<'_>, KeyError> {
    let text = str::from_utf8(text).map_err(|_| KeyError::NotPem)?;
    let (_, begun) = text.split_once(BEGIN).ok_or(KeyError::NotPem)?;
    let (label, begun) = begun.split_once("-----").ok_or(KeyError::BrokenPem)?;
    let (body, after) = begun.split_once("-----END ").ok_or(KeyError::BrokenPem)?;
    if !after
        .strip_prefix(label)
        .is_some_and(|rest| rest.starts_with("-----"))
    {
        return Err(KeyError::BrokenPem);
    }
    if after.contains(BEGIN) {
        return Err(KeyError::SeveralBlocks);
    }
    let body: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    let der = STANDARD
        .decode(body.as_slice())
        .map_err(|_| KeyError::BrokenPem)?;
    Ok(PemBlock {
        label,
        der: Zeroizing::new(der),
    })
}

/// Returns true if a text holds a private key anywhere.
pub(in crate::auth) fn holds_private_key(text: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    text.windows(MARK.len()).any(|window| window == MARK)
}
