//! Tokens that an attacker would try, over a real connection. Each is refused with 401 and the slug
//! of its problem. The PBX gets no request, nothing panics, and the gateway then serves as before.
//!
//! Sources: RFC 8725 §2 (threats); RFC 7515 §4.1 and §5.2; RFC 7519 §4.1 and §7.2; the public
//! write-ups of `alg: none`, of public keys used as HMAC secrets, of keys inside a token's header,
//! and of key ids used as paths or in queries.

mod algorithms;
mod claims;
mod forms;
mod headers;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::keys::Key;
use crate::harness::{
    AUDIENCE, BEARER_SECRET, Call, Gateway, ISSUER, LINK_AUDIENCE, LINK_SECRET, NAME, PBX, gateway,
};

const BEARER: &str = "bearer-token-invalid";
const MISSING: &str = "bearer-token-missing";
const LINK: &str = "link-token-invalid";

/// An issuer whose tokens the gateway accepts.
struct Issuer {
    name: &'static str,
    algorithm: &'static str,
    id: &'static str,
    key: Key,
}

/// All issuers: one for each kind of key, one that publishes two keys, and the key of links.
struct Issuers {
    each: Vec<Issuer>,
    /// The two keys of the issuer that publishes a set.
    set: [Issuer; 2],
    link: Issuer,
}

/// One request that must be refused.
struct Row {
    what: String,
    /// The `Authorization` fields.
    fields: Vec<String>,
    query: String,
    slug: &'static str,
}

impl Row {
    /// A token in the `Authorization` field.
    fn bearer(what: impl Into<String>, token: &str) -> Self {
        Self::field(what, &format!("Bearer {token}"))
    }

    fn field(what: impl Into<String>, field: &str) -> Self {
        Self {
            what: what.into(),
            fields: vec![field.to_owned()],
            query: String::new(),
            slug: BEARER,
        }
    }

    /// A token in `?link=`.
    fn link(what: impl Into<String>, token: &str) -> Self {
        Self {
            what: what.into(),
            fields: Vec::new(),
            query: format!("?link={token}"),
            slug: LINK,
        }
    }

    fn with_slug(mut self, slug: &'static str) -> Self {
        self.slug = slug;
        self
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Issuer {
    fn new(name: &'static str, algorithm: &'static str, id: &'static str) -> Self {
        let key = Key::generate(algorithm);
        Self {
            name,
            algorithm,
            id,
            key,
        }
    }

    fn header(&self) -> String {
        header(self.algorithm, self.id)
    }

    /// The claims of a good token, valid for ten minutes.
    fn claims(&self) -> Claims {
        let mut claims = Claims(Vec::new());
        if self.id == "crm" {
            claims.put("aud", &quoted(LINK_AUDIENCE));
            claims.put("pbx", &quoted(PBX));
            claims.put("recording", &quoted(NAME));
            claims.put("iat", &now().to_string());
        } else {
            claims.put("iss", &quoted(self.name));
            claims.put("aud", &quoted(AUDIENCE));
        }
        claims.put("sub", "\"alice\"");
        claims.put("exp", &(now() + 600).to_string());
        claims
    }

    /// A token with this header and these claims, correctly signed.
    fn sign(&self, header: &str, claims: &Claims) -> String {
        let sign = |message: &[u8]| self.key.sign(self.algorithm, message);
        crate::harness::keys::token(header, &claims.json(), sign)
    }

    /// A token that the gateway accepts.
    fn good(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }
}

/// The members of a JSON object in order. A name may occur several times.
#[derive(Clone)]
struct Claims(Vec<(String, String)>);

impl Claims {
    fn put(&mut self, name: &str, json: &str) {
        self.0.push((name.to_owned(), json.to_owned()));
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self
    }

    /// Replaces the claim of this name, or adds it.
    fn with(self, name: &str, json: &str) -> Self {
        let mut claims = self.without(name);
        claims.put(name, json);
        claims
    }

    fn json(&self) -> String {
        let mut text = String::from("{");
        for (index, (name, json)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\"{name}\":{json}");
        }
        text.push('}');
        text
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn header(algorithm: &str, id: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{id}"}}"#)
}

/// One set of keys for all tables, since making the keys takes longer than refusing a token.
static ISSUERS: LazyLock<Issuers> = LazyLock::new(Issuers::new);

impl Issuers {
    fn new() -> Self {
        let secret = |name, id, text| Issuer {
            name,
            algorithm: "HS256",
            id,
            key: Key::secret(text),
        };
        Self {
            each: vec![
                secret(ISSUER, "one", BEARER_SECRET),
                Issuer::new("https://rs256.test", "RS256", "rs"),
                Issuer::new("https://ps256.test", "PS256", "ps"),
                Issuer::new("https://es256.test", "ES256", "es"),
                Issuer::new("https://es384.test", "ES384", "es3"),
                Issuer::new("https://eddsa.test", "EdDSA", "ed"),
            ],
            set: [
                Issuer::new("https://set.test", "RS256", "set-rsa"),
                Issuer::new("https://set.test", "ES256", "set-ec"),
            ],
            link: secret("", "crm", LINK_SECRET),
        }
    }

    /// The issuer with the shared secret.
    fn first(&self) -> &Issuer {
        &self.each[0]
    }

    fn all(&self) -> impl Iterator<Item = &Issuer> {
        self.each.iter().chain(&self.set)
    }

    /// A gateway that accepts tokens of all issuers.
    async fn gateway(&self, pbx: &Simulator) -> Gateway {
        let mut builder = gateway(pbx);
        for issuer in self.each.iter().skip(1) {
            let Issuer {
                name,
                algorithm,
                id,
                key,
            } = issuer;
            std::fs::write(builder.folder().join(id), key.pem()).unwrap();
            builder = builder.lines("[[auth.issuer]]", &format!(
                "name = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\n[[auth.issuer.key]]\nid = \"{id}\"\n\
                 algorithm = \"{algorithm}\"\npublic_key_file = \"{id}\""
            ));
        }
        let keys: Vec<_> = self.set.iter().map(|one| one.key.jwk(one.id)).collect();
        let set = serde_json::json!({ "keys": keys }).to_string();
        std::fs::write(builder.folder().join("set.json"), set).unwrap();
        builder = builder.lines("[[auth.issuer]]", &format!(
            "name = \"https://set.test\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"set.json\""
        ));
        builder.start().await
    }
}

thread_local! {
    /// The number of panics on this thread, which also runs the gateway under test.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        before(info);
    }));
}

