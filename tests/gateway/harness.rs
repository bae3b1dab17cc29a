//! What the tests share: a gateway built by the real composition root, and a client that believes nothing.
//!
//! The configuration goes through a real file, so every test also reads one. The client checks on every answer what
//! always holds: a request id, no caching of problems, the shape of problem documents.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
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
pub(crate) mod idp;
pub(crate) mod listener;
pub(crate) mod tls;

pub(crate) use answer::{Answer, Broken, Problem};
pub(crate) use call::Call;

/// A recording in the vendor's grammar, of a call of long ago.
pub(crate) const NAME: &str = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
pub(crate) const ISSUER: &str = "https://idp.test";
pub(crate) const AUDIENCE: &str = "recordings";
pub(crate) const LINK_AUDIENCE: &str = "links";
/// The name of the PBX in every test.
pub(crate) const PBX: &str = "office";
/// The file of policies, beside the configuration.
pub(crate) const POLICIES: &str = "policy.cedar";
/// Whoever is authenticated may hear every recording.
pub(crate) const EVERYONE: &str = "permit(principal, action, resource);";
const NO_LIMITS: &str = "principal_requests_per_second = 0\naddress_requests_per_second = 0\n\
     address_failures_per_minute = 0";
/// Far beyond any test, so that a hang fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const BEARER_SECRET: &str = "a-secret-of-the-tests-for-bearer-tokens";
pub(crate) const LINK_SECRET: &str = "a-secret-of-the-tests-for-links-0123456789";

/// Waits for what must come; a hang fails.
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(PATIENCE, event).await.expect("a hang")
}

/// A gateway to be started.
pub(crate) struct Builder {
    folder: TempDir,
    api: Api,
    pbx_url: String,
    username: String,
    pin: Option<String>,
    /// Lines for the tables of the configuration, in the order they were asked for.
    server: String,
    admin: String,
    relay: String,
    cache: String,
    range: String,
    log: String,
    audit: String,
    own_issuer: String,
    policy: String,
    groups: String,
    pbx: String,
    /// Further PBXs, as they stand in the file.
    others: String,
    /// Further issuers, as they stand in the file.
    issuers: String,
    auth: String,
    links: String,
    /// Further tables, as they stand in the file.
    tables: String,
    cors: String,
    limits: String,
}

/// Prepares a gateway for a simulated PBX.
pub(crate) fn gateway(pbx: &Simulator) -> Builder {
    gateway_for(pbx, pbx.api())
}

/// Prepares a gateway that takes a simulated PBX for one that speaks `api`.
pub(crate) fn gateway_for(pbx: &Simulator, api: Api) -> Builder {
    let url = pbx.url();
    let builder = Builder {
        folder: tempfile::tempdir().unwrap(),
        api,
        pin: url
            .starts_with("https")
            .then(|| pbx.fingerprint().to_owned()),
        pbx_url: url,
        username: pbx.username().to_owned(),
        server: "listen = [\"127.0.0.1:0\"]\n".to_owned(),
        admin: String::new(),
        relay: String::new(),
        cache: "max_bytes = 0\nremember_missing_ms = 0".to_owned(),
        range: String::new(),
        log: String::new(),
        audit: String::new(),
        own_issuer: String::new(),
        policy: String::new(),
        groups: String::new(),
        pbx: String::new(),
        others: String::new(),
        issuers: String::new(),
        auth: String::new(),
        links: String::new(),
        tables: String::new(),
        cors: String::new(),
        limits: NO_LIMITS.to_owned(),
    };
    builder.secret("password", pbx.password());
    builder.secret("bearer", BEARER_SECRET);
    builder.secret("link", LINK_SECRET);
    builder.policies(EVERYONE)
}

impl Builder {
    fn secret(&self, name: &str, text: &str) {
        write_secret(&self.folder.path().join(name), text);
    }

    /// The folder of the configuration file; relative paths in it start here.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The PBX's address, where it is not the simulator's own.
    pub(crate) fn pbx_url(mut self, url: impl Into<String>) -> Self {
        self.pbx_url = url.into();
        self
    }

    /// Another password than the simulator's.
    pub(crate) fn password(self, password: &str) -> Self {
        self.secret("password", password);
        self
    }

