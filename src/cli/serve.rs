//! `wavegate serve`: the gateway, the signals that control it, and the supervisor that is told.

mod supervisor;
mod watch;

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use crate::app::{App, GatewayParts};
use crate::log;
use crate::server::InheritedSockets;
use supervisor::Supervisor;
use watch::Watch;

/// Longest wait for the audit lines of transfers that were cut.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) fn run(path: &Path) -> ExitCode {
    let read_at = SystemTime::now();
    let parts = match super::load(path) {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let _log = match log::init(&parts.config.log) {
        Ok(end) => end,
        Err(error) => return super::fail(error),
    };
    match super::runtime() {
        Ok(runtime) => runtime.block_on(serve(parts, path, read_at)),
        Err(error) => super::fail(error),
    }
}

async fn serve(parts: GatewayParts, path: &Path, read_at: SystemTime) -> ExitCode {
    // Before any address is bound: a gateway that cannot receive the signal to drain does not
    // start.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "cannot listen to signals");
            return ExitCode::FAILURE;
        }
    };
    let supervisor = match Supervisor::from_env() {
        Ok(supervisor) => supervisor,
        Err(error) => {
            error!(%error, "the socket of NOTIFY_SOCKET cannot be used");
            return ExitCode::FAILURE;
        }
    };
    let sockets = match InheritedSockets::from_env() {
        Ok(sockets) => sockets,
        Err(error) => {
            error!(%error, "the sockets of LISTEN_FDS cannot be used");
            return ExitCode::FAILURE;
        }
    };
    let watch = Watch::over(path, &parts.files, read_at);
    let app = match App::start_on(sockets, parts).await {
        Ok(app) => app,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    supervisor.ready();
    signals.steer(app, path, watch, &supervisor).await;
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

    /// SIGHUP reads the configuration again, and so does a change of a file that it names. The first
    /// SIGTERM or SIGINT drains; the second one ends all transfers.
    async fn steer(&mut self, app: App, path: &Path, mut watch: Watch, supervisor: &Supervisor) {
        let mut watchdog = supervisor.watchdog().map(ticks);
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => {
                    supervisor.reloading();
                    reload(path, &mut watch, |parts| app.reload(parts));
                    supervisor.ready();
                }
                () = watch.is_due() => {
                    info!("the configuration is read again: a file has changed, or the last reading failed");
                    supervisor.reloading();
                    reload(path, &mut watch, |parts| app.take_over(parts));
                    supervisor.ready();
                }
                () = tick(&mut watchdog) => supervisor.alive(),
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
        supervisor.stopping();
        let kill = app.kill_switch();
        let mut down = pin!(app.shut_down());
        loop {
            tokio::select! {
                _ = &mut down => return,
                () = tick(&mut watchdog) => supervisor.alive(),
                () = self.end() => break,
            }
        }
        warn!("stopping at once");
        kill.cancel();
        // Transfers that were cut still write their lines into the audit log.
        let _ = timeout(LAST_WORDS, down).await;
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next tick; never, where nobody waits for one.
async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads the configuration again, and watches the files that it names now.
fn reload(
    path: &Path,
    watch: &mut Watch,
    take_over: impl FnOnce(GatewayParts) -> Result<(), String>,
) {
    let read_at = SystemTime::now();
    watch.begin_reading();
    let taken = match GatewayParts::load(path) {
        Ok(parts) => {
            watch.note_read(&parts.files, read_at);
            take_over(parts).inspect_err(|_| watch.note_failure(&[], read_at))
        }
        Err(problems) => {
            watch.note_failure(&problems.files, read_at);
            Err(problems.to_string())
        }
    };
    if let Err(problems) = taken {
        error!(
            problems,
            "the configuration has mistakes; nothing was changed"
        );
    }
}
