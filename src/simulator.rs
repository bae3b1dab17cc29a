//! A PBX simulated on real sockets: S-Series, Cloud PBX and P-Series.
//!
//! Knows the API of each generation from the side of the PBX, the behavior of its web server, and
//! the ways in which both can fail. Does not know the gateway: the two share no code, because
//! shared code would hide a shared mistake. Comments call the simulated PBX "the box".
//!
//! Used by the demonstration, `wavegate simulate`, the integration tests and the benches. Where the
//! vendor's documents leave a behavior open, a [`Switch`] chooses it. A [`ScriptedFault`] makes one
//! or more requests fail. A test reads the box's counters from [`Observations`], or waits for them.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use wavegate::simulator::{Api, Simulator, wav};
//!
//! let pbx = Simulator::builder(Api::SSeries200)
//!     .recording("20260302091407-1772442845.1203-1001-1003-Internal.wav", wav::music(3))
//!     .start()
//!     .await?;
//! // … log in at pbx.url() as pbx.username() with pbx.password() …
//! pbx.until(|seen| seen.downloads_complete == 1).await;
//! # Ok(())
//! # }
//! ```
//!
//! Each file names its sources. They are the vendor's "S-Series API Guide", "S-Series API 2.0",
//! "Cloud PBX API" and "P-Series Developer Guide", and published clients. Nothing here was compared
//! with a device.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

mod account;
mod api;
mod builder;
mod calls;
mod chaos;
mod csv;
mod errno;
mod exchange;
mod fault;
mod generation;
mod observations;
mod other_program;
mod p_series;
mod pbx;
mod range;
mod reply;
mod request;
mod route;
mod secret;
mod server;
mod store;
mod switch;
mod tickets;
mod tls;
mod tokens;
pub mod wav;
mod wire;

#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use calls::CallRecord;
pub use fault::{CallKind, FaultError, Misbehavior, ScriptedFault, Times};
pub use generation::{Api, UnknownApi};
pub use observations::{CdrQuery, LoginFields, Observations, Requests};
pub use switch::{Switch, UnknownSwitch};

use chaos::Chaos;
use other_program::OtherProgram;
use pbx::{PbxState, lock};

/// A running PBX. Dropping it stops the listener and ends all connections.
pub struct Simulator {
    addr: SocketAddr,
    scheme: &'static str,
    certificate_pem: String,
    fingerprint: String,
    username: String,
    password: String,
    pbx: Arc<PbxState>,
    server: JoinHandle<()>,
    other_program: Mutex<Option<OtherProgram>>,
}

impl Simulator {
    /// Returns a builder for a PBX that speaks this generation of the API.
    pub fn builder(api: Api) -> Builder {
        Builder::new(api)
    }

    /// The generation of the API that the box speaks.
    pub fn api(&self) -> Api {
        self.pbx.api
    }

