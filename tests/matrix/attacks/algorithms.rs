//! Algorithm confusion: a token signed with one algorithm that names another, a public key used as
//! a shared secret, no signature at all, and the keys of other issuers.

use wavegate::auth::Algorithm;

use super::{Issuer, Issuers, Row, header};
use crate::harness::keys::{self, hmac};

pub(super) fn rows(issuers: &Issuers) -> Vec<Row> {
    let mut rows = Vec::new();
    for issuer in issuers.all() {
        misnamed(issuer, &mut rows);
        rightly_signed_by_the_wrong_algorithm(issuer, &mut rows);
        if issuer.algorithm != "HS256" {
            public_key_as_a_secret(issuer, &mut rows);
        }
        for other in issuers.all().filter(|other| other.id != issuer.id) {
            another_issuers_key(issuer, other, &mut rows);
        }
        none(issuer, &mut rows);
    }
    link_and_bearer_keys(issuers, &mut rows);
    rows
}

/// A signature of the key's own algorithm, with every other algorithm in the header.
fn misnamed(issuer: &Issuer, rows: &mut Vec<Row>) {
    let names = Algorithm::ALL.map(Algorithm::name);
    for name in names.iter().filter(|name| **name != issuer.algorithm) {
        let token = issuer.sign(&header(name, issuer.id), &issuer.claims());
        let what = format!("{} signed as {}, named {name}", issuer.id, issuer.algorithm);
        rows.push(Row::bearer(what, &token));
    }
}

/// A signature of the same key by another algorithm of its kind, with that algorithm in the header.
fn rightly_signed_by_the_wrong_algorithm(issuer: &Issuer, rows: &mut Vec<Row>) {
    let kind: &[&str] = match issuer.algorithm {
        "HS256" => &["HS384", "HS512"],
        "RS256" => &["RS384", "RS512", "PS256", "PS384", "PS512"],
        "PS256" => &["RS256", "RS384", "RS512", "PS384", "PS512"],
        _ => &[],
    };
    for algorithm in kind {
        let sign = |message: &[u8]| issuer.key.sign(algorithm, message);
        let claims = issuer.claims().json();
        let token = keys::token(&header(algorithm, issuer.id), &claims, sign);
        let what = format!("{} signed and named {algorithm}", issuer.id);
        rows.push(Row::bearer(what, &token));
        // The same with the key's own algorithm in the header.
        let token = keys::token(&issuer.header(), &claims, sign);
        let what = format!("{} signed {algorithm} and named its own", issuer.id);
        rows.push(Row::bearer(what, &token));
    }
}

/// The public key, which anyone can get, used as an HMAC secret.
fn public_key_as_a_secret(issuer: &Issuer, rows: &mut Vec<Row>) {
    let key = &issuer.key;
    let pem = key.pem();
    let jwk = key.jwk(issuer.id);
    let forms = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line end", pem.trim_end().into()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into()),
        ("DER", key.der()),
        ("bare", key.bare()),
        ("JWK", jwk.to_string().into()),
        ("JWK set", format!(r#"{{"keys":[{jwk}]}}"#).into()),
    ];
    for (form, secret) in &forms {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let sign = |message: &[u8]| hmac(algorithm, secret, message);
            let header = header(algorithm, issuer.id);
            let token = keys::token(&header, &issuer.claims().json(), sign);
            let what = format!("{}'s public key as {form} for {algorithm}", issuer.id);
            rows.push(Row::bearer(what, &token));
        }
    }
}

/// The key of another issuer, which is accepted for that issuer's tokens only.
fn another_issuers_key(issuer: &Issuer, other: &Issuer, rows: &mut Vec<Row>) {
    if issuer.name == other.name {
        // Two keys of one set: each is good, but not under the other's id.
        let token = other.sign(&header(other.algorithm, issuer.id), &issuer.claims());
        let what = format!("{} under the id of {}", other.id, issuer.id);
        rows.push(Row::bearer(what, &token));
        return;
    }
    for id in [issuer.id, other.id] {
        let token = other.sign(&header(other.algorithm, id), &issuer.claims());
        let what = format!("{}'s name, the key of {}, id {id}", issuer.id, other.id);
        rows.push(Row::bearer(what, &token));
    }
}

/// No signature, an invalid one, and a good one, each with a header that names no algorithm.
fn none(issuer: &Issuer, rows: &mut Vec<Row>) {
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        " none",
        "none ",
        "null",
        "n\\u006fne",
    ] {
        let head = header(name, issuer.id);
        let unsigned = keys::token(&head, &issuer.claims().json(), |_| Vec::new());
        let what = format!("{}: {name:?}", issuer.id);
        rows.push(Row::bearer(format!("{what}, no signature"), &unsigned));
        let rubbish = format!("{unsigned}AAAA");
        rows.push(Row::bearer(format!("{what}, rubbish"), &rubbish));
        let signed = issuer.sign(&head, &issuer.claims());
        rows.push(Row::bearer(format!("{what}, signed"), &signed));
    }
    let unsigned = keys::token(&issuer.header(), &issuer.claims().json(), |_| Vec::new());
    rows.push(Row::bearer(format!("{} unsigned", issuer.id), &unsigned));
    // Some libraries accepted an ECDSA signature of zeros for every token (CVE-2022-21449).
    for length in [1, 32, 64, 96, 256] {
        let zeros = |_: &[u8]| vec![0; length];
        let token = keys::token(&issuer.header(), &issuer.claims().json(), zeros);
        rows.push(Row::bearer(
            format!("{}: {length} zeros", issuer.id),
            &token,
        ));
    }
    let good = issuer.good();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let cut = &signature[..signature.len() - 4];
    let what = format!("{}: a signature cut short", issuer.id);
    rows.push(Row::bearer(what, &format!("{signed}.{cut}")));
    let other = issuer.sign(&issuer.header(), &issuer.claims().with("sub", "\"root\""));
    let (_, signature) = other.rsplit_once('.').unwrap();
    let what = format!("{}: the signature of another token", issuer.id);
    rows.push(Row::bearer(what, &format!("{signed}.{signature}")));
}

/// Links and bearer tokens have separate keys.
fn link_and_bearer_keys(issuers: &Issuers, rows: &mut Vec<Row>) {
    let (bearer, link) = (issuers.first(), &issuers.link);
    for id in [bearer.id, link.id] {
        let token = link.sign(&header("HS256", id), &bearer.claims());
        rows.push(Row::bearer(
            format!("bearer by the link key, id {id}"),
            &token,
        ));
        let token = bearer.sign(&header("HS256", id), &link.claims());
        rows.push(Row::link(
            format!("link by the bearer key, id {id}"),
            &token,
        ));
    }
    for issuer in issuers.all() {
        let token = issuer.sign(&issuer.header(), &link.claims());
        rows.push(Row::link(
            format!("link by the key of {}", issuer.id),
            &token,
        ));
    }
    for name in ["none", "HS384", "RS256", "ES256"] {
        let head = header(name, link.id);
        let token = link.sign(&head, &link.claims());
        rows.push(Row::link(format!("link named {name}"), &token));
        let token = keys::token(&head, &link.claims().json(), |_| Vec::new());
        rows.push(Row::link(format!("link named {name}, unsigned"), &token));
    }
}
