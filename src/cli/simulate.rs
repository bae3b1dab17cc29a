//! `wavegate simulate`: a simulated PBX alone, to point a gateway or anything else at.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::serve::Signals;
use crate::simulator::{Api, Fault, Simulator, Switch, wav};

/// The grammar of `--fault`, for `--help`.
const FAULTS: &str = "\
Faults are written OPERATION:WHAT[:OPTION]…

  OPERATION  login, refresh, get-random, download, heartbeat, logout, cdr-random, cdr-download, list, any
  WHAT       slow=N(ms|s), throttle=BYTES_PER_S, cut-after=N, reset-after=N, stall-after=N,
             no-close-notify, html=STATUS, status=STATUS, errno=NUMBER, wrong-json, huge-json,
             garbage, close-before-answer, dead-token-after-ticket
  OPTION     times=N or times=forever (once otherwise), with-length (of cut-after)

On a P-Series login is get_token, refresh is refresh_token, logout is del_token, get-random is
recording/download, download is the file itself, and errno= gives an errcode.

A gateway asks once more after many of them, so a fault that strikes once may not be seen.";

/// `wavegate simulate`.
#[derive(Debug, Args)]
#[command(after_help = FAULTS)]
pub(super) struct Simulate {
    /// The API it speaks, as in the configuration: s-series-1.0.1 to p-series.
    #[arg(long, default_value = "s-series-2.0.0")]
    api: Api,
    /// Where it listens; loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A way in which PBXs differ; may be given several times. `--switch list` names them all.
    #[arg(long = "switch", value_name = "NAME")]
    switches: Vec<String>,
    /// A misbehaviour, such as download:cut-after=100000:times=2; may be given several times.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
}

impl Simulate {
    pub(super) fn run(self) -> ExitCode {
        if self.switches.iter().any(|name| name == "list") {
            for switch in Switch::ALL {
                super::print(format_args!("{switch:36} {}", switch.about()));
            }
            return ExitCode::SUCCESS;
        }
        if !self.listen.ip().is_loopback() {
            return super::fail("the simulator listens on loopback only");
        }
        let switches = match self
            .switches
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Switch>, _>>()
        {
            Ok(switches) => switches,
            Err(error) => return super::fail(error),
        };
        match super::runtime() {
            Ok(runtime) => runtime.block_on(self.simulate(switches)),
            Err(error) => super::fail(error),
        }
    }

    async fn simulate(self, switches: Vec<Switch>) -> ExitCode {
        let api = self.api;
        let mut builder = Simulator::builder(api).listen(self.listen);
        for switch in switches {
            builder = builder.switch(switch);
        }
        for fault in self.faults {
            builder = builder.fault(fault);
        }
        let recordings = wav::demo_recordings();
        for (name, bytes) in &recordings {
            builder = builder.recording(name, bytes.clone());
        }
        let (pbx, signals) = match (builder.start().await, Signals::listen()) {
            (Ok(pbx), Ok(signals)) => (pbx, signals),
            (Err(error), _) | (_, Err(error)) => return super::fail(error),
        };
        let (name, secret) = match api {
            Api::PSeries => ("client id", "client secret"),
            _ => ("username", "password"),
        };
        let line = |key: &str, value: &str| super::print(format_args!("{key:13} {value}"));
        line("address", &pbx.url());
        line("api", api.as_str());
        line(name, pbx.username());
        line(secret, pbx.password());
        line("certificate", &format!("sha256 {}", pbx.fingerprint()));
        for (name, _) in &recordings {
            line("recording", name);
        }
        let mut signals = signals;
        signals.end().await;
        ExitCode::SUCCESS
    }
}
