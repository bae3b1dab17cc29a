//! The composition root: builds every part from the configuration, runs them, and takes them down
//! in order.
//!
//! Knows all parts, and none of their work.

mod admin;
mod build;
mod certificate_watch;
mod in_force;
mod parts;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use twox_hash::XxHash3_128;

use self::build::build;
use self::in_force::InForce;
pub use self::parts::{AuthParts, GatewayParts};
use crate::admin::{AdminCalls, AdminListener};
use crate::config::Warnings;
use crate::fleet::Fleet;
use crate::gateway::Gateway;
use crate::pbx::Pbx;
use crate::server::{HttpServer, InheritedSockets};
use crate::tls::server::ServerCertificate;

/// The time that the start waits for the revocations of a fleet.
const REVOCATIONS_LIMIT: Duration = Duration::from_secs(10);

/// Why the gateway cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on, or its certificate cannot be read.
    #[error("{0}")]
    Listen(#[source] io::Error),
    /// A part cannot be built; the text says which and why.
    #[error("{0}")]
    Build(String),
}

/// A running gateway. Dropping it leaves it running until the runtime ends; [`App::shut_down`]
/// takes it down.
pub struct App {
    plain: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    admin: SocketAddr,
    gateway: Arc<ArcSwap<Gateway>>,
    calls: Arc<AdminCalls>,
    /// The policy and keys that the audit log was told of.
    in_force: ArcSwapOption<in_force::Current>,
    /// Configuration keys that a reload does not take over, with their values at the start.
    fixed: Vec<(&'static str, String)>,
    /// The warnings in the log so far.
    warnings: ArcSwap<Warnings>,
    certificates: Option<Arc<ServerCertificate>>,
    drain_delay: Duration,
    drain_timeout: Duration,
    /// Cancelled when the gateway is no longer ready.
    unready: CancellationToken,
    /// Cancelled when the gateway accepts nothing new.
    stop: CancellationToken,
    /// Cancelled to cut running transfers.
    kill: CancellationToken,
    server: JoinHandle<()>,
    /// The other instances; `None` for an instance on its own.
    fleet: Option<Arc<Fleet>>,
    /// PBXs whose tokens are being given back.
    closing: TaskTracker,
}

impl App {
    /// Builds, binds and runs a gateway. Listening addresses are open when this returns.
    ///
    /// # Errors
    /// When an address is taken, or a part cannot be built.
    pub async fn start(parts: GatewayParts) -> Result<Self, StartError> {
        Self::start_on(InheritedSockets::default(), parts).await
    }

