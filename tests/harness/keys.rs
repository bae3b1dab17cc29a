//! Keys of the test's own, and tokens made with them byte by byte, including tokens that no library
//! would make.
//!
//! Knows how each algorithm signs. Shares nothing with the gateway's own mint.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A private key or a shared secret.
pub(crate) enum Key {
    Secret(Vec<u8>),
    Rsa(Box<rsa::KeyPair>),
    Curve(EcdsaKeyPair, &'static str),
    Edwards(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn secret(text: &str) -> Self {
        Self::Secret(text.as_bytes().to_vec())
    }

    /// A key for an algorithm with public keys.
    pub(crate) fn generate(algorithm: &str) -> Self {
        match algorithm {
            "ES256" => Self::Curve(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
                "P-256",
            ),
            "ES384" => Self::Curve(
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
                "P-384",
            ),
            "EdDSA" => Self::Edwards(Ed25519KeyPair::generate().unwrap()),
            _ => Self::Rsa(Box::new(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap())),
        }
    }

    /// Signs as the algorithm says, with a key that can do that.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => hmac(algorithm, secret, message),
            Self::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Curve(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// Its public half as a SubjectPublicKeyInfo.
    pub(crate) fn der(&self) -> Vec<u8> {
        let der = match self {
            Self::Secret(_) => panic!("a secret has no public half"),
            Self::Rsa(key) => AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap(),
            Self::Curve(key, _) => key.public_key().as_der().unwrap(),
            Self::Edwards(key) => key.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// The same in PEM.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(self.der());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..text.len().min(at + 64)])
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }

    /// Its public half without any wrapping: a point, or an RSAPublicKey.
    pub(crate) fn bare(&self) -> Vec<u8> {
        match self {
            Self::Secret(secret) => secret.clone(),
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Curve(key, _) => key.public_key().as_ref().to_vec(),
            Self::Edwards(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The same as a JWK.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let bare = self.bare();
        match self {
            Self::Secret(_) => json!({"kty": "oct", "kid": id, "k": base64(&bare)}),
            Self::Rsa(key) => {
                let n = key
                    .public_key()
                    .modulus()
                    .big_endian_without_leading_zero()
                    .to_vec();
                json!({"kty": "RSA", "kid": id, "n": base64(&n), "e": "AQAB"})
            }
            Self::Curve(_, curve) => {
                let (x, y) = bare[1..].split_at(bare.len() / 2);
                json!({"kty": "EC", "kid": id, "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Self::Edwards(_) => {
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64(&bare)})
            }
        }
    }
}

/// HMAC with any text as the secret.
pub(crate) fn hmac(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac;

    let hash = match algorithm {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let key = hmac::Key::new(hash, secret);
    hmac::sign(&key, message).as_ref().to_vec()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with exactly this header and these claims, and the signature that `sign` returns.
pub(crate) fn token(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!(
        "{}.{}",
        base64(header.as_bytes()),
        base64(claims.as_bytes())
    );
    let signature = base64(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
