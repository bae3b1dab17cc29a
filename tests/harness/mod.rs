//! The harness of all tests: a gateway built by the real composition root, and a client that checks
//! everything.
//!
//! The configuration goes through a real file, so every test also reads one. The client checks on
//! every answer what must hold for all: a request id, no caching of problems, the form of problem
//! documents.

#![allow(
    dead_code,
    unused_imports,
    reason = "each of the three binaries uses a part"
)]

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use wavegate::app::{App, GatewayParts};
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};
use wavegate::config::Problems;
use wavegate::recording::RecordingName;
use wavegate::secret::Secret;
use wavegate::simulator::{Api, Simulator};

pub(crate) mod admin;
mod answer;
pub(crate) mod audit;
mod call;
mod file;
pub(crate) mod idp;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod listener;
pub(crate) mod metrics;
pub(crate) mod policies;
pub(crate) mod programs;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod wire;

pub(crate) use answer::{Answer, Broken, Problem};
pub(crate) use call::Call;
use tls::Identity;

/// A recording in the vendor's grammar, of a call long ago.
pub(crate) const NAME: &str = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
pub(crate) const ISSUER: &str = "https://idp.test";
pub(crate) const AUDIENCE: &str = "recordings";
pub(crate) const LINK_AUDIENCE: &str = "links";
/// The name of the PBX in every test.
pub(crate) const PBX: &str = "office";
/// The file of policies, beside the configuration.
pub(crate) const POLICIES: &str = "policy.cedar";
/// Permits every authenticated principal to hear every recording.
pub(crate) const EVERYONE: &str = "permit(principal, action, resource);";
/// Far beyond the time of any test, so that a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const BEARER_SECRET: &str = "a-secret-of-the-tests-for-bearer-tokens";
pub(crate) const LINK_SECRET: &str = "a-secret-of-the-tests-for-links-0123456789";

/// Waits for an event; a hang becomes a failure.
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(PATIENCE, event).await.expect("a hang")
}

/// A gateway to be started.
pub(crate) struct Builder {
    folder: TempDir,
    /// The configuration file.
    config: Value,
}

/// Prepares a gateway for a simulated PBX.
pub(crate) fn gateway(pbx: &Simulator) -> Builder {
    gateway_for(pbx, pbx.api())
}

/// Prepares a gateway that treats a simulated PBX as one with `api`.
///
/// The cache is off: every download is passed through, and costs a ticket. Requests are not
/// limited, since all tests come from one address in a short time.
pub(crate) fn gateway_for(pbx: &Simulator, api: Api) -> Builder {
    let builder = Builder {
        folder: tempfile::tempdir().unwrap(),
        config: json!({
            "server": {"listen": ["127.0.0.1:0"]},
            "admin": {"listen": "127.0.0.1:0"},
            "log": {},
            "audit": {},
            "auth": {"issuer": [{
                "name": ISSUER,
                "audiences": [AUDIENCE],
                "key": [{"id": "one", "algorithm": "HS256", "secret_file": "bearer"}],
            }]},
            "links": {
                "audience": LINK_AUDIENCE,
                "key": [{"id": "crm", "algorithm": "HS256", "secret_file": "link"}],
            },
            "policy": {"file": POLICIES},
            "cors": {},
            "limits": {
                "principal_requests_per_second": 0,
                "address_requests_per_second": 0,
                "address_failures_per_minute": 0,
            },
            "relay": {},
            "cache": {"max_bytes": 0, "remember_missing_ms": 0},
            "range": {},
            "pbx": [table_of(PBX, pbx, api, "password")],
        }),
    };
    builder.secret("password", pbx.password());
    builder.secret("bearer", BEARER_SECRET);
    builder.secret("link", LINK_SECRET);
    builder.policies(EVERYONE)
}

