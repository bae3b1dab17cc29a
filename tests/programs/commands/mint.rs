//! Tokens and links for trials: each opens what it is for, and an impossible one is refused with a
//! reason.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;
use url::Url;

use super::{HOST, append, pbx, printed, with_config, with_host};
use crate::harness::programs::serve;
use crate::harness::{Builder, Call, NAME, PBX, write_secret};

/// A configuration with several keys for bearer tokens and for links: a second shared secret, and
/// an ES256 key whose private half is only in the returned files.
fn with_keys(builder: &Builder) -> (PathBuf, [String; 2]) {
    let path = builder.write();
    let file = |name: &str| builder.folder().join(name);
    let privates = [("auth.issuer.key", "bearer"), ("links.key", "link")].map(|(table, kind)| {
        let secret = format!("a second secret that is as long as SHA-512 is, for {kind} tokens only");
        write_secret(&file(&format!("{kind}.second")), &secret);
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let private = file(&format!("{kind}.private.pem"));
        write_secret(&private, &pair.serialize_pem());
        std::fs::write(file(&format!("{kind}.pem")), pair.public_key_pem()).unwrap();
        append(
            &path,
            &format!(
                "[[{table}]]\nid = \"second\"\nalgorithm = \"HS512\"\nsecret_file = \"{kind}.second\"\n\
                 [[{table}]]\nid = \"curve\"\nalgorithm = \"ES256\"\npublic_key_file = \"{kind}.pem\"\n"
            ),
        );
        private.to_str().unwrap().to_owned()
    });
    (path, privates)
}

