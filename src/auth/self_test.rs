//! A self-test at start-up: signatures are made and verified.
//!
//! Knows that a signature of one key must verify with that key and with no other. Does not know the
//! configured keys. A crypto library that was built without a backend compiles and fails only when
//! it is used, so it is used once before any request is answered.

use super::algorithm::Algorithm;
use super::error::AuthError;
use super::key_id::KeyId;
use super::keys::{self, VerifyingKey};
use super::mint::SigningKey;
use super::token::{CompactToken, MAX_TOKEN_BYTES};
use crate::secret::Secret;

/// The crypto library does not work, so no request may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the crypto library failed its self-test")]
pub struct SelfTestError;

/// Signs with a fresh key, and verifies with that key and with another one.
///
/// # Errors
/// When the right key does not verify the signature, or the wrong one does.
pub fn self_test() -> Result<(), SelfTestError> {
    let (right, wrong) = (random_secret()?, random_secret()?);
    let signing_key =
        SigningKey::secret(None, Algorithm::Hs256, &right).map_err(|_| SelfTestError)?;
    let token = signing_key
        .token(&serde_json::Map::new())
        .map_err(|_| SelfTestError)?;
    let verified = (verify(&token, &right)?, verify(&token, &wrong)?);
    if verified == (Ok(()), Err(AuthError::Signature(KeyId::default()))) {
        Ok(())
    } else {
        Err(SelfTestError)
    }
}

fn verify(token: &str, secret: &Secret) -> Result<Result<(), AuthError>, SelfTestError> {
    let key = VerifyingKey::secret(None, Algorithm::Hs256, secret).map_err(|_| SelfTestError)?;
    let token = CompactToken::decode(token, MAX_TOKEN_BYTES).map_err(|_| SelfTestError)?;
    let header = token.header().map_err(|_| SelfTestError)?;
    Ok(keys::verify(&[key], &header, &token).map(|_| ()))
}

fn random_secret() -> Result<Secret, SelfTestError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SelfTestError)?;
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crypto_library_passes() {
        assert_eq!(self_test(), Ok(()));
    }
}