/// The `[[pbx]]` of a simulated PBX.
fn table_of(name: &str, pbx: &Simulator, api: Api, password_file: &str) -> Value {
    let is_plain = pbx.url().starts_with("http:");
    let mut table = json!({
        "name": name,
        "api": api.as_str(),
        "url": pbx.url(),
        "plain_http": is_plain,
        "username": pbx.username(),
        "password_file": password_file,
    });
    if !is_plain {
        table["tls"] = json!({"pins": [pbx.fingerprint()]});
    }
    table["groups"] = json!({});
    table
}

impl Builder {
    fn secret(&self, name: &str, text: &str) {
        write_secret(&self.folder.path().join(name), text);
    }

    /// The folder of the configuration file; relative paths in it start here.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a key of the configuration by its path, such as `relay.max_streams`. In an array of
    /// tables the key belongs to the first one, or to the one with the given index, as in
    /// `pbx[1].names_from`. A table is replaced as a whole; null removes a key or a table.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        file::set(&mut self.config, path, value.into());
        self
    }

    /// Merges lines of a configuration file under `header`: `[cache]` or `[pbx]` sets keys of that
    /// table, and `[[auth.issuer]]` adds another one. For tables with several keys; for single keys
    /// see [`Builder::set`].
    pub(crate) fn lines(mut self, header: &str, lines: &str) -> Self {
        file::merge(&mut self.config, &format!("{header}\n{lines}"));
        self
    }

    /// Turns the cache on, as it is by default.
    pub(crate) fn cache(self) -> Self {
        self.set("cache", json!({}))
    }

    /// Turns the audit log on, in the folder `audit`.
    pub(crate) fn audit(self) -> Self {
        self.secret("head-key", audit::HEAD_KEY);
        self.set("audit.dir", "audit")
            .set("audit.key_file", "head-key")
    }

    /// Limits requests with the default limits.
    pub(crate) fn limits(self) -> Self {
        self.set("limits", json!({}))
    }

    /// Listens for TLS, too, and presents this certificate.
    pub(crate) fn tls(self, identity: &Identity) -> Self {
        identity.write(self.folder());
        self.set("server.tls.listen", ["127.0.0.1:0"])
            .set("server.tls.certificate_file", "server.pem")
            .set("server.tls.key_file", "server.key")
    }

    /// Sets the PBX's address, if it is not the simulator's own.
    pub(crate) fn pbx_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set("pbx.plain_http", url.starts_with("http:"))
            .set("pbx.url", url)
    }

    /// Sets another password than the simulator's.
    pub(crate) fn password(self, password: &str) -> Self {
        self.secret("password", password);
        self
    }

    /// Does not verify the PBX's certificate by its pin.
    pub(crate) fn without_pin(self) -> Self {
        self.set("pbx.tls", Value::Null)
    }

    /// Sets policies in place of the one that permits everything.
    pub(crate) fn policies(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join(POLICIES), text).unwrap();
        self
    }

    /// Adds another PBX.
    pub(crate) fn beside(mut self, name: &str, pbx: &Simulator) -> Self {
        self.secret(name, pbx.password());
        let table = table_of(name, pbx, pbx.api(), name);
        self.config["pbx"].as_array_mut().unwrap().push(table);
        self
    }

    /// Writes the configuration file.
    pub(crate) fn write(&self) -> PathBuf {
        let path = self.folder.path().join("wavegate.toml");
        std::fs::write(&path, file::text(&self.config)).unwrap();
        path
    }

    /// Starts the gateway.
    pub(crate) async fn start(self) -> Gateway {
        let path = self.write();
        let config = GatewayParts::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
        let app = App::start(config).await.unwrap();
        Gateway {
            addr: app.plain_addresses().first().copied(),
            tls_addr: app.tls_addresses().first().copied(),
            app,
            folder: self.folder,
        }
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) app: App,
    addr: Option<SocketAddr>,
    tls_addr: Option<SocketAddr>,
    folder: TempDir,
}

