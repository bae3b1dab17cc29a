//! Every algorithm, with keys that OpenSSL made, from a key file and from a JWK Set, is accepted.
//! The tests of refused tokens prove little without this one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};
use wavegate::secret::Secret;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::keys::base64;
use crate::harness::programs::program;
use crate::harness::{AUDIENCE, NAME, gateway, write_secret};

/// OpenSSL, and a folder for its files.
struct OpenSsl {
    program: PathBuf,
    folder: TempDir,
}

impl OpenSsl {
    fn run(&self, arguments: &str) -> Vec<u8> {
        let output = Command::new(&self.program)
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
        output.stdout
    }

    /// Makes `{name}.key` and `{name}.pub`, or `{name}.secret`.
    fn make(&self, algorithm: Algorithm, name: &str) {
        let bytes = match algorithm {
            Algorithm::Hs256 => 32,
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            _ => {
                let kind = match algorithm {
                    Algorithm::Es256 => "EC -pkeyopt ec_paramgen_curve:P-256",
                    Algorithm::Es384 => "EC -pkeyopt ec_paramgen_curve:P-384",
                    Algorithm::EdDsa => "ED25519",
                    _ => "RSA -pkeyopt rsa_keygen_bits:2048",
                };
                self.run(&format!("genpkey -algorithm {kind} -out {name}.key"));
                self.run(&format!("pkey -in {name}.key -pubout -out {name}.pub"));
                return;
            }
        };
        // Base64 on one line. The text is longer than the bytes it encodes.
        let text = self.run(&format!("rand -base64 {bytes}"));
        let text = String::from_utf8(text).unwrap().replace('\n', "");
        write_secret(&self.folder.path().join(format!("{name}.secret")), &text);
    }

    /// The public key as a member of a JWK Set.
    fn jwk(&self, algorithm: Algorithm, name: &str) -> Value {
        let der = self.run(&format!("pkey -in {name}.key -pubout -outform DER"));
        let last = |bytes: usize| &der[der.len() - bytes..];
        let point = |curve: &str, bytes: usize| {
            let (x, y) = last(2 * bytes).split_at(bytes);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        let mut jwk = match algorithm {
            Algorithm::Es256 => point("P-256", 32),
            Algorithm::Es384 => point("P-384", 48),
            Algorithm::EdDsa => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(last(32))}),
            _ => {
                let modulus = self.run(&format!("rsa -in {name}.key -noout -modulus"));
                let modulus = String::from_utf8(modulus).unwrap();
                let digits = modulus.trim().strip_prefix("Modulus=").unwrap();
                let bytes: Vec<u8> = (0..digits.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
                    .collect();
                json!({"kty": "RSA", "n": base64(&bytes), "e": "AQAB"})
            }
        };
        jwk["alg"] = algorithm.name().into();
        jwk["kid"] = name.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(file)).unwrap()
    }

    fn signing_key(&self, algorithm: Algorithm, name: &str) -> SigningKey {
        let id = Some(name.to_owned());
        if algorithm.is_shared_secret() {
            let text = self.read(&format!("{name}.secret"));
            let secret = Secret::new(String::from_utf8(text).unwrap());
            return SigningKey::secret(id, algorithm, &secret).unwrap();
        }
        SigningKey::private_pem(id, algorithm, &self.read(&format!("{name}.key"))).unwrap()
    }
}

/// An `[[auth.issuer]]` with a key file, or with a key set in a file.
fn issuer(algorithm: Algorithm, name: &str, folder: &Path, in_set: bool) -> String {
    let head = format!("name = \"https://{name}.test\"\naudiences = [\"{AUDIENCE}\"]");
    let file = |suffix: &str| {
        folder
            .join(format!("{name}.{suffix}"))
            .display()
            .to_string()
    };
    if in_set {
        return format!("{head}\njwks_file = \"{}\"", file("json"));
    }
    let key = match algorithm.is_shared_secret() {
        true => format!("secret_file = \"{}\"", file("secret")),
        false => format!("public_key_file = \"{}\"", file("pub")),
    };
    format!("{head}\n[[auth.issuer.key]]\nid = \"{name}\"\nalgorithm = \"{algorithm}\"\n{key}")
}

#[tokio::test]
async fn every_algorithm_is_accepted_with_keys_that_openssl_made() {
    let Some(program) = program("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let openssl = OpenSsl { program, folder };
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let mut builder = gateway(&pbx);
    let mut tokens = Vec::new();
    for algorithm in Algorithm::ALL {
        for in_set in [false, true] {
            if in_set && algorithm.is_shared_secret() {
                continue;
            }
            let place = if in_set { "set" } else { "file" };
            let name = format!("{}-{place}", algorithm.name().to_lowercase());
            openssl.make(algorithm, &name);
            if in_set {
                let set = json!({"keys": [openssl.jwk(algorithm, &name)]}).to_string();
                let file = openssl.folder.path().join(format!("{name}.json"));
                std::fs::write(file, set).unwrap();
            }
            builder = builder.lines(
                "[[auth.issuer]]",
                &issuer(algorithm, &name, openssl.folder.path(), in_set),
            );
            let claims = mint::BearerClaims {
                issuer: &format!("https://{name}.test"),
                subject: "alice",
                audience: AUDIENCE,
            };
            let key = openssl.signing_key(algorithm, &name);
            let minute = Duration::from_secs(60);
            let token = mint::bearer(&key, &claims, SystemTime::now(), minute).unwrap();
            tokens.push((name, token));
        }
    }
    assert_eq!(tokens.len(), 12 + 9);
    let gateway = builder.start().await;
    for (name, token) in &tokens {
        let answer = gateway.get(NAME).bearer(token).send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        // The signature of another key is refused.
        for (other, _) in tokens.iter().filter(|(other, _)| other != name).take(3) {
            let (signed, _) = token.rsplit_once('.').unwrap();
            let (_, other_signature) = tokens
                .iter()
                .find(|(own, _)| own == other)
                .map(|(_, token)| token.rsplit_once('.').unwrap())
                .unwrap();
            let forged = format!("{signed}.{other_signature}");
            let problem = gateway
                .get(NAME)
                .bearer(&forged)
                .send()
                .await
                .problem()
                .await;
            assert_eq!(problem.slug, "bearer-token-invalid", "{name} by {other}");
        }
    }
}
