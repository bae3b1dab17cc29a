//! Encryption of the values that lie in the store, and keyed names for what they are about.
//!
//! Knows the key of the fleet. Does not know the store. A value is bound to its place: it cannot be
//! read at another one, nor in another fleet.

use std::fmt::Write;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;

use crate::secret::Secret;

/// Bytes of a keyed name: far too many to meet by chance.
const NAME_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// The keys that are made from the secret of the fleet.
pub(super) struct Seal {
    values: RandomizedNonceKey,
    names: hmac::Key,
    fleet: String,
}

impl Seal {
    /// # Errors
    /// Where the crypto library refuses to make a key.
    pub(super) fn new(secret: &Secret, fleet: &str) -> Result<Self, String> {
        let failed = |_| "the keys of the fleet cannot be made".to_owned();
        let mut values = [0; KEY_BYTES];
        let mut names = [0; KEY_BYTES];
        let secret = Salt::new(HKDF_SHA256, b"wavegate fleet 1").extract(secret.expose());
        for (purpose, key) in [("values", &mut values), ("names", &mut names)] {
            let info = [purpose.as_bytes()];
            let made = secret.expand(&info, HKDF_SHA256);
            made.and_then(|made| made.fill(key)).map_err(failed)?;
        }
        Ok(Self {
            values: RandomizedNonceKey::new(&AES_256_GCM, &values).map_err(failed)?,
            names: hmac::Key::new(hmac::HMAC_SHA256, &names),
            fleet: fleet.to_owned(),
        })
    }

    /// Encrypts a value for its place; `None` where the system has no randomness.
    pub(super) fn seal(&self, place: &str, value: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = value.to_vec();
        let aad = Aad::from(self.context(place));
        let nonce = self.values.seal_in_place_append_tag(aad, &mut sealed);
        let mut bytes = nonce.ok()?.as_ref().to_vec();
        bytes.append(&mut sealed);
        Some(bytes)
    }

    /// Reads a value at its place; `None` where it was not sealed for this place with this key.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let aad = Aad::from(self.context(place));
        let value = self.values.open_in_place(nonce, aad, &mut bytes).ok()?;
        Some(Secret::new(&*value))
    }

    /// A name for something that the store must not tell, such as a person: the same in all
    /// instances, and of no use without the key.
    pub(super) fn name(&self, kind: &str, what: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.names);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(what);
        let tag = context.sign();
        let mut name = String::with_capacity(2 * NAME_BYTES);
        for byte in tag.as_ref().iter().take(NAME_BYTES) {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    fn context(&self, place: &str) -> Vec<u8> {
        [self.fleet.as_bytes(), b"\0", place.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str, fleet: &str) -> Seal {
        Seal::new(&Secret::new(secret), fleet).unwrap()
    }

    #[test]
    fn a_value_opens_at_its_own_place_of_its_own_fleet_alone() {
        let own = seal("one secret", "office");
        let sealed = own.seal("token of a", b"value").unwrap();
        assert_eq!(own.open("token of a", &sealed).unwrap().expose(), b"value");
        assert!(own.open("token of b", &sealed).is_none());
        assert!(
            seal("one secret", "branch")
                .open("token of a", &sealed)
                .is_none()
        );
        assert!(
            seal("another", "office")
                .open("token of a", &sealed)
                .is_none()
        );
    }

    #[test]
    fn a_value_with_any_other_byte_does_not_open() {
        let own = seal("secret", "office");
        let sealed = own.seal("place", b"value").unwrap();
        for index in 0..sealed.len() {
            let mut other = sealed.clone();
            other[index] ^= 1;
            assert!(own.open("place", &other).is_none(), "{index}");
            assert!(own.open("place", &sealed[..index]).is_none(), "{index}");
        }
        assert_ne!(
            own.seal("place", b"value").unwrap(),
            sealed,
            "a nonce of its own"
        );
    }

    #[test]
    fn a_name_is_the_same_for_all_who_have_the_key_and_tells_nothing() {
        let name = seal("secret", "office").name("principal", b"alice");
        assert_eq!(seal("secret", "office").name("principal", b"alice"), name);
        assert_ne!(seal("secret", "office").name("address", b"alice"), name);
        assert_ne!(seal("other", "office").name("principal", b"alice"), name);
        assert_eq!(name.len(), 2 * NAME_BYTES);
    }
}
