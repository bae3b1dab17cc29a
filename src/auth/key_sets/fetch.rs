//! Fetches a key set: from a file, from a URL, or from the URL that OpenID discovery names.
//!
//! Knows what may be fetched, and how much. Does not know the contents of a set. `https` only, no
//! redirects, no proxy from the environment, no content coding, at most 256 KiB.
//!
//! Sources: OpenID Connect Discovery 1.0 §4.2 (the document) and §4.3 (`issuer` must be the
//! issuer's name); RFC 9110 §8.4 and §12.5.3 (content codings, and how to ask for none).

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

/// The largest set or discovery document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// The longest time for one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most characters shown of a text that an issuer sent.
const MAX_SHOWN_CHARS: usize = 200;
const USER_AGENT: &str = concat!("wavegate/", env!("CARGO_PKG_VERSION"));

/// Fetches the key set of one issuer.
pub(super) struct Fetcher {
    place: KeyPlace,
    issuer: String,
    origins: Vec<Origin>,
    client: Option<reqwest::Client>,
}

/// The members used from an OpenID provider's metadata.
#[derive(Deserialize)]
struct ProviderMetadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    /// # Errors
    /// A sentence for an operator: the HTTP client cannot be built.
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

    /// Fetches the current set. The error is a sentence without a secret.
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

    /// The set's URL by the discovery document, if its origin is allowed.
    fn set_of(&self, document: &Url, metadata: &[u8]) -> Result<Url, String> {
        let metadata: ProviderMetadata = serde_json::from_slice(without_byte_order_mark(metadata))
            .map_err(|_| "the discovery document has no issuer or no jwks_uri")?;
        if metadata.issuer != self.issuer {
            return Err(format!(
                "the discovery document is of another issuer: its issuer is {}, and the name of this one is {}",
                shown(&metadata.issuer),
                shown(&self.issuer)
            ));
        }
        let set = Url::parse(&metadata.jwks_uri)
            .map_err(|_| "jwks_uri of the discovery document is not a URL")?;
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
        let client = self.client.as_ref().ok_or("no HTTP client for a URL")?;
        timeout(FETCH_TIMEOUT, get(client, url))
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
        .connect_timeout(CONNECT_TIMEOUT)
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
            true => "the answer is a redirect; configure its target".to_owned(),
            false => format!("the answer has status {}", response.status().as_u16()),
        });
    }
    require_no_coding(response.headers())?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err("the answer is longer than 256 KiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Refuses an encoded body: none was requested, and none is decoded here.
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

/// A text from outside for a message: short, in quotes and with escapes.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    let more = if start.len() < text.len() {
        "\u{2026}"
    } else {
        ""
    };
    format!("{start:?}{more}")
}

/// The whole chain of causes, without the URL, which is in the configuration.
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

/// Reads a set from a file.
///
/// # Errors
/// A sentence for an operator.
async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let with_path = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(with_path)?;
    let mut bytes = Vec::new();
    let most = MAX_DOCUMENT_BYTES as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .await
        .map_err(with_path)?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!("{}: longer than 256 KiB", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
