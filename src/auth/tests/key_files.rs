//! The keys that an operator can configure, right and wrong.

use super::keys::KeyError;
use super::*;

#[track_caller]
fn check_public(algorithm: Algorithm, pem: &str, expected: Result<(), KeyError>) {
    let key = VerifyingKey::public_pem(Some("1".to_owned()), algorithm, pem.as_bytes());
    assert_eq!(key.map(|_| ()), expected, "{algorithm}: {pem}");
}

#[track_caller]
fn check_private(algorithm: Algorithm, pem: &str, expected: Result<(), KeyError>) {
    let key = SigningKey::private_pem(None, algorithm, pem.as_bytes());
    assert_eq!(key.map(|_| ()), expected, "{algorithm}: {pem}");
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD
        .decode(
            pem.lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap()
}

#[test]
fn a_secret_is_at_least_as_long_as_the_hash() {
    for (algorithm, min_bytes) in [
        (Algorithm::Hs256, 32),
        (Algorithm::Hs384, 48),
        (Algorithm::Hs512, 64),
    ] {
        let key = |bytes| {
            VerifyingKey::secret(None, algorithm, &Secret::new(vec![b'a'; bytes])).map(|_| ())
        };
        let found = min_bytes - 1;
        assert_eq!(key(min_bytes), Ok(()));
        assert_eq!(
            key(found),
            Err(KeyError::SecretTooShort {
                algorithm,
                min_bytes,
                found
            })
        );
        assert_eq!(
            key(0),
            Err(KeyError::SecretTooShort {
                algorithm,
                min_bytes,
                found: 0
            })
        );
    }
    let key = VerifyingKey::secret(None, Algorithm::Rs256, &secret(b'a')).map(|_| ());
    assert_eq!(key, Err(KeyError::NeedsPem(Algorithm::Rs256)));
}

#[test]
fn a_public_key_fits_its_algorithm_or_is_refused() {
    let wrong = |algorithm, needed, found| {
        Err(KeyError::WrongKind {
            algorithm,
            needed,
            found,
        })
    };
    check_public(Algorithm::Rs256, &RSA.public, Ok(()));
    check_public(Algorithm::Ps512, &RSA.public, Ok(()));
    check_public(
        Algorithm::Rs256,
        &format!("key of sso:\r\n{}", RSA.public.replace('\n', "\r\n")),
        Ok(()),
    );
    check_public(
        Algorithm::Es256,
        &P384.public,
        wrong(Algorithm::Es256, "a P-256 key", "a P-384 key"),
    );
    check_public(
        Algorithm::Es384,
        &P256.public,
        wrong(Algorithm::Es384, "a P-384 key", "a P-256 key"),
    );
    check_public(
        Algorithm::Es256,
        &RSA.public,
        wrong(Algorithm::Es256, "a P-256 key", "an RSA key"),
    );
    check_public(
        Algorithm::Rs256,
        &ED25519.public,
        wrong(Algorithm::Rs256, "an RSA key", "an Ed25519 key"),
    );
    check_public(
        Algorithm::EdDsa,
        &P256.public,
        wrong(Algorithm::EdDsa, "an Ed25519 key", "a P-256 key"),
    );
    check_public(
        Algorithm::Hs256,
        &RSA.public,
        Err(KeyError::NeedsSecret(Algorithm::Hs256)),
    );
    check_public(Algorithm::Rs256, &RSA.private, Err(KeyError::Private));
    check_public(
        Algorithm::Rs256,
        &format!("{}{}", RSA.public, RSA.private),
        Err(KeyError::Private),
    );
    check_public(
        Algorithm::Rs256,
        &format!("{0}{0}", RSA.public),
        Err(KeyError::SeveralBlocks),
    );
    check_public(Algorithm::Rs256, "", Err(KeyError::NotPem));
    check_public(Algorithm::Rs256, "ssh-rsa AAAA", Err(KeyError::NotPem));
    check_public(
        Algorithm::Rs256,
        "-----BEGIN PUBLIC KEY",
        Err(KeyError::BrokenPem),
    );
    check_public(
        Algorithm::Rs256,
        &RSA.public.replace("END", "FIN"),
        Err(KeyError::BrokenPem),
    );
    check_public(
        Algorithm::Rs256,
        &RSA.public.replace("END PUBLIC", "END RSA PUBLIC"),
        Err(KeyError::BrokenPem),
    );
    check_public(
        Algorithm::Rs256,
        &pem("PUBLIC KEY", b"hello"),
        Err(KeyError::Unreadable),
    );
    check_public(
        Algorithm::Rs256,
        &pem("PUBLIC KEY", b""),
        Err(KeyError::Unreadable),
    );
    check_public(
        Algorithm::Rs256,
        &pem("CERTIFICATE", b"hello"),
        Err(KeyError::Unreadable),
    );
    check_public(
        Algorithm::Rs256,
        &pem("CERTIFICATE REQUEST", b"hello"),
        Err(KeyError::UnknownBlock),
    );
}

/// An RSAPublicKey whose modulus has this many bytes and its highest bit set.
fn rsa_public_key(modulus_bytes: usize) -> String {
    let length = |bytes: usize| match u8::try_from(bytes) {
        Ok(byte) => vec![0x81, byte],
        Err(_) => [&[0x82][..], &u16::try_from(bytes).unwrap().to_be_bytes()].concat(),
    };
    let modulus = [vec![0], vec![0xFF; modulus_bytes]].concat();
    let fields = [
        vec![0x02],
        length(modulus.len()),
        modulus,
        vec![0x02, 0x03, 0x01, 0x00, 0x01],
    ]
    .concat();
    pem(
        "RSA PUBLIC KEY",
        &[vec![0x30], length(fields.len()), fields].concat(),
    )
}

#[test]
fn an_rsa_key_has_2048_bits_or_more() {
    check_public(
        Algorithm::Rs256,
        &rsa_public_key(128),
        Err(KeyError::RsaBits(1024)),
    );
    check_public(
        Algorithm::Ps256,
        &rsa_public_key(255),
        Err(KeyError::RsaBits(2040)),
    );
    check_public(Algorithm::Rs256, &rsa_public_key(256), Ok(()));
    check_public(Algorithm::Rs256, &rsa_public_key(1024), Ok(()));
    check_public(
        Algorithm::Rs256,
        &rsa_public_key(1025),
        Err(KeyError::RsaBits(8200)),
    );
}

#[test]
fn a_certificate_gives_the_key_in_it() {
    for (algorithm, rcgen_algorithm) in [
        (Algorithm::Es256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (Algorithm::EdDsa, &rcgen::PKCS_ED25519),
    ] {
        let key = rcgen::KeyPair::generate_for(rcgen_algorithm).unwrap();
        let names = vec!["sso.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let signing_key =
            SigningKey::private_pem(None, algorithm, key.serialize_pem().as_bytes()).unwrap();
        let verifying_key =
            VerifyingKey::public_pem(None, algorithm, certificate.pem().as_bytes()).unwrap();
        assert!(authenticate_bearer(vec![verifying_key], &minted(&signing_key)).is_ok());
    }
}

#[test]
fn a_private_key_signs_with_its_algorithm_or_is_refused() {
    check_private(Algorithm::Rs256, &RSA.private, Ok(()));
    // The contents of a PKCS#8 envelope of 26 bytes.
    let inner = pem("RSA PRIVATE KEY", &der(&RSA.private)[26..]);
    check_private(Algorithm::Ps256, &inner, Ok(()));
    check_private(Algorithm::Es384, &P384.private, Ok(()));
    check_private(
        Algorithm::Es256,
        &P384.private,
        Err(KeyError::CannotSign(Algorithm::Es256)),
    );
    check_private(
        Algorithm::EdDsa,
        &RSA.private,
        Err(KeyError::CannotSign(Algorithm::EdDsa)),
    );
    check_private(
        Algorithm::Hs256,
        &RSA.private,
        Err(KeyError::NeedsSecret(Algorithm::Hs256)),
    );
    check_private(Algorithm::Rs256, &RSA.public, Err(KeyError::NotPrivate));
    check_private(
        Algorithm::Es256,
        &pem("EC PRIVATE KEY", &der(&P256.private)),
        Err(KeyError::NotPkcs8),
    );
    check_private(
        Algorithm::Es256,
        &pem("ENCRYPTED PRIVATE KEY", b"x"),
        Err(KeyError::Encrypted),
    );
    check_private(
        Algorithm::Es256,
        &pem("PRIVATE KEY", b"x"),
        Err(KeyError::CannotSign(Algorithm::Es256)),
    );
    check_private(Algorithm::Es256, "", Err(KeyError::NotPem));
}