    /// How the PBX's certificate is judged instead of by its pin: lines of `[pbx.tls]`, or none for plain HTTP.
    pub(crate) fn without_pin(mut self) -> Self {
        self.pin = None;
        self
    }

    /// Lines of `[server]`.
    pub(crate) fn server(mut self, lines: &str) -> Self {
        let _ = writeln!(self.server, "{lines}");
        self
    }

    /// Lines of `[admin]`.
    pub(crate) fn admin(mut self, lines: &str) -> Self {
        let _ = writeln!(self.admin, "{lines}");
        self
    }

    /// Lines of `[relay]`.
    pub(crate) fn relay(mut self, lines: &str) -> Self {
        let _ = writeln!(self.relay, "{lines}");
        self
    }

    /// Turns the cache on, with lines of `[cache]`. Without it every download goes straight through, and costs a ticket.
    pub(crate) fn cache(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.cache);
        self
    }

    /// Lines of `[range]`.
    pub(crate) fn range(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.range);
        self
    }

    /// Lines of `[log]`.
    pub(crate) fn log(mut self, lines: &str) -> Self {
        let _ = writeln!(self.log, "{lines}");
        self
    }

    /// Turns the audit log on, in the folder `audit`, with lines of `[audit]`.
    pub(crate) fn audit(mut self, lines: &str) -> Self {
        self.secret("head-key", audit::HEAD_KEY);
        self.audit = format!("dir = \"audit\"\nkey_file = \"head-key\"\n{lines}");
        self
    }

    /// Further lines of the `[[auth.issuer]]` whose tokens [`jwt`] makes.
    pub(crate) fn own_issuer(mut self, lines: &str) -> Self {
        let _ = writeln!(self.own_issuer, "{lines}");
        self
    }

    /// Lines of `[policy]`, and tables below it.
    pub(crate) fn policy(mut self, lines: &str) -> Self {
        let _ = writeln!(self.policy, "{lines}");
        self
    }

    /// Lines of `[pbx.groups]`.
    pub(crate) fn groups(mut self, lines: &str) -> Self {
        let _ = writeln!(self.groups, "{lines}");
        self
    }

    /// Policies instead of the one by which everyone may hear everything.
    pub(crate) fn policies(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join(POLICIES), text).unwrap();
        self
    }

    /// Lines of `[[pbx]]`.
    pub(crate) fn pbx(mut self, lines: &str) -> Self {
        let _ = writeln!(self.pbx, "{lines}");
        self
    }

    /// Lines of `[auth]`.
    pub(crate) fn auth(mut self, lines: &str) -> Self {
        let _ = writeln!(self.auth, "{lines}");
        self
    }

    /// Lines of `[links]`.
    pub(crate) fn links(mut self, lines: &str) -> Self {
        let _ = writeln!(self.links, "{lines}");
        self
    }

    /// A further table.
    pub(crate) fn table(mut self, lines: &str) -> Self {
        let _ = writeln!(self.tables, "{lines}");
        self
    }

    /// Lines of `[cors]`.
    pub(crate) fn cors(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.cors);
        self
    }

    /// Lines of `[limits]`. Without it there are none: all tests come from one address, and in a hurry.
    pub(crate) fn limits(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.limits);
        self
    }

    /// Lines of another `[[auth.issuer]]`.
    pub(crate) fn issuer(mut self, lines: &str) -> Self {
        let _ = writeln!(self.issuers, "[[auth.issuer]]\n{lines}");
        self
    }

    /// Another PBX beside the first, with lines for its `[[pbx]]`.
    pub(crate) fn beside(mut self, name: &str, pbx: &Simulator, lines: &str) -> Self {
        self.secret(name, pbx.password());
        let (api, url, username) = (pbx.api(), pbx.url(), pbx.username());
        let trust = if url.starts_with("https") {
            format!("[pbx.tls]\npins = [\"{}\"]", pbx.fingerprint())
        } else {
            "plain_http = true".to_owned()
        };
        let _ = writeln!(
            self.others,
            "[[pbx]]\nname = \"{name}\"\napi = \"{api}\"\nurl = \"{url}\"\nusername = \"{username}\"\n\
             password_file = \"{name}\"\n{lines}\n{trust}"
        );
        self
    }

    /// Writes the configuration file.
    pub(crate) fn write(&self) -> PathBuf {
        let Self {
            api,
            pbx_url,
            username,
            server,
            admin,
            relay,
            cache,
            range,
            log,
            audit,
            own_issuer,
            policy,
            groups,
            pbx,
            others,
            issuers,
            auth,
            links,
            tables,
            cors,
            limits,
            ..
        } = self;
        let plain = if pbx_url.starts_with("http:") {
            "plain_http = true\n"
        } else {
            ""
        };
        let trust = match &self.pin {
            Some(pin) => format!("[pbx.tls]\npins = [\"{pin}\"]\n"),
            None => String::new(),
        };
        let text = format!(
            r#"[server]
{server}
[admin]
listen = "127.0.0.1:0"
{admin}
[log]
{log}
[audit]
{audit}
[auth]
{auth}
[[auth.issuer]]
name = "{ISSUER}"
audiences = ["{AUDIENCE}"]
{own_issuer}
[[auth.issuer.key]]
id = "one"
algorithm = "HS256"
secret_file = "bearer"
{issuers}
[links]
audience = "{LINK_AUDIENCE}"
{links}
[[links.key]]
id = "crm"
algorithm = "HS256"
secret_file = "link"
{tables}
[policy]
file = "{POLICIES}"
{policy}
[cors]
{cors}
[limits]
{limits}
[relay]
{relay}
[cache]
{cache}
[range]
{range}
[[pbx]]
name = "{PBX}"
api = "{api}"
url = "{pbx_url}"
{plain}username = "{username}"
password_file = "password"
{pbx}
{trust}
[pbx.groups]
{groups}
{others}"#
        );
        let path = self.folder.path().join("wavegate.toml");
        std::fs::write(&path, text).unwrap();
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
    /// Where it speaks plain HTTP.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.unwrap()
    }

    /// Where it speaks TLS.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        self.tls_addr.unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reads the configuration file again and takes it over, as SIGHUP does.
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

    /// Gets a recording as `alice` and returns the problem it ran into.
    pub(crate) async fn problem(&self, name: &str) -> Problem {
        self.get(name)
            .bearer(&jwt("alice"))
            .send()
            .await
            .problem()
            .await
    }
}

