//! Settings of a simulated PBX, and its start.
//!
//! Knows the defaults and the settings that do not fit together. Does not know how the box acts on
//! them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Simulator;
use super::account::SimulatedAccount;
use super::calls::CallRecord;
use super::fault::{Faults, ScriptedFault};
use super::generation::Api;
use super::observations::ObservationLedger;
use super::p_series;
use super::pbx::{DownloadSlots, PbxState};
use super::store::RecordingStore;
use super::switch::{Switch, Switches};
use super::tickets::Tickets;
use super::tls::{self, CertificateAndKey};
use super::tokens::LoginTokens;
use super::{secret, server};

/// The lifetime of a random string (S-Series, Cloud PBX).
const RANDOM_LIFE: Duration = Duration::from_secs(30);
/// The lifetime of a file address (P-Series).
const RESOURCE_LIFE: Duration = Duration::from_secs(1_800);

/// The settings of a [`Simulator`] before its start.
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    api: Api,
    listen: SocketAddr,
    credentials: Option<(String, String)>,
    recordings: Vec<(String, Bytes)>,
    calls: Vec<CallRecord>,
    odd_rows: HashMap<String, String>,
    utc_offset_s: i64,
    switches: Switches,
    faults: Faults,
    token_life: Duration,
    refresh_token_life: Duration,
    token_calls: Option<u32>,
    ticket_life: Option<Duration>,
    lockout: Duration,
    answer_delay: Duration,
    certificate: CertificateSource,
    allowed_peers: Option<Vec<IpAddr>>,
}

/// The origin of the certificate that the box presents.
enum CertificateSource {
    /// Made at the start, as in a factory.
    Factory,
    /// Made at the start, for these names and addresses.
    For(Vec<String>),
    /// Given by the caller.
    Given(CertificateAndKey),
}

impl Builder {
    pub(super) fn new(api: Api) -> Self {
        Self {
            api,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: None,
            recordings: Vec::new(),
            calls: Vec::new(),
            odd_rows: HashMap::new(),
            utc_offset_s: 0,
            switches: Switches::default(),
            faults: Faults::default(),
            token_life: Duration::from_secs(1_800),
            refresh_token_life: Duration::from_secs(86_400),
            token_calls: None,
            ticket_life: None,
            lockout: Duration::from_secs(600),
            answer_delay: Duration::from_secs(20),
            certificate: CertificateSource::Factory,
            allowed_peers: None,
        }
    }

