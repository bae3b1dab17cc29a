//! Getting a set of keys: out of a file, from a URL, or from where OpenID discovery says.
//!
//! Knows what may be fetched, and how much. Does not know what is in a set. `https` only, no redirects, no proxy of the
//! environment, no content coding, at most 256 KiB.
//!
//! Sources: OpenID Connect Discovery 1.0 §4.2 (the document) and §4.3 (`issuer` must be the issuer's name); RFC 9110 §8.4 and
//! §12.5.3 (content codings, and how to ask for none).

use std::path::Path;
use std::time::Duration;

use http::HeaderMap;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use url::{Origin, Url};

use crate::auth::key_sets::document::without_byte_order_mark;
use crate::auth::key_sets::source::{KeyPlace, KeySource};
use crate::tls::client;
use crate::tls::trust::PbxTrust;

/// The largest set or document.
const MAX_BYTES: usize = 256 * 1024;
/// How long one of them may take.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How much of what an issuer says is shown, in characters.
const MAX_SHOWN: usize = 200;
const USER_AGENT: &str = concat!("wavegate/", env!("CARGO_PKG_VERSION"));

/// The way to the keys of one issuer.
pub(super) struct Fetcher {
    place: KeyPlace,
    issuer: String,
    origins: Vec<Origin>,
    client: Option<reqwest::Client>,
}

/// What counts of an OpenID provider's metadata.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    /// # Errors
    /// A sentence for an operator: certificates that cannot be read.
    pub(super) fn new(source: &KeySource) -> Result<Self, String> {
        let client = match &source.place {
            KeyPlace::File(_) => None,
            KeyPlace::Url(_) | KeyPlace::Discovery(_) => Some(client(source)?),
        };
        Ok(Self {
            place: source.place.clone(),
            issuer: source.issuer.clone(),
            origins: source.origins.iter().map(Url::origin).collect(),
            client,
        })
    }

    /// Gets the set as it is now. The error is a sentence without a secret.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn fetch(&self) -> Result<Vec<u8>, String> {
        match &self.place {
            KeyPlace::File(path) => read_file(path).await,
            KeyPlace::Url(url) => self.get(url).await,
            KeyPlace::Discovery(url) => {
                let metadata = self.get(url).await?;
                let set = self.set_of(url, &metadata)?;
                self.get(&set).await
            }
        }
    }

    /// Where the document says that the set is, if that may be believed.
    fn set_of(&self, document: &Url, metadata: &[u8]) -> Result<Url, String> {
        let metadata: Metadata = serde_json::from_slice(without_byte_order_mark(metadata))
            .map_err(|_| "the discovery document has no issuer or no jwks_uri")?;
        if metadata.issuer != self.issuer {
            return Err(format!(
                "the discovery document is of another issuer: its issuer is {}, and the name of this one is {}",
                shown(&metadata.issuer),
                shown(&self.issuer)
            ));
        }
        let set = Url::parse(&metadata.jwks_uri)
            .map_err(|_| "jwks_uri of the discovery document is no URL")?;
        if set.scheme() != "https" {
            return Err("jwks_uri of the discovery document is not https".to_owned());
        }
        let origin = set.origin();
        if origin != document.origin() && !self.origins.contains(&origin) {
            return Err(format!(
                "jwks_uri of the discovery document leads to {}; add that to jwks_origins if it is right",
                origin.ascii_serialization()
            ));
        }
        Ok(set)
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let client = self.client.as_ref().ok_or("there is no way to a URL")?;
        timeout(LIMIT, get(client, url))
            .await
            .unwrap_or_else(|_| Err("no answer within 10 s".to_owned()))
    }
}

fn client(source: &KeySource) -> Result<reqwest::Client, String> {
    let trust = match &source.ca {
        Some(certificates) => PbxTrust::Ca(certificates.clone()),
        None => PbxTrust::System,
    };
    reqwest::Client::builder()
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(0)
        .tls_backend_preconfigured(client::client_config(&trust)?)
        .build()
        .map_err(|error| error.without_url().to_string())
}

async fn get(client: &reqwest::Client, url: &Url) -> Result<Vec<u8>, String> {
    let request = client.get(url.clone());
    let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
    let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut response = request.send().await.map_err(describe)?;
    if response.status() != StatusCode::OK {
        return Err(match response.status().is_redirection() {
            true => "the answer is a redirect; configure where it leads".to_owned(),
            false => format!("the answer has status {}", response.status().as_u16()),
        });
    }
    require_no_coding(response.headers())?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err("the answer is longer than 256 KiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Refuses what was encoded, which was not asked for and is not undone here.
fn require_no_coding(headers: &HeaderMap) -> Result<(), String> {
    for coding in headers.get_all(CONTENT_ENCODING) {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
            let coding = shown(&coding);
            return Err(format!(
                "the answer has the content coding {coding}, and none was asked for"
            ));
        }
    }
    Ok(())
}

/// A text of somebody else: short, in quotes, and as a program would write it.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(MAX_SHOWN).collect();
    let more = if start.len() < text.len() {
        "\u{2026}"
    } else {
        ""
    };
    format!("{start:?}{more}")
}

/// All causes, without the URL, which is in the configuration.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Reads a set out of a file.
///
/// # Errors
/// A sentence for an operator.
async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(told)?;
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .await
        .map_err(told)?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("{}: longer than 256 KiB", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