    /// The address and port that the box listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Scheme, host and port, without a path: `https://127.0.0.1:40123`.
    ///
    /// The host is an IP address: 127.0.0.1 if the box listens on all addresses.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("{}://{addr}", self.scheme)
    }

    /// The certificate that the box presents, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The SHA-256 of its certificate's DER, in lower-case hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The user name of the API account. On a P-Series it is the client id.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password of the API account as it was at the start, in clear text. On a P-Series it is
    /// the client secret.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns a copy of all counters and samples.
    pub fn seen(&self) -> Observations {
        self.pbx.ledger.snapshot()
    }

    /// Waits until `predicate` is true for the counters. The predicate must not call the simulator.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn until(&self, predicate: impl Fn(&Observations) -> bool) {
        self.pbx.ledger.until(predicate).await;
    }

    /// Scripts a fault. It comes after the faults that have not struck yet.
    pub fn inject(&self, fault: ScriptedFault) {
        lock(&self.pbx.faults).add(fault);
    }

    /// From now on breaks a third of all answers, chosen by a random generator with this seed. Of
    /// all answers, 6 % are reset, 6 % hang, 6 % are a page with status 200, 6 % have a status from
    /// 500 to 504, 6 % are cut, and for 3 % the token ends.
    pub fn break_at_random(&self, seed: u64) {
        *lock(&self.pbx.chaos) = Some(Chaos::new(seed));
    }

    /// Ends what [`Self::break_at_random`] began. A connection that hangs already stays open and
    /// silent.
    pub fn stop_breaking(&self) {
        *lock(&self.pbx.chaos) = None;
    }

    /// Simulates another program that uses the same account: it logs in now and again after each
    /// `pause`. Each of its logins ends all earlier tokens. Must be called inside a Tokio runtime.
    pub fn start_other_program(&self, pause: Duration) {
        let program = OtherProgram::start(Arc::clone(&self.pbx), pause);
        *lock(&self.other_program) = Some(program);
    }

    /// Stops the program that [`Self::start_other_program`] started.
    pub fn stop_other_program(&self) {
        *lock(&self.other_program) = None;
    }

    /// Removes every scripted fault, except for effects on requests that have begun.
    pub fn clear_faults(&self) {
        *lock(&self.pbx.faults) = fault::Faults::default();
    }

    /// Lets all tokens time out now. On a P-Series these are the access tokens; refresh tokens stay
    /// good.
    pub fn expire_tokens(&self) {
        lock(&self.pbx.tokens).expire_all();
        lock(&self.pbx.p_series.tokens).expire_all();
    }

    /// Lets all refresh tokens of a P-Series time out now.
    pub fn expire_refresh_tokens(&self) {
        lock(&self.pbx.p_series.tokens).expire_refresh();
    }

    /// Takes access tokens of a P-Series, as another program with the same account would: `tokens`
    /// of them, or as many as there are free slots. They live as long as other access tokens.
    pub fn occupy_tokens(&self, tokens: usize) {
        lock(&self.pbx.p_series.tokens).occupy(tokens, Instant::now());
    }

    /// Frees the slots that [`Self::occupy_tokens`] took.
    pub fn release_tokens(&self) {
        lock(&self.pbx.p_series.tokens).release();
    }

    /// Lets all tickets become stale now: random strings and, on a P-Series, addresses of files.
    pub fn expire_tickets(&self) {
        lock(&self.pbx.tickets).expire_all();
        lock(&self.pbx.cdr_tickets).expire_all();
        lock(&self.pbx.p_series.resources).expire_all();
    }

    /// Stores a recording on the box, or replaces the one of the same name. Adds the call that the
    /// name describes, if it describes one.
    pub fn add_recording(&self, name: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        lock(&self.pbx.recordings).put(name, &bytes, &self.pbx.switches);
        lock(&self.pbx.calls).extend(CallRecord::from_name(name, bytes.len() as u64));
    }

    /// Replaces a recording when its next download begins; that download still gets the old bytes.
    /// Of several replacements, each waits for one more download.
    pub fn replace_after_download(&self, name: &str, bytes: impl Into<Bytes>) {
        lock(&self.pbx.recordings).put_after_download(name, &bytes.into(), &self.pbx.switches);
    }

    /// Removes a recording from the box. Its call stays in the lists, and a running download goes
    /// on.
    pub fn remove_recording(&self, name: &str) {
        lock(&self.pbx.recordings).remove(name);
    }

    /// Stops every download of a recording after its first `bytes`, running ones too, until
    /// [`Self::release_downloads`]. The connections stay open.
    pub fn hold_downloads(&self, bytes: u64) {
        self.pbx.held_at.send_replace(Some(bytes));
    }

    /// Lets downloads that [`Self::hold_downloads`] stopped go on.
    pub fn release_downloads(&self) {
        self.pbx.held_at.send_replace(None);
    }

    /// Adds a call to the lists of the box.
    pub fn add_call(&self, call: CallRecord) {
        lock(&self.pbx.calls).push(call);
    }

    /// The bytes that a complete download of the recording sends, in the form that the switches
    /// choose. `None` if there is no recording of this name.
    pub fn recording_bytes(&self, name: &str) -> Option<Bytes> {
        lock(&self.pbx.recordings).bytes(name)
    }

    /// Changes the password of the API account. Tokens stay good, and [`Self::password`] still
    /// returns the old password.
    pub fn set_password(&self, password: &str) {
        lock(&self.pbx.account).set_password(password);
    }

    /// Unblocks all addresses that failed logins have blocked, as an administrator can.
    pub fn lift_lockout(&self) {
        lock(&self.pbx.account).unlock();
    }

    /// The number of tokens that are good now. On a P-Series these are access tokens, and those of
    /// [`Self::occupy_tokens`] count.
    pub fn tokens_live(&self) -> usize {
        let now = Instant::now();
        let s_series = lock(&self.pbx.tokens).count(now);
        s_series + lock(&self.pbx.p_series.tokens).count(now)
    }

    /// Stops listening and returns when the port is free. Connections end at about the same time.
    pub async fn stop(mut self) {
        self.server.abort();
        // The task was aborted, so this returns only the error "cancelled".
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Shows the URL and no secret.
impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
