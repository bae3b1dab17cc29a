//! An identity provider on a real socket: publishes its keys over TLS, signs tokens, and fails on
//! demand.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};

use super::AUDIENCE;
use super::tls::Identity;

/// The way in which the provider answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Closes connections.
    Down,
    /// Answers with this status, header field and body.
    Says(u16, &'static str, Bytes),
}

/// An identity provider that runs until the test ends.
pub(crate) struct Idp {
    identity: Identity,
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    asked: watch::Receiver<u64>,
    /// The number of requests for its discovery document.
    asked_where: watch::Receiver<u64>,
    is_held: watch::Sender<bool>,
}

struct State {
    mood: Mood,
    /// The issuer that its discovery document names.
    issuer: String,
    /// The content coding that it declares for its bodies.
    coding: Option<&'static str>,
    /// The published keys, the newest last.
    keys: Vec<(String, KeyPair)>,
    made: u32,
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let identity = Identity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            issuer: format!("https://{addr}"),
            coding: None,
            keys: Vec::new(),
            made: 0,
        }));
        let (keys, asked) = watch::channel(0);
        let (documents, asked_where) = watch::channel(0);
        let (is_held, held) = watch::channel(false);
        let service = Service {
            name: format!("https://{addr}"),
            state: Arc::clone(&state),
            keys,
            documents,
            is_held: held,
        };
        tokio::spawn(serve(listener, identity.acceptor(), Arc::new(service)));
        let idp = Self {
            identity,
            addr,
            state,
            asked,
            asked_where,
            is_held,
        };
        idp.rotate();
        idp
    }

    /// Its issuer name, which is also its address.
    pub(crate) fn name(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Lines of an `[[auth.issuer]]` for it, followed by `lines`. Writes its certificate into the
    /// folder.
    pub(crate) fn lines(&self, folder: &Path, lines: &str) -> String {
        std::fs::write(folder.join("idp-ca.pem"), &self.identity.certificate).unwrap();
        let name = self.name();
        format!(
            "name = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\njwks_ca_file = \"idp-ca.pem\"\n{lines}"
        )
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Names another issuer in its discovery document.
    pub(crate) fn rename(&self, issuer: &str) {
        issuer.clone_into(&mut self.state.lock().unwrap().issuer);
    }

    /// Declares a content coding for its bodies.
    pub(crate) fn encode(&self, coding: Option<&'static str>) {
        self.state.lock().unwrap().coding = coding;
    }

    /// Holds its answers back from now on. Each answer has the state at the time of its request.
    pub(crate) fn hold(&self) {
        self.is_held.send_replace(true);
    }

    /// Sends the answers that were held back, and all later ones at once.
    pub(crate) fn release(&self) {
        self.is_held.send_replace(false);
    }

    /// Publishes a new key, and signs with it from now on. The two keys before it stay published.
    pub(crate) fn rotate(&self) {
        let mut state = self.state.lock().unwrap();
        state.made += 1;
        let id = format!("key-{}", state.made);
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        state.keys.push((id, pair));
        let old = state.keys.len().saturating_sub(3);
        state.keys.drain(..old);
    }

    /// Publishes a new key in place of all earlier ones.
    pub(crate) fn withdraw(&self) {
        self.state.lock().unwrap().keys.clear();
        self.rotate();
    }

    /// Its keys as it publishes them.
    pub(crate) fn set(&self) -> String {
        self.state.lock().unwrap().set().to_string()
    }

    /// A token that is valid for an hour.
    pub(crate) fn jwt(&self, subject: &str) -> String {
        self.jwt_as(&self.name(), subject)
    }

    /// The same token in the name of another issuer.
    pub(crate) fn jwt_as(&self, issuer: &str, subject: &str) -> String {
        let state = self.state.lock().unwrap();
        let (id, pair) = state.keys.last().unwrap();
        let key = pair.serialize_pem();
        let key = SigningKey::private_pem(Some(id.clone()), Algorithm::Es256, key.as_bytes());
        let claims = mint::BearerClaims {
            issuer,
            subject,
            audience: AUDIENCE,
        };
        let hour = Duration::from_secs(3600);
        mint::bearer(&key.unwrap(), &claims, SystemTime::now(), hour).unwrap()
    }

    /// The lines of its private keys, as they stand in a PEM file.
    pub(crate) fn private_keys(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let pems = state.keys.iter().map(|(_, pair)| pair.serialize_pem());
        let lines = pems.flat_map(|pem| pem.lines().map(str::to_owned).collect::<Vec<_>>());
        lines
            .filter(|line| line.len() > 20 && !line.contains("KEY"))
            .collect()
    }

    /// The number of requests for its keys.
    pub(crate) fn asked(&self) -> u64 {
        *self.asked.borrow()
    }

    /// Waits until there have been this many.
    pub(crate) async fn until_asked(&self, times: u64) {
        let mut asked = self.asked.clone();
        asked.wait_for(|asked| *asked >= times).await.unwrap();
    }

    /// Waits until there have been this many requests for its discovery document.
    pub(crate) async fn until_asked_where(&self, times: u64) {
        let mut asked = self.asked_where.clone();
        asked.wait_for(|asked| *asked >= times).await.unwrap();
    }
}

/// The part that answers requests.
struct Service {
    name: String,
    state: Arc<Mutex<State>>,
    keys: watch::Sender<u64>,
    documents: watch::Sender<u64>,
    is_held: watch::Receiver<bool>,
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, service: Arc<Service>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
        tokio::spawn(async move {
            if service.state.lock().unwrap().mood == Mood::Down {
                service.keys.send_modify(|count| *count += 1);
                return;
            }
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| service.answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

impl Service {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path();
        let response = self.state.lock().unwrap().answer(&self.name, path);
        let count = match path {
            "/keys" => &self.keys,
            _ => &self.documents,
        };
        count.send_modify(|count| *count += 1);
        let _ = self.is_held.clone().wait_for(|held| !held).await;
        Ok(response)
    }
}

impl State {
    fn set(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(jwk).collect();
        json!({ "keys": keys })
    }

    fn answer(&self, name: &str, path: &str) -> Response<Full<Bytes>> {
        if let Mood::Says(status, location, body) = &self.mood {
            let mut response = Response::builder()
                .status(*status)
                .header("location", *location);
            if let Some(coding) = self.coding {
                response = response.header("content-encoding", coding);
            }
            return response.body(Full::from(body.clone())).unwrap();
        }
        let issuer = &self.issuer;
        let body = match path {
            "/keys" => self.set(),
            _ => json!({"issuer": issuer, "jwks_uri": format!("{name}/keys")}),
        };
        Response::new(Full::from(body.to_string()))
    }
}

fn jwk((id, pair): &(String, KeyPair)) -> Value {
    let point = pair.public_key_raw();
    let (x, y) = point[1..].split_at(32);
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": encode(x), "y": encode(y)})
}
