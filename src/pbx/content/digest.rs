//! A running digest over the bytes of a recording, to tell whether a further pass brings the same.
//!
//! Knows nothing but bytes. XXH3 with 128 bits and a seed made at start: fast enough to run beside
//! every transfer, and nobody outside can aim at a collision.

use std::sync::LazyLock;

use aws_lc_rs::rand;
use twox_hash::xxhash3_128::Hasher;

static SEED: LazyLock<u64> = LazyLock::new(|| {
    let mut seed = [0; 8];
    // Without randomness the seed stays 0, and the hash still tells bytes apart.
    let _ = rand::fill(&mut seed);
    u64::from_le_bytes(seed)
});

/// Hashes bytes as they come. Its state is large, and moves with the reading.
pub(in crate::pbx) struct ContentHasher(Box<Hasher>);

/// The digest of the first `at` bytes of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentDigest {
    pub(crate) at: u64,
    hash: u128,
}

impl ContentHasher {
    pub(in crate::pbx) fn new() -> Self {
        Self(Box::new(Hasher::with_seed(*SEED)))
    }

    pub(in crate::pbx) fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The digest of the `at` bytes that were written.
    pub(in crate::pbx) fn digest(&self, at: u64) -> ContentDigest {
        ContentDigest {
            at,
            hash: self.0.finish_128(),
        }
    }
}