    /// Sets the address to listen on. The default is a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets user name and password of the API account, or client id and client secret. By default
    /// both are random.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((username.into(), password.into()));
        self
    }

    /// Stores a recording on the box. A switch may change the form of its bytes.
    pub fn recording(mut self, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.recordings.push((name.into(), bytes.into()));
        self
    }

    /// Adds calls to the lists of the box. The calls that the names of recordings describe are
    /// added anyway.
    pub fn calls(mut self, calls: impl IntoIterator<Item = CallRecord>) -> Self {
        self.calls.extend(calls);
        self
    }

    /// Writes `text` in place of the call of `recording`: as a line of the CDR, or as a JSON row of
    /// a list of a P-Series.
    pub fn odd_row(mut self, recording: impl Into<String>, text: impl Into<String>) -> Self {
        self.odd_rows.insert(recording.into(), text.into());
        self
    }

    /// Sets the box's offset from UTC, in seconds to the east. The default is 0.
    pub fn utc_offset_s(mut self, seconds: i64) -> Self {
        self.utc_offset_s = seconds;
        self
    }

    /// Sets a switch. [`Self::start`] refuses one that does not apply to this generation.
    pub fn switch(mut self, switch: Switch) -> Self {
        self.switches.set(switch);
        self
    }

    /// Scripts a fault. [`Simulator::inject`] adds more while the box runs.
    pub fn fault(mut self, fault: ScriptedFault) -> Self {
        self.faults.add(fault);
        self
    }

    /// Sets the lifetime of a token, by default 30 minutes. It counts from the last use of the
    /// token, and on Cloud PBX 1.1.0 and a P-Series from its issue.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets the lifetime of a refresh token of a P-Series. The default is one day.
    pub fn refresh_token_life(mut self, life: Duration) -> Self {
        self.refresh_token_life = life;
        self
    }

    /// Lets an access token of a P-Series end after `calls` calls that used it, downloads of files
    /// included. By default there is no limit.
    pub fn token_calls(mut self, calls: u32) -> Self {
        self.token_calls = Some(calls);
        self
    }

    /// Sets the lifetime of a ticket. The default is 30 s for a random string, and 30 minutes for
    /// the address of a file.
    pub fn ticket_life(mut self, life: Duration) -> Self {
        self.ticket_life = Some(life);
        self
    }

    /// Sets how long an address is blocked after five failed logins. The default is 10 minutes.
    pub fn lockout(mut self, duration: Duration) -> Self {
        self.lockout = duration;
        self
    }

    /// Sets the delay of each answer under [`Switch::SlowAnswers`]. The default is 20 s.
    pub fn answer_delay(mut self, delay: Duration) -> Self {
        self.answer_delay = delay;
        self
    }

    /// Sets the certificate chain to present, leaf first, and its key; both as PEM.
    pub fn certificate(
        mut self,
        certificate_pem: impl Into<String>,
        key_pem: impl Into<String>,
    ) -> Self {
        let (certificate_pem, key_pem) = (certificate_pem.into(), key_pem.into());
        self.certificate = CertificateSource::Given(CertificateAndKey {
            certificate_pem,
            key_pem,
        });
        self
    }

    /// Presents a self-signed certificate for these host names and addresses. By default the
    /// certificate of a Cloud PBX names `localhost` and 127.0.0.1, and that of any other box names
    /// no address of it.
    pub fn certificate_for<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.certificate = CertificateSource::For(names.into_iter().map(Into::into).collect());
        self
    }

    /// Drops connections from all addresses except `peers`, with or without
    /// [`Switch::WrongAddressDropped`].
    pub fn allowed_peers(mut self, peers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.allowed_peers = Some(peers.into_iter().map(|peer| peer.to_canonical()).collect());
        self
    }

    /// Starts the PBX. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, the certificate does not fit its key, or a switch does not
    /// apply to this generation of the API.
    pub async fn start(self) -> io::Result<Simulator> {
        if let Some(switch) = self.switches.first_inapplicable(self.api) {
            let message = format!("switch {switch} does not apply to {}", self.api);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(self.listen).await?;
        let addr = listener.local_addr()?;
        let identity = self.identity()?;
        let (username, password) = self.account()?;
        let tls = self.acceptor(&identity)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let pbx = Arc::new(self.into_pbx(&username, &password, addr));
        let fingerprint = identity.fingerprint()?;
        let server = tokio::spawn(server::run(listener, Arc::clone(&pbx), tls));
        let certificate_pem = identity.certificate_pem;
        Ok(Simulator {
            addr,
            scheme,
            certificate_pem,
            fingerprint,
            username,
            password,
            pbx,
            server,
            other_program: Mutex::default(),
        })
    }

    fn identity(&self) -> io::Result<CertificateAndKey> {
        match &self.certificate {
            CertificateSource::Factory if self.api.is_cloud() => CertificateAndKey::self_signed(
                self.api,
                &["localhost".to_owned(), "127.0.0.1".to_owned()],
            ),
            CertificateSource::Factory => CertificateAndKey::factory(self.api),
            CertificateSource::For(names) => CertificateAndKey::self_signed(self.api, names),
            CertificateSource::Given(identity) => Ok(identity.clone()),
        }
    }

    fn account(&self) -> io::Result<(String, String)> {
        match &self.credentials {
            Some((username, password)) => Ok((username.clone(), password.clone())),
            None if self.api == Api::PSeries => {
                Ok((secret::alphanumeric(32)?, secret::alphanumeric(32)?))
            }
            None => Ok((format!("api-{}", secret::fresh()?), secret::fresh()?)),
        }
    }

    fn acceptor(&self, identity: &CertificateAndKey) -> io::Result<Option<TlsAcceptor>> {
        if self.switches.is_plain_http() {
            return Ok(None);
        }
        let config = tls::server_config(identity, &self.switches)?;
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// The values of `Host` that clients may send to name this box.
    fn hosts(&self, addr: SocketAddr) -> Vec<String> {
        let named: &[String] = match &self.certificate {
            CertificateSource::For(names) => names,
            CertificateSource::Factory | CertificateSource::Given(_) => &[],
        };
        let port = addr.port();
        let names = named
            .iter()
            .map(String::as_str)
            .chain(["127.0.0.1", "localhost"]);
        let with_port = names.map(|name| format!("{name}:{port}"));
        with_port.chain([addr.to_string()]).collect()
    }

    fn into_pbx(mut self, username: &str, password: &str, addr: SocketAddr) -> PbxState {
        p_series::set_defaults(self.api, &mut self.switches);
        let mut recordings = RecordingStore::default();
        let mut calls = std::mem::take(&mut self.calls);
        for (name, bytes) in &self.recordings {
            recordings.put(name, bytes, &self.switches);
            calls.extend(CallRecord::from_name(name, bytes.len() as u64));
        }
        let listed = self.switches.has(Switch::WrongAddressDropped);
        let hosts = self.hosts(addr);
        let loopback = || vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        PbxState {
            api: self.api,
            p_series: p_series::PSeriesState::new(&p_series::PSeriesLimits {
                access_life: self.token_life,
                refresh_life: self.refresh_token_life,
                calls: self.token_calls,
                resource_life: self.ticket_life.unwrap_or(RESOURCE_LIFE),
            }),
            slots: DownloadSlots::new(self.api, &self.switches),
            held_at: watch::Sender::new(None),
            switches: self.switches,
            answer_delay: self.answer_delay,
            allowed_peers: self.allowed_peers.or_else(|| listed.then(loopback)),
            hosts,
            ledger: ObservationLedger::new(),
            account: Mutex::new(SimulatedAccount::new(username, password, self.lockout)),
            tokens: Mutex::new(LoginTokens::new(self.token_life)),
            tickets: Mutex::new(Tickets::new(self.ticket_life.unwrap_or(RANDOM_LIFE))),
            cdr_tickets: Mutex::new(Tickets::new(self.ticket_life.unwrap_or(RANDOM_LIFE))),
            cdr_downloads: AtomicU64::new(0),
            recordings: Mutex::new(recordings),
            calls: Mutex::new(calls),
            odd_rows: self.odd_rows,
            utc_offset_s: self.utc_offset_s,
            faults: Mutex::new(self.faults),
            chaos: Mutex::default(),
        }
    }
}
