//! How many tokens can one core verify in a second, by algorithm?
//!
//! `authenticate` measures the whole path: find the header, parse the token, look up the key, and
//! verify the signature and the claims. The baseline, `signature`, runs in the same run: the bare
//! check by aws-lc-rs with a key that was parsed beforehand. The difference between the two is our
//! code and the JWT library, which parses the public key anew for each token. `again` measures a
//! token that was verified a moment ago.
//!
//! Does not show: several cores at once, tokens much longer than the 300 bytes here, the policy, or
//! refused tokens (those of an unknown issuer or a wrong algorithm cost less, since no signature is
//! verified).

#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot make its keys has nothing to measure"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, Ed25519KeyPair, KeyPair, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use wavegate::auth::keys::VerifyingKey;
use wavegate::auth::mint::{self, BearerClaims, SigningKey};
use wavegate::auth::{Algorithm, AttributeClaims, Authenticator, Issuer, KeyRing, RequiredClaims};
use wavegate::secret::Secret;

const ISSUER: &str = "https://sso.example/realms/company";
const SECRET: [u8; 64] = [b's'; 64];
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The bare check of a message and its signature.
type Check = Box<dyn Fn(&[u8], &[u8]) -> bool>;

/// The parts for one algorithm: a key that signs, the key that verifies, and the bare check.
struct Subject {
    signing_key: SigningKey,
    key: VerifyingKey,
    signature: Check,
}

fn subject(algorithm: Algorithm) -> Subject {
    match algorithm {
        Algorithm::Hs256 => shared_secret(algorithm, hmac::HMAC_SHA256),
        Algorithm::Hs384 => shared_secret(algorithm, hmac::HMAC_SHA384),
        Algorithm::Hs512 => shared_secret(algorithm, hmac::HMAC_SHA512),
        Algorithm::Rs256 => rsa(algorithm, &aws::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => rsa(algorithm, &aws::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => rsa(algorithm, &aws::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => rsa(algorithm, &aws::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => rsa(algorithm, &aws::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => rsa(algorithm, &aws::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 => {
            let key = EcdsaKeyPair::generate(&aws::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let private = key.to_pkcs8v1().unwrap();
            key_pair(
                algorithm,
                private.as_ref(),
                key.public_key(),
                &aws::ECDSA_P256_SHA256_FIXED,
            )
        }
        Algorithm::Es384 => {
            let key = EcdsaKeyPair::generate(&aws::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
            let private = key.to_pkcs8v1().unwrap();
            key_pair(
                algorithm,
                private.as_ref(),
                key.public_key(),
                &aws::ECDSA_P384_SHA384_FIXED,
            )
        }
        Algorithm::EdDsa => {
            let key = Ed25519KeyPair::generate().unwrap();
            let private = key.to_pkcs8v1().unwrap();
            key_pair(algorithm, private.as_ref(), key.public_key(), &aws::ED25519)
        }
    }
}

fn shared_secret(algorithm: Algorithm, hmac_algorithm: hmac::Algorithm) -> Subject {
    let secret = Secret::new(SECRET);
    let bare = hmac::Key::new(hmac_algorithm, &SECRET);
    Subject {
        signing_key: SigningKey::secret(None, algorithm, &secret).unwrap(),
        key: VerifyingKey::secret(None, algorithm, &secret).unwrap(),
        signature: Box::new(move |message, signature| {
            hmac::verify(&bare, message, signature).is_ok()
        }),
    }
}

fn rsa(algorithm: Algorithm, verification: &'static dyn VerificationAlgorithm) -> Subject {
    let key = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der>::as_der(&key).unwrap();
    key_pair(algorithm, private.as_ref(), key.public_key(), verification)
}

fn key_pair(
    algorithm: Algorithm,
    private: &[u8],
    public: &impl AsDer<PublicKeyX509Der<'static>>,
    verification: &'static dyn VerificationAlgorithm,
) -> Subject {
    let public = public.as_der().unwrap();
    let bare = aws::UnparsedPublicKey::new(verification, public.as_ref())
        .parse()
        .unwrap();
    Subject {
        signing_key: SigningKey::private_pem(None, algorithm, &pem("PRIVATE KEY", private))
            .unwrap(),
        key: VerifyingKey::public_pem(None, algorithm, &pem("PUBLIC KEY", public.as_ref()))
            .unwrap(),
        signature: Box::new(move |message, signature| bare.verify_sig(message, signature).is_ok()),
    }
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
    .into_bytes()
}

fn verifications(criterion: &mut Criterion) {
    let now = SystemTime::now();
    for algorithm in Algorithm::ALL {
        let Subject {
            signing_key,
            key,
            signature,
        } = subject(algorithm);
        let claims = BearerClaims {
            issuer: ISSUER,
            subject: "7d0a6c1e-alice",
            audience: "wavegate",
        };
        let token = mint::bearer(&signing_key, &claims, now, Duration::from_secs(3600)).unwrap();
        let ring = KeyRing::fixed(vec![key]);
        let issuer = Issuer {
            name: ISSUER.into(),
            audiences: vec!["wavegate".into()],
            required: RequiredClaims::default(),
            keys: ring.clone(),
            claims: AttributeClaims::default(),
            pbxs: None,
        };
        let authenticator = Authenticator::new(vec![issuer], None, Duration::from_secs(10));
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
        );
        let (message, segment) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(segment).unwrap();

        let mut group = criterion.benchmark_group(algorithm.name());
        group.throughput(Throughput::Elements(1));
        group.bench_function("signature", |bencher| {
            assert!(signature(message.as_bytes(), &bytes));
            bencher.iter(|| signature(black_box(message.as_bytes()), black_box(&bytes)));
        });
        group.bench_function("authenticate", |bencher| {
            let authenticate =
                || authenticator.authenticate(black_box(&headers), None, SOURCE, now);
            assert!(authenticate().is_ok());
            // Publishing counts as a change of keys, so the cache of verified tokens no longer
            // applies.
            bencher.iter(|| {
                ring.publish(Vec::new());
                authenticate()
            });
        });
        group.bench_function("again", |bencher| {
            bencher.iter(|| authenticator.authenticate(black_box(&headers), None, SOURCE, now));
        });
        group.finish();
    }
}

criterion_group!(benches, verifications);
criterion_main!(benches);
