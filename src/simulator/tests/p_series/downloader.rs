//! A small downloader for the P-Series, and the box that it calls.

use std::ops::Deref;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::simulator::tests::client::{Client, ReceivedAnswer, Stream};
use crate::simulator::{Builder, Simulator};

pub(super) struct Downloader {
    pbx: Simulator,
    client: Client,
}

impl Deref for Downloader {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.pbx
    }
}

impl Downloader {
    pub(super) async fn of(builder: Builder) -> Self {
        let pbx = builder.start().await.unwrap();
        let client = Client::of(&pbx);
        Self { pbx, client }
    }

    /// Changes the client that makes the connections.
    pub(super) fn with(mut self, change: impl FnOnce(Client) -> Client) -> Self {
        self.client = change(self.client);
        self
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (host, length) = (self.pbx.addr(), body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: OpenAPI\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    pub(super) async fn open(&self, path: &str) -> Box<dyn Stream> {
        use tokio::io::AsyncWriteExt;
        let mut stream = self.client.connect().await.unwrap();
        let request = self.request("GET", path, "");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    pub(super) async fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<ReceivedAnswer> {
        let request = self.request(method, path, body);
        self.client.raw(request.as_bytes()).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> ReceivedAnswer {
        self.try_ask(method, path, body).await.unwrap()
    }

    pub(super) async fn raw(&self, request: &str) -> ReceivedAnswer {
        self.client.raw(request.as_bytes()).await.unwrap()
    }

    pub(super) async fn get_token(&self) -> ReceivedAnswer {
        let body = json!({"username": self.pbx.username(), "password": self.pbx.password()});
        let path = "/openapi/v1.0/get_token";
        self.ask("POST", path, &body.to_string()).await
    }

    pub(super) async fn token(&self) -> String {
        let json = self.get_token().await.json();
        let token = json["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{json}")).to_owned()
    }

    pub(super) async fn refresh(&self, refresh: &Value) -> ReceivedAnswer {
        let body = json!({ "refresh_token": refresh }).to_string();
        self.ask("POST", "/openapi/v1.0/refresh_token", &body).await
    }

    pub(super) async fn download(&self, token: &str, name: &str) -> ReceivedAnswer {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let path = format!("/openapi/v1.0/recording/download?access_token={token}&file={name}");
        self.ask("GET", &path, "").await
    }

    /// Returns the address of a file as the box writes it, else the errcode.
    pub(super) async fn resource(&self, token: &str, name: &str) -> Result<String, Option<i64>> {
        let answer = self.download(token, name).await;
        match answer.json()["download_resource_url"].as_str() {
            Some(url) => Ok(url.to_owned()),
            None => Err(answer.errcode()),
        }
    }

    pub(super) async fn file(&self, path: &str, token: &str) -> ReceivedAnswer {
        self.ask("GET", &format!("{path}?access_token={token}"), "")
            .await
    }

    /// Gets a token, gets an address and downloads.
    pub(super) async fn fetch(&self, name: &str) -> Result<ReceivedAnswer, Option<i64>> {
        let token = self.token().await;
        let path = self.resource(&token, name).await?;
        Ok(self.file(&path, &token).await)
    }

    /// Calls a list. `call` ends in `?`, or in `&` after other parameters.
    pub(super) async fn list(&self, token: &str, call: &str) -> ReceivedAnswer {
        let path = format!("/openapi/v1.0/{call}access_token={token}");
        self.ask("GET", &path, "").await
    }
}

impl ReceivedAnswer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The errcode; `None` if it is absent or not a number.
    pub(super) fn errcode(&self) -> Option<i64> {
        self.json()["errcode"].as_i64()
    }
}
