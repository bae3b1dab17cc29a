//! The configuration: mistakes are found together, each with its key. That the example shows every
//! default is tested in the library, beside the rows that both are made of.

mod cache;
mod pbxs;
mod session;

use std::path::Path;

use tempfile::TempDir;
use wavegate::app::GatewayParts;

use crate::harness::write_secret;

const EXAMPLE: &str = include_str!("../../config/wavegate.toml");
const POLICIES: &str = include_str!("../../config/policy.cedar");

/// A folder with the secrets that the example names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for name in ["bearer", "link", "pbx-password"] {
        write_secret(
            &folder.path().join("secrets").join(name),
            &format!("thirty-two-bytes-or-more-of-secret-for-{name}"),
        );
    }
    std::fs::write(folder.path().join("policy.cedar"), POLICIES).unwrap();
    folder
}

fn load(folder: &Path, text: &str) -> Result<String, Vec<(String, String)>> {
    let path = folder.join("wavegate.toml");
    std::fs::write(&path, text).unwrap();
    match GatewayParts::load(&path) {
        Ok(config) => Ok(format!("{config:#?}")),
        Err(problems) => Err(problems
            .iter()
            .map(|problem| (problem.key.clone(), problem.message.clone()))
            .collect()),
    }
}

#[test]
fn mistakes_are_reported_together_each_with_its_key() {
    let folder = folder();
    let text = EXAMPLE
        .replace(
            "public_url = \"https://recordings.example.com\"",
            "public_url = \"recordings\"\nhost = 1",
        )
        .replace("#max_connections = 10000", "max_connections = 0")
        .replace("#level = \"info\"", "level = \"loud\"")
        .replace(
            "audiences = [\"recordings\"]",
            "audiences = [\"wavegate-links\"]",
        )
        .replace(
            "secret_file = \"secrets/bearer\"",
            "secret_file = \"secrets/absent\"",
        )
        .replace("file = \"policy.cedar\"", "everyone = true")
        .replace("name = \"office\"", "name = \"of/fice\"")
        .replace("api = \"s-series-2.0.0\"", "api = \"s-series-9\"")
        .replace(
            "url = \"https://192.168.5.150:8088\"",
            "url = \"http://192.168.5.150\"",
        )
        .replace("#max_downloads = 4", "max_downloads = \"four\"")
        .replace("pins = [\"00", "pins = [\"xx");
    let problems = load(folder.path(), &text).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
    for key in [
        "server.public_url",
        "server.host",
        "server.max_connections",
        "log.level",
        "auth.issuer[0].key[0].secret_file",
        "policy.everyone",
        "pbx[0].name",
        "pbx[0].api",
        "pbx[0].url",
        "pbx[0].max_downloads",
        "pbx[0].tls.pins",
        "links.audience",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {problems:#?}");
    }
    assert_eq!(keys.len(), 12, "{problems:#?}");
}

#[test]
fn mistakes_in_values_and_files_are_listed_in_file_order() {
    let folder = folder();
    std::fs::write(folder.path().join("bad.pem"), "no PEM").unwrap();
    std::fs::write(folder.path().join("policy.cedar"), "permit(").unwrap();
    let pins = format!("pins = [\"{}\"]", "0".repeat(64));
    let text = EXAMPLE
        .replace(
            "#key_file = \"secrets/audit-head-key\"",
            "key_file = \"secrets/bearer\"",
        )
        .replace("name = \"https://idp.example.com\"", "")
        .replacen("algorithm = \"HS256\"", "algorithm = \"ES256\"", 1)
        .replace(
            "secret_file = \"secrets/bearer\"",
            "public_key_file = \"bad.pem\"",
        )
        .replace("#max_streams = 1000", "max_streams = 0")
        .replace("name = \"office\"", "name = \"of/fice\"")
        .replace(&pins, "ca_file = \"bad.pem\"");
    let problems = load(folder.path(), &text).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "audit.key_file",
        "auth.issuer[0].name",
        "auth.issuer[0].key[0].public_key_file",
        "policy.file",
        "relay.max_streams",
        "pbx[0].name",
        "pbx[0].tls.ca_file",
    ];
    assert_eq!(keys, expected, "{problems:#?}");
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let secret = folder.path().join("secrets/pbx-password");
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o604)).unwrap();
    let problems = load(folder.path(), EXAMPLE).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].0, "pbx[0].password_file");
    assert!(problems[0].1.contains("chmod 600"), "{problems:?}");
}

#[test]
fn a_link_key_that_is_also_a_bearer_key_is_refused() {
    let folder = folder();
    let same_secret = EXAMPLE.replace("secrets/link", "secrets/bearer");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&pair)
        .unwrap();
    let write = |name: &str, pem: String| std::fs::write(folder.path().join(name), pem).unwrap();
    write("bearer.pem", pair.public_key_pem());
    write("link.pem", certificate.pem());
    // The same key twice: once bare and once in a certificate.
    let same_public_key = EXAMPLE
        .replace("algorithm = \"HS256\"", "algorithm = \"ES256\"")
        .replace(
            "secret_file = \"secrets/bearer\"",
            "public_key_file = \"bearer.pem\"",
        )
        .replace(
            "secret_file = \"secrets/link\"",
            "public_key_file = \"link.pem\"",
        );
    for text in [same_secret, same_public_key] {
        let problems = load(folder.path(), &text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].0, "links.key");
        assert!(
            problems[0].1.contains("https://idp.example.com"),
            "{problems:?}"
        );
    }
}

#[test]
fn limits_of_links_without_a_key_are_a_mistake() {
    let folder = folder();
    let (before, key) = EXAMPLE.split_once("\n[[links.key]]\n").unwrap();
    let (_, behind) = key.split_once("\n[").unwrap();
    let text = format!("{before}\n[{behind}").replace("#max_ttl_s = 900", "max_ttl_s = 60");
    let problems = load(folder.path(), &text).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["links.audience", "links.max_ttl_s"], "{problems:?}");
}

#[test]
fn a_link_key_is_not_called_like_an_issuer() {
    let folder = folder();
    let text = EXAMPLE.replace("id = \"crm\"", "id = \"https://idp.example.com\"");
    let problems = load(folder.path(), &text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, "links.key");
    assert!(problems[0].1.contains("is an issuer"), "{problems:?}");
}

#[test]
fn invalid_toml_is_reported_by_line_without_its_text() {
    let folder = folder();
    let problems = load(folder.path(), "state_dir = \"x\"\npassword = hunter2\n").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].1.contains("line 2"), "{problems:?}");
    assert!(!problems[0].1.contains("hunter2"), "{problems:?}");
}

#[test]
fn a_file_that_is_too_large_is_refused_and_not_cut() {
    let folder = folder();
    let padding = format!("#{}\n", "x".repeat(1 << 20));
    let problems = load(folder.path(), &format!("{EXAMPLE}{padding}")).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].1.contains("larger than 1 MiB"), "{problems:?}");

    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = format!("{}{padding}", key.public_key_pem());
    std::fs::write(folder.path().join("issuer.pem"), pem).unwrap();
    let text = EXAMPLE.replacen("algorithm = \"HS256\"", "algorithm = \"ES256\"", 1);
    let text = text.replace(
        "secret_file = \"secrets/bearer\"",
        "public_key_file = \"issuer.pem\"",
    );
    let problems = load(folder.path(), &text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, "auth.issuer[0].key[0].public_key_file");
    assert!(problems[0].1.contains("larger than 1 MiB"), "{problems:?}");
}
