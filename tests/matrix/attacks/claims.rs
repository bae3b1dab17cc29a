//! Claims that are missing, duplicated, of another type or out of range, all correctly signed; and
//! claims at the edge that are good.

use super::{Claims, Issuer, Issuers, Row, now, quoted};
use crate::harness::{AUDIENCE, ISSUER, LINK_AUDIENCE, PBX};

pub(super) fn rows(issuers: &Issuers) -> Vec<Row> {
    let issuer = issuers.first();
    let mut rows = Vec::new();
    let mut bearer = |what: String, claims: &Claims| {
        rows.push(Row::bearer(what, &issuer.sign(&issuer.header(), claims)));
    };
    for (what, claims) in bad(issuer, &["iss", "aud", "sub", "exp"]) {
        bearer(what, &claims);
    }
    let long = format!("\"{}\"", "a".repeat(257));
    for (name, json) in [
        ("iss", quoted(&format!("{ISSUER}/"))),
        ("iss", quoted(&ISSUER.to_uppercase())),
        ("iss", quoted(&format!("{ISSUER} "))),
        ("iss", quoted("https://evil.example")),
        ("iss", quoted("https://rs256.test")),
        ("iss", format!("[{}]", quoted(ISSUER))),
        ("aud", quoted(&format!("{AUDIENCE}/"))),
        ("aud", quoted(&AUDIENCE.to_uppercase())),
        ("aud", quoted(&format!("{AUDIENCE},other"))),
        ("aud", quoted(LINK_AUDIENCE)),
        ("aud", "[\"other\",\"another\"]".to_owned()),
        ("aud", format!("[[{}]]", quoted(AUDIENCE))),
        ("aud", format!("[{},7]", quoted(AUDIENCE))),
        ("aud", format!("[{},null]", quoted(AUDIENCE))),
        ("aud", format!("{{\"{AUDIENCE}\":true}}")),
        ("aud", quoted("*")),
        ("sub", long),
    ] {
        bearer(
            format!("{name} {json:.40}"),
            &issuer.claims().with(name, &json),
        );
    }
    for (what, json) in [
        (
            "a list around them",
            format!("[{}]", issuer.claims().json()),
        ),
        ("twice", issuer.claims().json().repeat(2)),
        ("a text", quoted("alice")),
        ("null", "null".to_owned()),
        ("empty object", "{}".to_owned()),
        (
            "cut short",
            issuer.claims().json().trim_end_matches('}').to_owned(),
        ),
        (
            "a BOM before them",
            format!("\u{FEFF}{}", issuer.claims().json()),
        ),
        ("a comment", format!("{}//", issuer.claims().json())),
        ("deep", format!("{{\"aud\":{}", "[".repeat(2_000))),
        ("single quotes", issuer.claims().json().replace('"', "'")),
    ] {
        let sign = |message: &[u8]| issuer.key.sign("HS256", message);
        let token = crate::harness::keys::token(&issuer.header(), &json, sign);
        rows.push(Row::bearer(format!("claims: {what}"), &token));
    }
    links(issuers, &mut rows);
    rows
}

/// Wrong names and times, for every kind of token.
fn bad(issuer: &Issuer, required: &[&str]) -> Vec<(String, Claims)> {
    let good = || issuer.claims();
    let mut rows = Vec::new();
    for name in required {
        rows.push((format!("no {name}"), good().without(name)));
        for json in ["null", "true", "{}", "[]", "\"\""] {
            rows.push((format!("{name} {json}"), good().with(name, json)));
        }
        let (_, json) = good().0.into_iter().find(|(own, _)| own == name).unwrap();
        let mut twice = good();
        twice.put(name, &json);
        rows.push((format!("{name} twice, the same"), twice));
        let mut twice = good();
        twice.put(name, "\"other\"");
        rows.push((format!("{name} twice"), twice));
        let mut escaped = good();
        let name = name.replacen('s', "\\u0073", 1).replacen('a', "\\u0061", 1);
        escaped.put(&name.replacen('e', "\\u0065", 1), "\"other\"");
        rows.push((format!("{name} twice, once escaped"), escaped));
    }
    for json in [
        "\"a\\nb\"",
        "\"\\u0000\"",
        "\"a\\u007fb\"",
        "\"a\\u0085b\"",
        "\"\\u001b[2J\"",
        "7",
        "[\"alice\"]",
    ] {
        rows.push((format!("sub {json}"), good().with("sub", json)));
    }
    let now = now();
    let times = |rows: &mut Vec<(String, Claims)>, name: &str, jsons: &[String]| {
        for json in jsons {
            rows.push((format!("{name} is {json}"), good().with(name, json)));
        }
    };
    let never: Vec<String> = [
        "-1",
        "-0.5",
        "-1e99",
        "1e99",
        "253402300800",
        "18446744073709551615",
        "99999999999999999999",
        "1e400",
        "NaN",
        "Infinity",
        "\"soon\"",
        "0x7fffffff",
    ]
    .map(str::to_owned)
    .into();
    for name in ["exp", "nbf", "iat"] {
        times(&mut rows, name, &never);
        times(
            &mut rows,
            name,
            &[quoted(&(now + 600).to_string()), format!("[{now}]")],
        );
    }
    let past = ["0", "1", "1e3"].map(str::to_owned);
    times(&mut rows, "exp", &past);
    times(
        &mut rows,
        "exp",
        &[
            (now - 60).to_string(),
            format!("{}.999", now - 60),
            // Milliseconds: without a check the token would be valid for 58,000 years.
            ((now + 600) * 1_000).to_string(),
        ],
    );
    for name in ["nbf", "iat"] {
        times(&mut rows, name, &["\"\"".to_owned(), "false".to_owned()]);
        times(
            &mut rows,
            name,
            &[
                (now + 300).to_string(),
                format!("{}.5", now + 300),
                (now * 1_000).to_string(),
            ],
        );
    }
    for json in ["7", "{}", "\"\"", "[\"a\"]", "\"a\\nb\""] {
        rows.push((format!("jti {json}"), good().with("jti", json)));
    }
    rows
}

