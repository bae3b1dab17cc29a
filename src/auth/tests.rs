//! Authentication as a whole, with keys and tokens made in the test.
//!
//! This file holds the parts shared by all of them. `accepted` tests tokens that pass; `attacks`
//! and `forgeries` tokens that must not; `links` link tokens; `attributes` the attributes of a
//! subject; `times` the limits of time; `key_files` the keys that an operator can configure.

mod accepted;
mod attacks;
mod attributes;
mod forgeries;
mod key_files;
mod links;
mod times;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::algorithm::KeyKind;
use super::keys::VerifyingKey;
use super::link::LinkKey;
use super::mint::{self, SigningKey};
use super::*;
use crate::secret::Secret;

const ISSUER: &str = "https://sso.example";
const AUDIENCE: &str = "wavegate";
const LINK_AUDIENCE: &str = "wavegate-links";
const NAME: &str = "20170901181806-1504261084.7-1001-1003-Internal.wav";
/// The time of every request, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const SKEW: Duration = Duration::from_secs(10);
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A private key and its public half, both in PEM.
#[derive(Clone)]
struct PemKeyPair {
    private: String,
    public: String,
}

static RSA: LazyLock<PemKeyPair> = LazyLock::new(|| {
    let key = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der>::as_der(&key).unwrap();
    pair(private.as_ref(), key.public_key())
});
static P256: LazyLock<PemKeyPair> = LazyLock::new(|| elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING));
static P384: LazyLock<PemKeyPair> = LazyLock::new(|| elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING));
static ED25519: LazyLock<PemKeyPair> = LazyLock::new(|| {
    let key = Ed25519KeyPair::generate().unwrap();
    pair(key.to_pkcs8v1().unwrap().as_ref(), key.public_key())
});

fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> PemKeyPair {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    pair(key.to_pkcs8v1().unwrap().as_ref(), key.public_key())
}

fn pair(private: &[u8], public: &impl AsDer<PublicKeyX509Der<'static>>) -> PemKeyPair {
    PemKeyPair {
        private: pem("PRIVATE KEY", private),
        public: pem("PUBLIC KEY", public.as_der().unwrap().as_ref()),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A secret long enough for every HMAC, another one for each letter.
fn secret(letter: u8) -> Secret {
    Secret::new([letter; 64])
}

fn hmac_pair(id: Option<&str>, letter: u8) -> (SigningKey, VerifyingKey) {
    let id = id.map(str::to_owned);
    let signing_key = SigningKey::secret(id.clone(), Algorithm::Hs256, &secret(letter)).unwrap();
    (
        signing_key,
        VerifyingKey::secret(id, Algorithm::Hs256, &secret(letter)).unwrap(),
    )
}

/// A signing key of any algorithm, and the key that verifies its tokens.
fn key_pair(algorithm: Algorithm) -> (SigningKey, VerifyingKey) {
    let pair = match algorithm.key_kind() {
        KeyKind::Secret { .. } => {
            let signing_key = SigningKey::secret(None, algorithm, &secret(b'a')).unwrap();
            return (
                signing_key,
                VerifyingKey::secret(None, algorithm, &secret(b'a')).unwrap(),
            );
        }
        KeyKind::Rsa => &RSA,
        KeyKind::P256 => &P256,
        KeyKind::P384 => &P384,
        KeyKind::Ed25519 => &ED25519,
    };
    let signing_key = SigningKey::private_pem(None, algorithm, pair.private.as_bytes()).unwrap();
    (
        signing_key,
        VerifyingKey::public_pem(None, algorithm, pair.public.as_bytes()).unwrap(),
    )
}

/// An authenticator with one issuer, and one link key for one PBX.
fn authenticator(keys: Vec<VerifyingKey>) -> Authenticator {
    let issuer = Issuer {
        name: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "backup".to_owned()],
        required: RequiredClaims::default(),
        keys: KeyRing::fixed(keys),
        claims: AttributeClaims::default(),
        pbxs: None,
    };
    let link_key = LinkKey {
        key: hmac_pair(Some("crm"), b'l').1,
        pbxs: Some(vec!["office".to_owned()]),
        max_ttl: Some(Duration::from_secs(600)),
    };
    let links = Links {
        audience: LINK_AUDIENCE.to_owned(),
        max_ttl: Duration::from_secs(900),
        keys: vec![link_key],
    };
    Authenticator::new(vec![issuer], Some(links), SKEW)
}

fn bearer_headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
    );
    headers
}

fn authenticate_bearer(keys: Vec<VerifyingKey>, token: &str) -> Result<Principal, AuthError> {
    authenticator(keys)
        .authenticate(&bearer_headers(token), None, SOURCE, at(NOW))
        .map(|caller| caller.principal().clone())
        .map_err(|rejected| rejected.reason().clone())
}

/// Makes a token from a header and claims, and signs exactly these bytes.
fn forge(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// A header for HS256.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn minted(key: &SigningKey) -> String {
    let claims = mint::BearerClaims {
        issuer: ISSUER,
        subject: "alice",
        audience: AUDIENCE,
    };
    mint::bearer(key, &claims, at(NOW), Duration::from_secs(60)).unwrap()
}
