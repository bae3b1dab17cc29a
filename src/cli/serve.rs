//! `wavegate serve`: the gateway, and the signals that control it.

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{error, warn};

use crate::app::{App, GatewayParts};
use crate::log;

/// Longest wait for the audit lines of transfers that were cut.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) fn run(path: &Path) -> ExitCode {
    let parts = match super::load(path) {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let _log = match log::init(&parts.config.log) {
        Ok(end) => end,
        Err(error) => return super::fail(error),
    };
    match super::runtime() {
        Ok(runtime) => runtime.block_on(serve(parts, path)),
        Err(error) => super::fail(error),
    }
}

async fn serve(parts: GatewayParts, path: &Path) -> ExitCode {
    // Before any address is bound: a gateway that cannot receive the signal to drain does not
    // start.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "cannot listen to signals");
            return ExitCode::FAILURE;
        }
    };
    let app = match App::start(parts).await {
        Ok(app) => app,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    signals.steer(app, path).await;
    ExitCode::SUCCESS
}

/// The signals that the gateway handles.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first SIGTERM or SIGINT.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// SIGHUP reads the configuration again. The first SIGTERM or SIGINT drains; the second one
    /// ends all transfers.
    async fn steer(&mut self, app: App, path: &Path) {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => reload(&app, path),
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
        let kill = app.kill_switch();
        let mut down = pin!(app.shut_down());
        tokio::select! {
            _ = &mut down => {}
            () = self.end() => {
                warn!("stopping at once");
                kill.cancel();
                // Transfers that were cut still write their lines into the audit log.
                let _ = timeout(LAST_WORDS, down).await;
            }
        }
    }
}

fn reload(app: &App, path: &Path) {
    let loaded = GatewayParts::load(path).map_err(|problems| problems.to_string());
    if let Err(problems) = loaded.and_then(|parts| app.reload(parts)) {
        error!(
            problems,
            "the configuration has mistakes; nothing was changed"
        );
    }
}