fn links(issuers: &Issuers, rows: &mut Vec<Row>) {
    let link = &issuers.link;
    let mut push = |what: String, claims: &Claims| {
        let token = link.sign(&link.header(), claims);
        rows.push(Row::link(format!("link: {what}"), &token));
    };
    for (what, claims) in bad(link, &["aud", "sub", "exp", "pbx", "recording"]) {
        push(what, &claims);
    }
    let now = now();
    for (name, json) in [
        ("aud", quoted(AUDIENCE)),
        ("recording", quoted("../secrets/bearer")),
        ("recording", quoted("a/b.wav")),
        ("recording", quoted("a\\u0000b.wav")),
        ("recording", quoted(".hidden")),
        ("recording", "[\"a.wav\"]".to_owned()),
        ("pbx", format!("[{}]", quoted(PBX))),
        ("pbx", quoted("a\\nb")),
        ("ip", "null".to_owned()),
        ("ip", "7".to_owned()),
        ("ip", quoted("")),
        ("ip", quoted("localhost")),
        ("ip", quoted("127.0.0.0/8")),
        ("ip", quoted("203.0.113.7")),
        ("ip", quoted("::1")),
        ("ip", format!("[{}]", quoted("127.0.0.1"))),
        // Longer than a link may live, counted from its time of issue.
        ("exp", (now + 901).to_string()),
        ("iat", (now - 600).to_string()),
        ("iat", "0".to_owned()),
    ] {
        push(format!("{name} {json}"), &link.claims().with(name, &json));
    }
    let endless = link
        .claims()
        .without("iat")
        .with("exp", &(now + 1_000).to_string());
    push("too long, without iat".to_owned(), &endless);
}

/// The `Authorization` fields of good tokens: fractions of a second are dropped, lists may name
/// others, too, and unknown claims are ignored.
pub(super) fn accepted(issuers: &Issuers) -> Vec<(String, String)> {
    let issuer = issuers.first();
    let good = || issuer.claims();
    let now = now();
    let rows = [
        (
            "exp with a fraction",
            good().with("exp", &format!("{}.999", now + 600)),
        ),
        (
            "exp with an exponent",
            good().with("exp", &format!("{}e0", now + 600)),
        ),
        ("exp in the year 9999", good().with("exp", "253402300799")),
        (
            "nbf with a fraction",
            good().with("nbf", &format!("{}.5", now - 1)),
        ),
        ("nbf now", good().with("nbf", &now.to_string())),
        (
            "iat with a fraction",
            good().with("iat", &format!("{now}.25")),
        ),
        (
            "aud in a list",
            good().with("aud", &format!("[\"other\",\"{AUDIENCE}\"]")),
        ),
        (
            "aud alone in a list",
            good().with("aud", &format!("[\"{AUDIENCE}\"]")),
        ),
        (
            "others",
            good().with("email", "null").with("groups", "[[1],{}]"),
        ),
        (
            "claims of links",
            good()
                .with("pbx", "7")
                .with("recording", "[]")
                .with("ip", "true"),
        ),
        (
            "sub of 256 bytes",
            good().with("sub", &quoted(&"a".repeat(256))),
        ),
        (
            "sub in another script",
            good().with("sub", "\"\u{f6}\u{4e2d}\\u00e9\""),
        ),
    ];
    let field = |claims: &Claims| format!("Bearer {}", issuer.sign(&issuer.header(), claims));
    rows.iter()
        .map(|(what, claims)| ((*what).to_owned(), field(claims)))
        .collect()
}