/// A bearer token that is good for an hour.
pub(crate) fn jwt(subject: &str) -> String {
    let claims = mint::Bearer {
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
pub(crate) fn jwt_with(subject: &str, further: serde_json::Value) -> String {
    jwt_of(ISSUER, subject, further)
}

/// The same, of another issuer with the same key.
pub(crate) fn jwt_of(issuer: &str, subject: &str, further: serde_json::Value) -> String {
    let claims = mint::Bearer {
        issuer,
        subject,
        audience: AUDIENCE,
    };
    let serde_json::Value::Object(further) = further else {
        panic!("not claims");
    };
    let life = Duration::from_secs(3600);
    mint::bearer_with(&bearer_key(), &claims, &further, SystemTime::now(), life).unwrap()
}

/// A bearer token that ended an hour ago.
pub(crate) fn expired_jwt(subject: &str) -> String {
    let claims = mint::Bearer {
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

/// A link token for one recording, good for ten minutes.
pub(crate) fn link(pbx: &str, recording: &str) -> String {
    link_from(pbx, recording, None)
}

/// A link token that works from one address only.
pub(crate) fn link_from(pbx: &str, recording: &str, ip: Option<IpAddr>) -> String {
    link_of("bob", pbx, recording, ip)
}

/// A link token on somebody's behalf.
pub(crate) fn link_of(subject: &str, pbx: &str, recording: &str, ip: Option<IpAddr>) -> String {
    let key = SigningKey::secret(
        Some("crm".to_owned()),
        Algorithm::Hs256,
        &Secret::new(LINK_SECRET),
    )
    .unwrap();
    let claims = mint::Link {
        audience: LINK_AUDIENCE,
        subject,
        pbx,
        recording: &recording.parse().unwrap(),
        ip,
    };
    mint::link(&key, &claims, SystemTime::now(), Duration::from_secs(600)).unwrap()
}
