//! A PBX simulated on real sockets: S-Series, Cloud PBX and P-Series.
//!
//! Knows the API of each generation from the box's side, what the box's web server is
//! like, and how all this can go wrong. Does not know the gateway: it shares no code with it, since a
//! shared struct would share its mistakes.
//!
//! It serves the demonstration, `wavegate simulate`, the integration tests and the benches. Where the
//! documents leave a behaviour open, a [`Switch`] chooses; scripted trouble is a [`ScriptedFault`]. What the
//! box saw can be looked at and waited for in [`Observations`].
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
//! Sources are named in each file. They are the vendor's "S-Series API Guide", "S-Series API 2.0", "Cloud PBX API" and
//! "P-Series Developer Guide", and published clients; nothing here was compared with a device.

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

/// A running PBX. It stops when this is dropped, and all its connections end.
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
    /// Begins to set up a PBX that speaks this generation of the API.
    pub fn builder(api: Api) -> Builder {
        Builder::new(api)
    }

    /// The generation of the API it speaks.
    pub fn api(&self) -> Api {
        self.pbx.api
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Scheme, host and port, without a path: `https://127.0.0.1:40123`.
    ///
    /// The host is an address, 127.0.0.1 where it listens on all of them.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("{}://{addr}", self.scheme)
    }

    /// The certificate it presents, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The SHA-256 of its certificate's DER, in lower-case hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The user name of the API account; on a P-Series the client id.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password of the API account at the start, in clear; on a P-Series the client secret.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// A copy of all counters.
    pub fn seen(&self) -> Observations {
        self.pbx.ledger.snapshot()
    }

    /// Waits until the predicate holds for the counters; it must not ask the simulator anything.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn until(&self, predicate: impl Fn(&Observations) -> bool) {
        self.pbx.ledger.until(predicate).await;
    }

    /// Scripts a fault, behind those that are still to come.
    pub fn inject(&self, fault: ScriptedFault) {
        lock(&self.pbx.faults).add(fault);
    }

    /// Breaks a third of all answers from now on, by dice of this seed: 6 % each are reset, hang, are a page, have a status from
    /// 500 on, or are cut, and with 3 % the token ends.
    pub fn break_at_random(&self, seed: u64) {
        *lock(&self.pbx.chaos) = Some(Chaos::new(seed));
    }

    /// Ends what [`Self::break_at_random`] began; a connection that hangs goes on hanging.
    pub fn stop_breaking(&self) {
        *lock(&self.pbx.chaos) = None;
    }

    /// Lets another program log in to the same account now and each time that `pause` has passed. Each of its logins ends
    /// all tokens before it. Must be called inside a Tokio runtime.
    pub fn start_other_program(&self, pause: Duration) {
        let program = OtherProgram::start(Arc::clone(&self.pbx), pause);
        *lock(&self.other_program) = Some(program);
    }

    /// Ends what [`Self::start_other_program`] began.
    pub fn stop_other_program(&self) {
        *lock(&self.other_program) = None;
    }

    /// Drops every scripted fault that is still to come.
    pub fn clear_faults(&self) {
        *lock(&self.pbx.faults) = fault::Faults::default();
    }

    /// Lets all tokens time out now; on a P-Series all access tokens, while refresh tokens live on.
    pub fn expire_tokens(&self) {
        lock(&self.pbx.tokens).expire_all();
        lock(&self.pbx.p_series.tokens).expire_all();
    }

    /// Lets all refresh tokens of a P-Series time out now.
    pub fn expire_refresh_tokens(&self) {
        lock(&self.pbx.p_series.tokens).expire_refresh();
    }

    /// Takes access tokens of a P-Series as another program with the same account would, as many as there are free
    /// slots for. They live as long as any.
    pub fn occupy_tokens(&self, tokens: usize) {
        lock(&self.pbx.p_series.tokens).occupy(tokens, Instant::now());
    }

    /// Gives back what [`Self::occupy_tokens`] took.
    pub fn release_tokens(&self) {
        lock(&self.pbx.p_series.tokens).release();
    }

    /// Lets all random strings and addresses of files become stale now.
    pub fn expire_tickets(&self) {
        lock(&self.pbx.tickets).expire_all();
        lock(&self.pbx.cdr_tickets).expire_all();
        lock(&self.pbx.p_series.resources).expire_all();
    }

    /// Puts another recording on the box, or replaces the one of that name.
    pub fn add_recording(&self, name: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        lock(&self.pbx.recordings).put(name, &bytes, &self.pbx.switches);
        lock(&self.pbx.calls).extend(CallRecord::from_name(name, bytes.len() as u64));
    }

    /// Replaces a recording as soon as one more download of it has begun; several such replacements take a download each.
    pub fn replace_after_download(&self, name: &str, bytes: impl Into<Bytes>) {
        lock(&self.pbx.recordings).put_after_download(name, &bytes.into(), &self.pbx.switches);
    }

    /// Takes a recording off the box; its call stays known. A download under way goes on.
    pub fn remove_recording(&self, name: &str) {
        lock(&self.pbx.recordings).remove(name);
    }

    /// Sends no more than the first `bytes` of any recording, those on their way included, until
    /// [`Self::release_downloads`]; the connections stay open.
    pub fn hold_downloads(&self, bytes: u64) {
        self.pbx.held_at.send_replace(Some(bytes));
    }

    /// Lets held downloads go on.
    pub fn release_downloads(&self) {
        self.pbx.held_at.send_replace(None);
    }

    /// Lets the box remember another call.
    pub fn add_call(&self, call: CallRecord) {
        lock(&self.pbx.calls).push(call);
    }

    /// The bytes that a whole download of a recording has, in the form the switches give it.
    pub fn recording_bytes(&self, name: &str) -> Option<Bytes> {
        lock(&self.pbx.recordings).bytes(name)
    }

    /// Changes the password of the API account; tokens stay good. [`Self::password`] does not follow.
    pub fn set_password(&self, password: &str) {
        lock(&self.pbx.account).set_password(password);
    }

    /// Lifts every block for failed logins, as an administrator can.
    pub fn lift_lockout(&self) {
        lock(&self.pbx.account).unlock();
    }

    /// How many tokens are good now; on a P-Series access tokens, those of [`Self::occupy_tokens`] included.
    pub fn tokens_live(&self) -> usize {
        let now = Instant::now();
        let s_series = lock(&self.pbx.tokens).count(now);
        s_series + lock(&self.pbx.p_series.tokens).count(now)
    }

    /// Stops listening, and returns once the port is free; connections end about then.
    pub async fn stop(mut self) {
        self.server.abort();
        // The outcome is always "cancelled".
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Shows where it listens, and no secret.
impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
