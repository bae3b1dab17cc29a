//! Good tokens in another form, of another size or in another place; and other forms that are
//! accepted.

use super::{Issuers, LINK, MISSING, Row};
use crate::harness::keys::{self, base64};

pub(super) fn rows(issuers: &Issuers) -> Vec<Row> {
    let mut rows = Vec::new();
    let good = issuers.first().good();
    for (what, token) in rewritten(&good) {
        rows.push(Row::bearer(what, &token));
    }
    for (what, token) in rewritten(&issuers.link.good()) {
        // No client sends a space, a quotation mark or another script's letters unescaped in a
        // query.
        let is_sent = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        // Only in a query the escape of a dot or a letter stands for the dot or the letter.
        if token.bytes().all(is_sent)
            && !["a percent-escaped dot", "a percent-escaped letter"].contains(&what)
        {
            rows.push(Row::link(format!("link: {what}"), &token));
        }
    }
    sizes(issuers, &mut rows);
    schemes(&good, &mut rows);
    places(issuers, &mut rows);
    rows
}

/// All texts that differ from three segments of base64url with nothing around them.
fn rewritten(good: &str) -> Vec<(&'static str, String)> {
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let spare = |text: &str| {
        // The last character of 43 has two unused bits. Other values of them are another text for
        // the same bytes.
        let (rest, last) = text.split_at(text.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let place = alphabet.find(last).unwrap();
        format!("{rest}{}", &alphabet[place ^ 1..=place ^ 1])
    };
    vec![
        ("nothing", String::new()),
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("one segment", header.to_owned()),
        ("two segments", signed.to_owned()),
        ("two segments and a dot", format!("{signed}.")),
        ("four segments", format!("{good}.{signature}")),
        ("five segments with good ones", format!("{good}.a.b")),
        ("a dot behind", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("padding behind", format!("{good}=")),
        ("padding twice", format!("{good}==")),
        (
            "padding of the header",
            format!("{header}=.{claims}.{signature}"),
        ),
        (
            "padding of the claims",
            format!("{header}.{claims}==.{signature}"),
        ),
        ("plus", format!("{signed}.+{}", &signature[1..])),
        ("slash", format!("{signed}./{}", &signature[1..])),
        ("spare bits", format!("{signed}.{}", spare(signature))),
        ("a space within", format!("{header} .{claims}.{signature}")),
        ("a tab behind", format!("{good}\tx")),
        ("a percent-escaped dot", good.replacen('.', "%2E", 1)),
        ("a percent-escaped line feed", format!("{good}%0A")),
        ("a percent-escaped null byte", format!("{good}%00")),
        ("a percent-escaped letter", format!("%65{}", &good[1..])),
        ("a BOM", format!("\u{FEFF}{good}")),
        ("an umlaut", format!("{good}\u{e4}")),
        ("in quotes", format!("\"{good}\"")),
        ("twice", format!("{good},{good}")),
        (
            "its JSON form",
            format!("{{\"payload\":\"{claims}\",\"signature\":\"{signature}\"}}"),
        ),
        ("in lower case", good.to_lowercase()),
        ("a byte too many in the signature", format!("{good}AAAA")),
        ("segments swapped", format!("{claims}.{header}.{signature}")),
        ("header twice", format!("{header}.{header}.{signature}")),
        (
            "standard base64",
            format!(
                "{signed}.{}",
                signature.replace('-', "+").replace('_', "/") + "="
            ),
        ),
    ]
}

/// Long tokens without a valid signature. (A token longer than a request head may be gets 431
/// instead of 401: see `field/token_oddities`.)
fn sizes(issuers: &Issuers, rows: &mut Vec<Row>) {
    for issuer in [issuers.first(), &issuers.each[1], &issuers.link] {
        let padded = |bytes| {
            issuer
                .claims()
                .with("x", &format!("\"{}\"", "x".repeat(bytes)))
        };
        let long = format!(
            r#"{{"alg":"{}","kid":"{}","x":"{}"}}"#,
            issuer.algorithm,
            issuer.id,
            "x".repeat(9 * 1024)
        );
        for (what, header, claims) in [
            ("14 KiB", issuer.header(), padded(10_500)),
            ("header of 9 KiB", long, issuer.claims()),
        ] {
            let unsigned = keys::token(&header, &claims.json(), |_| vec![0; 32]);
            assert!((12 * 1024..15 * 1024).contains(&unsigned.len()));
            let what = format!("{}: {what}", issuer.id);
            rows.push(match issuer.id {
                "crm" => Row::link(what, &unsigned),
                _ => Row::bearer(what, &unsigned),
            });
        }
    }
    let dots = ".".repeat(8_000);
    rows.push(Row::bearer("8,000 dots", &dots));
    rows.push(Row::bearer("8,000 letters", &"a".repeat(8_000)));
    let zip = keys::token(r#"{"alg":"HS256","kid":"one"}"#, &"[".repeat(5_000), |_| {
        vec![0; 32]
    });
    rows.push(Row::bearer("5,000 brackets, badly signed", &zip));
}

fn schemes(good: &str, rows: &mut Vec<Row>) {
    let alice = base64(b"alice:secret");
    for field in [
        format!("Basic {alice}"),
        format!("Basic {good}"),
        format!("Digest username=\"alice\", response=\"{good}\""),
        format!("Token {good}"),
        format!("JWT {good}"),
        format!("DPoP {good}"),
        format!("Bearer:{good}"),
        format!("Bearer\t{good}"),
        format!("Bearer={good}"),
        format!("BearerBearer {good}"),
        "Negotiate TlRMTVNTUAAB".to_owned(),
        good.to_owned(),
    ] {
        let what = format!("field {field:.20}");
        rows.push(Row::field(what, &field).with_slug(MISSING));
    }
    for field in [
        "Bearer".to_owned(),
        "Bearer null".to_owned(),
        "Bearer undefined".to_owned(),
        format!("Bearer Bearer {good}"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good}, Basic {alice}"),
        format!("Bearer token=\"{good}\""),
        format!("Bearer {good};"),
    ] {
        let (start, end) = (&field[..field.len().min(14)], field.len());
        rows.push(Row::field(format!("field {start}, {end} bytes"), &field));
    }
    for second in [
        format!("Bearer {good}"),
        format!("Basic {alice}"),
        String::new(),
    ] {
        let what = format!("a second field {second:.10}");
        let mut row = Row::bearer(what, good);
        row.fields.push(second.clone());
        rows.push(row);
        let mut row = Row::field(format!("a first field {second:.10}"), &second);
        row.fields.push(format!("Bearer {good}"));
        rows.push(row);
    }
}

/// A good token in a place that is not allowed, and a wrong token before a good one.
fn places(issuers: &Issuers, rows: &mut Vec<Row>) {
    let (good, link) = (issuers.first().good(), issuers.link.good());
    let query = |what: &str, query: String, slug| Row {
        what: what.to_owned(),
        fields: Vec::new(),
        query,
        slug,
    };
    rows.extend([
        Row::bearer("a link token in a field", &link),
        Row::link("a bearer token in ?link=", &good),
        query(
            "?access_token=",
            format!("?access_token={good}"),
            super::BEARER,
        ),
        query("?token=", format!("?token={good}"), super::BEARER),
        query(
            "?access_token= beside a link",
            format!("?link={link}&access_token={good}"),
            super::BEARER,
        ),
        query("?jwt=", format!("?jwt={good}"), MISSING),
        query("?Link=", format!("?Link={link}"), MISSING),
        query("?link[]=", format!("?link[]={link}"), MISSING),
        query("?%6cink=", format!("?%6cink={link}"), MISSING),
        query("two links", format!("?link={link}&link={link}"), LINK),
        query(
            "an empty link before a good one",
            format!("?link=&link={link}"),
            LINK,
        ),
        query("a link without a value", "?link".to_owned(), LINK),
        query("a semicolon", format!("?link={link};x=1"), LINK),
        query("no credential", String::new(), MISSING),
        query("a question mark", "?".to_owned(), MISSING),
    ]);
    // The first credential decides.
    let mut row = Row::bearer("a wrong field and a good link", &good[1..]);
    row.query = format!("?link={link}");
    rows.push(row);
    let mut row = Row::field("Basic and a good link", "Basic YTpi").with_slug(MISSING);
    row.query = format!("?link={link}");
    rows.push(row);
}

/// The `Authorization` fields of good tokens that only look odd.
pub(super) fn accepted(issuers: &Issuers) -> Vec<(String, String)> {
    let issuer = issuers.first();
    let good = issuer.good();
    let claims = issuer.claims();
    let with = |header: &str| format!("Bearer {}", issuer.sign(header, &claims));
    [
        ("lower case", format!("bearer {good}")),
        ("upper case", format!("BEARER {good}")),
        ("several spaces", format!("Bearer    {good}")),
        ("no kid", with(r#"{"alg":"HS256"}"#)),
        ("no typ", with(r#"{"alg":"HS256","kid":"one"}"#)),
        (
            "typ of an access token",
            with(r#"{"typ":"at+jwt","alg":"HS256"}"#),
        ),
        (
            "typ as a media type",
            with(r#"{"typ":"application/AT+JWT","alg":"HS256"}"#),
        ),
        ("typ in lower case", with(r#"{"typ":"jwt","alg":"HS256"}"#)),
        (
            "white space in the header",
            with("\n {\t\"alg\" : \"HS256\" }\r\n"),
        ),
        (
            "escapes in the header",
            with(r#"{"\u0061lg":"HS\u0032\u00356","kid":"\u006fne"}"#),
        ),
        (
            "other members",
            with(r#"{"alg":"HS256","cty":"JWT","x5t":"AAAA","x":{"a":[1]}}"#),
        ),
    ]
    .map(|(what, field)| (what.to_owned(), field))
    .into()
}
