//! Cache of recently verified bearer tokens, so that the next range of a player costs no signature
//! check.
//!
//! Knows tokens by their hash only, and how long a result is valid: until the token expires or the
//! keys of its issuer change. Does not know how a token is verified. A token that is not used any
//! more stays until others need its room.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::claims::{Clock, Validity};
use super::principal::Principal;

/// The most bytes of all remembered tokens: about ten thousand tokens, or fewer with many
/// attributes.
const MAX_TOTAL_BYTES: u64 = 16 << 20;
/// Bytes counted for one token, besides its attributes.
const BASE_TOKEN_BYTES: usize = 1024;
/// The number of tokens that the cache is laid out for.
const USUAL_TOKENS: usize = 1024;

/// Tokens that were verified. Clones share them.
#[derive(Clone)]
pub(super) struct VerifiedTokens(Arc<Cache<[u8; 32], Arc<VerifiedToken>, TokenBytes>>);

/// Counts the bytes of a token.
#[derive(Clone)]
struct TokenBytes;

#[derive(Debug)]
struct VerifiedToken {
    principal: Principal,
    validity: Validity,
    /// The generation of the keys that verified it.
    generation: u64,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::with_weighter(
            USUAL_TOKENS,
            MAX_TOTAL_BYTES,
            TokenBytes,
        )))
    }

    /// The principal of a token, if it was verified with the current keys and has not expired.
    /// `generation_of` gives the generation of an issuer's current keys.
    pub(super) fn find(
        &self,
        token: &str,
        clock: &Clock,
        generation_of: impl FnOnce(&str) -> Option<u64>,
    ) -> Option<Principal> {
        let hash = hash(token);
        let known = self.0.get(&hash)?;
        let in_force = generation_of(known.principal.issuer()) == Some(known.generation);
        if in_force && !clock.has_expired(&known.validity) {
            return Some(known.principal.clone());
        }
        self.0.remove(&hash);
        None
    }

    /// Remembers a token that has been verified and has passed all other checks.
    pub(super) fn insert(
        &self,
        token: &str,
        principal: &Principal,
        validity: Validity,
        generation: u64,
    ) {
        let token_hash = hash(token);
        self.0.insert(
            token_hash,
            Arc::new(VerifiedToken {
                principal: principal.clone(),
                validity,
                generation,
            }),
        );
    }
}

impl Weighter<[u8; 32], Arc<VerifiedToken>> for TokenBytes {
    fn weight(&self, _: &[u8; 32], token: &Arc<VerifiedToken>) -> u64 {
        (BASE_TOKEN_BYTES + token.principal.attributes().bytes()) as u64
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifiedTokens")
            .field("count", &self.0.len())
            .finish()
    }
}

fn hash(token: &str) -> [u8; 32] {
    let digest = digest(&SHA256, token.as_bytes());
    // SHA-256 has 32 bytes.
    digest.as_ref().try_into().unwrap_or_default()
}