impl Gateway {
    /// Its address for plain HTTP.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.unwrap()
    }

    /// Its address for TLS.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        self.tls_addr.unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reads the configuration file again and applies it, as SIGHUP does.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let config = self.load().map_err(|problems| problems.to_string())?;
        self.app.reload(config)
    }

    /// Reads the configuration file again.
    pub(crate) fn load(&self) -> Result<GatewayParts, Problems> {
        GatewayParts::load(&self.folder().join("wavegate.toml"))
    }

    /// A request for a recording of the default PBX.
    pub(crate) fn get(&self, name: &str) -> Call {
        let name: RecordingName = name.parse().unwrap();
        self.request(Method::GET, &format!("/recordings/{}", name.encoded()))
    }

    pub(crate) fn request(&self, method: Method, target: &str) -> Call {
        Call::new(self.addr(), method, target)
    }

    /// Gets a recording as `alice` and returns its bytes.
    pub(crate) async fn fetch(&self, name: &str) -> Bytes {
        let answer = self.get(name).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.expect("the transfer should be whole")
    }

    /// Gets a recording as `alice` and returns the problem in the answer.
    pub(crate) async fn problem(&self, name: &str) -> Problem {
        self.get(name)
            .bearer(&jwt("alice"))
            .send()
            .await
            .problem()
            .await
    }
}

/// A bearer token that is valid for an hour.
pub(crate) fn jwt(subject: &str) -> String {
    let claims = mint::BearerClaims {
        issuer: ISSUER,
        subject,
        audience: AUDIENCE,
    };
    mint::bearer(
        &bearer_key(),
        &claims,
        SystemTime::now(),
        Duration::from_secs(3600),
    )
    .unwrap()
}

/// A bearer token with further claims, such as roles.
pub(crate) fn jwt_with(subject: &str, further: Value) -> String {
    jwt_of(ISSUER, subject, further)
}

/// The same, of another issuer with the same key.
pub(crate) fn jwt_of(issuer: &str, subject: &str, further: Value) -> String {
    let claims = mint::BearerClaims {
        issuer,
        subject,
        audience: AUDIENCE,
    };
    let Value::Object(further) = further else {
        panic!("not claims");
    };
    let life = Duration::from_secs(3600);
    mint::bearer_with(&bearer_key(), &claims, &further, SystemTime::now(), life).unwrap()
}

/// A bearer token that expired an hour ago.
pub(crate) fn expired_jwt(subject: &str) -> String {
    let claims = mint::BearerClaims {
        issuer: ISSUER,
        subject,
        audience: AUDIENCE,
    };
    let then = SystemTime::now() - Duration::from_secs(7200);
    mint::bearer(&bearer_key(), &claims, then, Duration::from_secs(3600)).unwrap()
}

fn bearer_key() -> SigningKey {
    SigningKey::secret(
        Some("one".to_owned()),
        Algorithm::Hs256,
        &Secret::new(BEARER_SECRET),
    )
    .unwrap()
}

/// A link token for one recording, valid for ten minutes.
pub(crate) fn link(pbx: &str, recording: &str) -> String {
    link_from(pbx, recording, None)
}

/// A link token that works from one address only.
pub(crate) fn link_from(pbx: &str, recording: &str, ip: Option<IpAddr>) -> String {
    link_of("bob", pbx, recording, ip)
}

/// A link token on behalf of `subject`.
pub(crate) fn link_of(subject: &str, pbx: &str, recording: &str, ip: Option<IpAddr>) -> String {
    let key = SigningKey::secret(
        Some("crm".to_owned()),
        Algorithm::Hs256,
        &Secret::new(LINK_SECRET),
    )
    .unwrap();
    let claims = mint::LinkClaims {
        audience: LINK_AUDIENCE,
        subject,
        pbx,
        recording: &recording.parse().unwrap(),
        ip,
    };
    mint::link(&key, &claims, SystemTime::now(), Duration::from_secs(600)).unwrap()
}