/// Sends every row to a gateway, and then good tokens, which it must accept.
async fn check(rows: impl FnOnce(&Issuers) -> Vec<Row>, at_least: usize) {
    count_panics();
    let rows = rows(&ISSUERS);
    let mut names = HashSet::new();
    for row in &rows {
        assert!(names.insert(&row.what), "{} stands there twice", row.what);
    }
    assert!(rows.len() >= at_least, "{} rows", rows.len());
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let gateway = ISSUERS.gateway(&pbx).await;
    let target = format!("/recordings/{NAME}");
    for row in &rows {
        let target = format!("{target}{}", row.query);
        let mut call = Call::new(gateway.addr(), Method::GET, &target);
        for field in &row.fields {
            call = call.header("authorization", field);
        }
        let what = &row.what;
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
        let challenge = match row.slug {
            MISSING => "Bearer",
            _ => "Bearer error=\"invalid_token\"",
        };
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{what}");
        assert_eq!(answer.problem().await.slug, row.slug, "{what}");
    }
    let seen = pbx.seen();
    assert_eq!((seen.requests.total(), seen.bad_requests), (0, 0));
    assert_eq!(PANICS.get(), 0);
    // The tokens from which the rows were made are accepted.
    for issuer in ISSUERS.all() {
        let answer = gateway.get(NAME).bearer(&issuer.good()).send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", issuer.name);
    }
    let target = format!("{target}?link={}", ISSUERS.link.good());
    let answer = gateway.request(Method::GET, &target).send().await;
    assert_eq!(answer.status(), StatusCode::OK, "the link");
}

#[tokio::test]
async fn no_token_of_another_algorithm_or_key_is_accepted() {
    check(algorithms::rows, 500).await;
}

#[tokio::test]
async fn no_header_brings_a_key_or_changes_how_a_token_is_read() {
    check(headers::rows, 250).await;
}

#[tokio::test]
async fn no_claims_but_good_ones_are_accepted() {
    check(claims::rows, 250).await;
}

#[tokio::test]
async fn no_other_form_size_or_place_of_a_token_is_accepted() {
    check(forms::rows, 110).await;
}

/// Forms and claims that look odd, and that the gateway must accept.
#[tokio::test]
async fn unusual_but_valid_tokens_are_accepted() {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let gateway = ISSUERS.gateway(&pbx).await;
    let accepted = forms::accepted(&ISSUERS);
    for (what, field) in accepted.into_iter().chain(claims::accepted(&ISSUERS)) {
        let call = gateway.get(NAME).header("authorization", &field);
        assert_eq!(call.send().await.status(), StatusCode::OK, "{what}");
    }
}