type Arguments<'a> = &'a [&'a str];

#[tokio::test]
async fn minted_tokens_and_links_open_a_recording() {
    let pbx = pbx().await;
    let builder = with_host(&pbx);
    let (path, [bearer_private, link_private]) = with_keys(&builder);
    let (_running, addr) = serve(&path).await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    let curve = ["--key-id", "curve", "--algorithm", "ES256"];
    let with = |file| [&curve[..], &["--private-key-file", file]].concat();
    let (by_bearer_key, by_link_key) = (with(&bearer_private), with(&link_private));
    let rows: [([Arguments<'_>; 2], &str, [&str; 2]); 3] = [
        ([&[]; 2], "HS256", ["one", "crm"]),
        ([&["--key-id", "second"]; 2], "HS512", ["second"; 2]),
        ([&by_bearer_key, &by_link_key], "ES256", ["curve"; 2]),
    ];
    for ([key, link_arguments], algorithm, [bearer_key, link_key]) in rows {
        let token = [&["--subject", "alice"], key].concat();
        let token = printed(with_config("token", &path, &token).await);
        assert_eq!(signed_with(&token), (algorithm.into(), bearer_key.into()));
        let target = format!("/recordings/{NAME}");
        let call = Call::new(addr, Method::GET, &target).bearer(&token);
        let answer = call.header("host", HOST).send().await;
        assert_eq!(answer.status(), 200, "{key:?}");
        assert!(answer.bytes().await.unwrap() == recording);

        let link = [&["--recording", NAME, "--ttl-s", "60"], link_arguments].concat();
        let link = printed(with_config("link", &path, &link).await);
        let link: Url = link.parse().unwrap();
        assert_eq!(link.host_str(), Some(HOST));
        assert_eq!(link.path(), format!("/pbx/{PBX}/recordings/{NAME}"));
        let token = link.query().unwrap().strip_prefix("link=").unwrap();
        assert_eq!(signed_with(token), (algorithm.into(), link_key.into()));
        let target = format!("{}?link={token}", link.path());
        let call = Call::new(addr, Method::GET, &target).header("host", HOST);
        let answer = call.send().await;
        assert_eq!(answer.status(), 200, "{key:?}");
        assert!(answer.bytes().await.unwrap() == recording);
    }
}

#[tokio::test]
async fn a_link_is_for_the_pbx_that_the_name_alone_means() {
    let (old, new) = (pbx().await, pbx().await);
    let builder = with_host(&old)
        .set("pbx.names_until", "2026-03-01")
        .beside("new", &new);
    let path = builder.write();
    let rest = text_of_old(&path);
    let limited = path.with_file_name("limited.toml");
    std::fs::write(&limited, rest).unwrap();
    let ended = with_config("link", &limited, &["--recording", NAME]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("no PBX has recordings of that time"),
        "{}",
        ended.err
    );
    for (name, expected) in [
        ("20260228235959-1772323199.1-1001-1003-Internal.wav", PBX),
        (NAME, "new"),
        ("hello001", "new"),
    ] {
        let link = printed(with_config("link", &path, &["--recording", name]).await);
        let link: Url = link.parse().unwrap();
        assert_eq!(link.path(), format!("/pbx/{expected}/recordings/{name}"));
    }
}

/// The configuration with only the first of its PBXs.
fn text_of_old(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let end = text.rfind("[[pbx]]").unwrap();
    text[..end].to_owned()
}

/// Algorithm and key id in a token's header.
fn signed_with(token: &str) -> (String, String) {
    let (header, _) = token.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let member = |name: &str| header[name].as_str().unwrap().to_owned();
    (member("alg"), member("kid"))
}

#[tokio::test]
async fn what_cannot_be_minted_is_refused_with_a_reason() {
    let pbx = pbx().await;
    let builder = with_host(&pbx);
    let (path, [private, _]) = with_keys(&builder);
    let rows: [(&str, &[&str], i32, &str); 10] = [
        (
            "token",
            &["--subject", "a", "--key-id", "curve"],
            1,
            "--private-key-file",
        ),
        (
            "token",
            &["--subject", "a", "--issuer", "nobody"],
            1,
            "issuer",
        ),
        (
            "token",
            &["--subject", "a", "--private-key-file", &private],
            2,
            "--algorithm",
        ),
        (
            "token",
            &[
                "--subject",
                "a",
                "--private-key-file",
                &private,
                "--algorithm",
                "RS256",
            ],
            1,
            "RS256",
        ),
        ("token", &[], 2, "--subject"),
        (
            "link",
            &["--recording", NAME, "--ttl-s", "901"],
            1,
            "at most 900 s",
        ),
        (
            "link",
            &["--recording", NAME, "--pbx", "elsewhere"],
            1,
            "no PBX \"elsewhere\" in the configuration\n",
        ),
        ("token", &["--subject", "a", "--ttl-s", "0"], 2, "--ttl-s"),
        ("link", &["--recording", NAME, "--ttl-s", "0"], 2, "--ttl-s"),
        ("link", &["--recording", "../secret"], 2, "--recording"),
    ];
    for (command, arguments, code, reason) in rows {
        let ended = with_config(command, &path, arguments).await;
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
        assert!(ended.err.contains(reason), "{}", ended.err);
        assert!(!ended.err.contains("PRIVATE KEY"), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_link_keeps_to_the_limits_of_its_key() {
    let pbx = pbx().await;
    let builder = with_host(&pbx);
    let path = builder.write();
    let link = |rest: &'static [&'static str]| {
        let arguments = [&["--recording", NAME], rest].concat();
        let path = &path;
        async move { with_config("link", path, &arguments).await }
    };
    // A limit for all links, and a shorter one for the links of this key.
    let text = std::fs::read_to_string(&path).unwrap();
    for (own, longest) in [("", 300), ("max_ttl_s = 60\n", 60)] {
        let text = text
            .replace("[links]\n", "[links]\nmax_ttl_s = 300\n")
            .replace("[[links.key]]\n", &format!("[[links.key]]\n{own}"));
        std::fs::write(&path, text).unwrap();
        let url: Url = printed(link(&[]).await).parse().unwrap();
        assert_eq!(life(url.query().unwrap()), longest);
        let ended = link(&["--ttl-s", "301"]).await;
        let limit = format!("at most {longest} s");
        assert!(
            ended.code == Some(1) && ended.err.contains(&limit),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn no_link_is_made_that_its_key_does_not_reach() {
    let pbx = pbx().await;
    let builder = with_host(&pbx);
    let path = builder.write();
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[[links.key]]\n", "[[links.key]]\npbxs = []\n");
    std::fs::write(&path, text).unwrap();
    let ended = with_config("link", &path, &["--recording", NAME]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("do not reach PBX"), "{}", ended.err);
}

/// The lifetime of a token in seconds.
fn life(token: &str) -> u64 {
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}