    /// The same on sockets that a supervisor has opened, for the addresses that have one.
    ///
    /// # Errors
    /// As for [`App::start`], and when a socket belongs to no address.
    pub(crate) async fn start_on(
        mut sockets: InheritedSockets,
        mut parts: GatewayParts,
    ) -> Result<Self, StartError> {
        let (unready, stop, kill) = (
            CancellationToken::new(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let certificate = parts.certificate.take();
        let server = HttpServer::bind(&parts.config.server, certificate, &mut sockets).await;
        let server = server.map_err(StartError::Listen)?;
        let admin = parts.config.admin.listen;
        let listener = AdminListener::bind(admin, &mut sockets).map_err(StartError::Listen)?;
        sockets.require_none_left().map_err(StartError::Listen)?;
        let (plain, tls) = server.addresses();
        let admin_address = listener.address().map_err(StartError::Listen)?;
        let settings = &parts.config.server;
        let (drain_delay, drain_timeout) = (settings.drain_delay, settings.drain_timeout);
        warn_of_risks(&parts);
        warn_of(&parts.warnings, &Warnings::default());
        let warnings = ArcSwap::from_pointee(parts.warnings.clone());
        let fixed = fixed_at_start(&parts);
        let token = parts.config.admin.token.clone();
        let in_force = InForce::of(&parts);
        let fleet = match &parts.fleet {
            None => None,
            Some(settings) => Some(Fleet::join(settings).await.map_err(StartError::Build)?),
        };
        let gateway = build(parts, None, fleet.as_ref()).map_err(StartError::Build)?;
        if fleet.as_ref().is_some_and(|fleet| fleet.has_store()) {
            // Before the first request: a token that another instance has revoked is not served.
            let met = gateway.rights.revocations.meet();
            if timeout(REVOCATIONS_LIMIT, met).await.is_err() {
                warn!("the revocations of the fleet are not known yet");
            }
        }
        let in_force = in_force.begin(&gateway.rights.audit);
        let gateway = Arc::new(ArcSwap::from_pointee(gateway));
        let certificates = server.certificates();
        if let Some(certificate) = &certificates {
            let watch = certificate_watch::warn_in_time(Arc::clone(certificate), stop.clone());
            tokio::spawn(watch);
        }
        let calls = admin::calls(&gateway, certificates.clone(), token);
        tokio::spawn(listener.run(unready.clone(), kill.clone(), Arc::clone(&calls)));
        let server = tokio::spawn(server.run(Arc::clone(&gateway), stop.clone(), kill.clone()));
        info!(plain = ?plain, tls = ?tls, admin = %admin_address, "listening");
        Ok(Self {
            plain,
            tls,
            admin: admin_address,
            gateway,
            calls,
            in_force: ArcSwapOption::from_pointee(in_force),
            fixed,
            warnings,
            certificates,
            drain_delay,
            drain_timeout,
            unready,
            stop,
            kill,
            server,
            fleet,
            closing: TaskTracker::new(),
        })
    }

    /// Addresses that speak plain HTTP.
    #[must_use]
    pub fn plain_addresses(&self) -> &[SocketAddr] {
        &self.plain
    }

    /// Addresses that speak TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// Address of checks, monitors and the operator's calls.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Takes over a configuration that an operator had read again: keys, policy, PBXs and their
    /// passwords, limits. Refused logins are forgotten. Listening addresses stay. If a part cannot
    /// be built, nothing changes.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn reload(&self, parts: GatewayParts) -> Result<(), String> {
        self.exchange(parts, |pbx| pbx.forgive())
    }

    /// The same because a file has changed. Refused logins are remembered: nobody has said that
    /// another one is worth it.
    ///
    /// # Errors
    /// As for [`App::reload`].
    pub(crate) fn take_over(&self, parts: GatewayParts) -> Result<(), String> {
        self.exchange(parts, |_| {})
    }

    /// Builds another gateway and puts it in the place of this one; `prepare` gets its PBXs first.
    fn exchange(&self, mut parts: GatewayParts, prepare: impl Fn(&Pbx)) -> Result<(), String> {
        let old = self.gateway.load_full();
        let fixed = fixed_at_start(&parts);
        let warnings = parts.warnings.clone();
        let certificate = parts.certificate.take();
        let token = parts.config.admin.token.clone();
        let in_force = InForce::of(&parts);
        let new = Arc::new(build(parts, Some(&old), self.fleet.as_ref())?);
        if let (Some(certificates), Some(certificate)) = (&self.certificates, certificate) {
            certificates.replace(certificate);
        }
        new.pbxs.all().iter().for_each(|pbx| prepare(pbx));
        // From here on the audit log hears no more of the old keys.
        self.in_force.store(None);
        let in_force = in_force.begin(&new.rights.audit);
        self.in_force.store(Some(Arc::new(in_force)));
        self.gateway.store(Arc::clone(&new));
        let ended = new.rights.active.apply_rules(new.rules());
        if ended > 0 {
            info!(
                ended,
                "running transfers ended, because the new configuration does not allow them"
            );
        }
        self.calls.token.store(token.map(Arc::new));
        for pbx in old
            .pbxs
            .all()
            .iter()
            .filter(|old| !new.pbxs.all().iter().any(|new| new.shares_account(old)))
        {
            self.closing.spawn(pbx.retire(self.kill.clone()));
        }
        for ((key, old), (_, new)) in self.fixed.iter().zip(&fixed) {
            if old != new {
                warn!(key, "changed, but needs a restart");
            }
        }
        warn_of(&warnings, &self.warnings.load());
        self.warnings.store(Arc::new(warnings));
        info!("the configuration was read again");
        Ok(())
    }

    /// Takes the gateway down. At first it is not ready, then it accepts nothing new, then it waits
    /// for running transfers, at most the drain limit. Returns whether all of them ended by
    /// themselves.
    pub async fn shut_down(mut self) -> bool {
        info!("draining");
        self.unready.cancel();
        let _ = timeout(self.drain_delay, self.kill.cancelled()).await;
        self.stop.cancel();
        let in_time = timeout(self.drain_timeout, &mut self.server).await.is_ok();
        let killed = self.kill.is_cancelled();
        self.kill.cancel();
        if !in_time {
            warn!(
                advice = "raise server.drain_timeout_ms",
                "some downloads did not end in time and were cut"
            );
            let _ = self.server.await;
        }
        // Every transfer has ended by now, and has its line.
        let audit = self.gateway.load().rights.audit.clone();
        audit.close().await;
        if !killed {
            let is_last = match &self.fleet {
                None => true,
                Some(fleet) => fleet.leave().await,
            };
            for pbx in self.gateway.load().pbxs.all().to_vec() {
                self.closing.spawn(async move { pbx.close(is_last).await });
            }
            self.closing.close();
            self.closing.wait().await;
        }
        info!("stopped");
        in_time && !killed
    }

    /// Ends everything at once, also while [`App::shut_down`] waits. PBX tokens are not given back
    /// then.
    #[must_use]
    pub fn kill_switch(&self) -> CancellationToken {
        self.kill.clone()
    }
}

/// The keys that a reload leaves as they were, with their values as text.
fn fixed_at_start(parts: &GatewayParts) -> Vec<(&'static str, String)> {
    let config = &parts.config;
    let (server, log) = (&config.server, &config.log);
    let tls = server
        .tls
        .as_ref()
        .map(|tls| (&tls.listen, tls.handshake_timeout));
    vec![
        ("state_dir", format!("{:?}", config.state_dir)),
        ("server.listen", format!("{:?}", server.listen)),
        ("server.tls", format!("{tls:?}")),
        ("server.max_connections", server.max_connections.to_string()),
        (
            "server.max_header_bytes",
            server.max_header_bytes.to_string(),
        ),
        (
            "server.header_timeout_ms",
            format!("{:?}", server.header_timeout),
        ),
        ("server.drain_delay_ms", format!("{:?}", server.drain_delay)),
        (
            "server.drain_timeout_ms",
            format!("{:?}", server.drain_timeout),
        ),
        ("admin.listen", config.admin.listen.to_string()),
        ("audit", format!("{:?}", parts.audit)),
        ("shared", shared_at_start(parts)),
        ("log.level", log.level.to_string()),
        ("log.format", format!("{:?}", log.format)),
    ]
}

/// The settings of the fleet as text, without its secrets.
fn shared_at_start(parts: &GatewayParts) -> String {
    let fleet = parts.fleet.as_ref();
    fleet.map_or_else(String::new, |fleet| {
        // Hashes stand for the secrets. The text is compared, and never shown.
        let secrets = [Some(&fleet.key), fleet.password.as_ref()];
        let hashes =
            secrets.map(|secret| secret.map(|secret| XxHash3_128::oneshot(secret.expose())));
        format!(
            "{} {} {:?} {:?} {:?} {hashes:?}",
            fleet.url, fleet.name, fleet.username, fleet.trust, fleet.timeout
        )
    })
}

/// Logs the warnings that are not known yet.
fn warn_of(warnings: &Warnings, known: &Warnings) {
    let known = known.lines();
    for line in warnings.lines() {
        if !known.contains(&line) {
            warn!(warning = line, "the configuration has a warning");
        }
    }
}

fn warn_of_risks(parts: &GatewayParts) {
    let config = &parts.config;
    if parts.audit.is_none() {
        warn!("audit.dir is not set: nobody can tell later who heard what");
    }
    if !parts.policy.is_configured() {
        warn!(
            advice =
                "name a file of policies in policy.file; config/policy.cedar is one to begin with",
            "no policies: nobody may hear anything"
        );
    }
    for policy in parts.policy.forbidding_only_with_tenant() {
        warn!(
            policy,
            advice = "write `unless { principal has tenant && … }` to forbid it to them as well",
            "the policy forbids nothing to a principal without a tenant, and an empty tenant counts as none"
        );
    }
    for address in config
        .server
        .listen
        .iter()
        .filter(|address| !address.ip().is_loopback())
    {
        warn!(%address, "plain HTTP off loopback: tokens and calls are readable on the way; use server.tls or a proxy");
    }
    if config.admin.token.is_some() && !config.admin.listen.ip().is_loopback() {
        warn!(
            address = %config.admin.listen,
            "plain HTTP off loopback: the token of admin.token_file is readable on the way"
        );
    }
    for pbx in parts.pbxs.iter().filter(|pbx| pbx.trust.is_none()) {
        warn!(
            pbx = pbx.name,
            "plain HTTP to the PBX: its password and every call are readable on the way"
        );
    }
    for (pbx, earlier) in parts.never_meant() {
        info!(
            pbx = pbx.name,
            earlier = earlier.name,
            advice = "give the earlier one names_until, or name the PBX in the path",
            "no bare name means this PBX: one before it has all its names"
        );
    }
    if config.server.public_url.is_none() {
        info!("server.public_url is not set: requests are answered under any host name");
    }
}
