//! Answers, as read by a client that checks everything.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::PATIENCE;

/// An answer whose head has passed the checks for every answer. Dropping it closes the connection.
pub(crate) struct Answer {
    response: Response<Incoming>,
    driver: Arc<Driver>,
}

pub(super) struct Driver(pub(super) tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The transfer broke before its end.
pub(crate) struct Broken {
    /// The bytes that had arrived.
    pub(crate) received: Bytes,
}

/// Shows the number of received bytes, not the bytes.
impl std::fmt::Debug for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Broken after {} bytes", self.received.len())
    }
}

impl Answer {
    pub(super) fn checked(
        response: Response<Incoming>,
        driver: tokio::task::JoinHandle<()>,
    ) -> Self {
        Self::checked_on(response, Arc::new(Driver(driver)))
    }

    pub(super) fn checked_on(response: Response<Incoming>, driver: Arc<Driver>) -> Self {
        let headers = response.headers();
        assert!(headers.contains_key("x-request-id"), "{response:?}");
        let caching = headers.get("cache-control").unwrap();
        let is_kept = caching == "private, no-cache" && !response.status().is_client_error();
        assert!(
            is_kept || caching.to_str().unwrap().contains("no-store"),
            "{response:?}"
        );
        if response.status() == StatusCode::UNAUTHORIZED {
            assert!(headers.contains_key("www-authenticate"), "{response:?}");
        }
        if [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ]
        .contains(&response.status())
        {
            assert!(headers.contains_key("retry-after"), "{response:?}");
        }
        Self { response, driver }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    /// The next piece of the body; `None` at its proper end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = tokio::time::timeout(PATIENCE, self.response.body_mut().frame())
            .await
            .expect("a hang");
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    /// The whole body.
    pub(crate) async fn bytes(mut self) -> Result<Bytes, Broken> {
        let mut received = Vec::new();
        while let Some(chunk) = self.chunk().await {
            match chunk {
                Ok(chunk) => received.extend_from_slice(&chunk),
                Err(_) => {
                    return Err(Broken {
                        received: received.into(),
                    });
                }
            }
        }
        drop(self.driver);
        Ok(received.into())
    }

    /// The title of a page for people.
    pub(crate) async fn page(self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let html = String::from_utf8(self.bytes().await.unwrap().to_vec()).unwrap();
        let (_, title) = html.split_once("<title>").unwrap();
        title.split_once('<').unwrap().0.to_owned()
    }

    /// The body as a problem document, checked for its shape.
    pub(crate) async fn problem(self) -> Problem {
        let status = self.status();
        assert!(
            status.is_client_error() || status.is_server_error(),
            "{status}"
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let headers = self.headers().clone();
        let document: Value = serde_json::from_slice(&self.bytes().await.unwrap()).unwrap();
        assert_eq!(document["status"], status.as_u16());
        assert_eq!(
            document["request_id"],
            headers["x-request-id"].to_str().unwrap()
        );
        for member in ["title", "detail"] {
            assert!(!document[member].as_str().unwrap().is_empty());
        }
        let slug = document["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:wavegate:problem:")
            .unwrap();
        Problem {
            slug: slug.to_owned(),
            status,
            headers,
            text: document.to_string(),
        }
    }
}

/// A problem document.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) slug: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}
