//! `wavegate simulate`: a simulated PBX alone, for a gateway or any other client.
//!
//! Knows its recordings and the printed text. Does not know its behavior.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;

use super::quoted;
use super::serve::Signals;
use crate::simulator::{Api, Builder, CallRecord, ScriptedFault, Simulator, Switch, wav};

/// The grammar of `--fault`, for `--help`.
const FAULTS: &str = "\
Faults are written OPERATION:WHAT[:OPTION]…

  OPERATION  login, refresh, get-random, download, heartbeat, logout, cdr-random, cdr-download, list, any
  WHAT       slow=N(ms|s), throttle=BYTES_PER_S, cut-after=N, reset-after=N, stall-after=N,
             no-close-notify, html=STATUS, status=STATUS, errno=NUMBER, wrong-json, huge-json,
             garbage, close-before-answer, other-range, dead-token-after-ticket
  OPTION     times=N or times=forever (once otherwise), with-length (of cut-after),
             of=RECORDING (of download)

On a P-Series login is get_token, refresh is refresh_token, logout is del_token, get-random is
recording/download, download is the file itself, and errno= gives an errcode.

A gateway asks once more after many of them, so a fault that strikes once may not be seen.";

const YOUNG_RECORDING_SECONDS: u32 = 10;

/// `wavegate simulate`.
#[derive(Debug, Args)]
#[command(after_help = FAULTS)]
pub(super) struct Simulate {
    /// The API of the simulated PBX, as in the configuration: s-series-1.0.1 to p-series.
    #[arg(long, default_value = "s-series-2.0.0")]
    api: Api,
    /// The address it listens on; loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The user name of the API account. Default: a random one.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// A file with the password of the API account. Default: a random password.
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// A variation between PBXs; may be repeated. `--switch list` prints them all.
    #[arg(long = "switch", value_name = "NAME")]
    switches: Vec<String>,
    /// A fault, such as download:cut-after=100000:times=2; may be repeated.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<ScriptedFault>,
    /// Another program logs in with the same account every so many seconds, which ends all earlier
    /// tokens.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    other_program_every: Option<u64>,
    /// Break a third of all answers, chosen at random with this seed.
    #[arg(long, value_name = "SEED")]
    break_at_random: Option<u64>,
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
        match super::runtime() {
            Ok(runtime) => match runtime.block_on(self.simulate()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(message) => super::fail(message),
            },
            Err(error) => super::fail(error),
        }
    }

    async fn simulate(self) -> Result<(), String> {
        let recordings = recordings();
        let mut builder = self.builder()?;
        for (name, bytes) in &recordings {
            builder = builder.recording(name, bytes.clone());
        }
        let pbx = builder.start().await.map_err(|error| error.to_string())?;
        if let Some(seconds) = self.other_program_every {
            pbx.start_other_program(Duration::from_secs(seconds));
        }
        if let Some(seed) = self.break_at_random {
            pbx.break_at_random(seed);
        }
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        super::print(self.account_of(&pbx));
        for (name, _) in recordings {
            super::print(format_args!("recording      {name}"));
        }
        super::print(self.configuration_for(&pbx)?);
        signals.end().await;
        Ok(())
    }

    fn builder(&self) -> Result<Builder, String> {
        let mut builder = Simulator::builder(self.api).listen(self.listen);
        for name in &self.switches {
            let switch: Switch = name.parse().map_err(|error| format!("{error}"))?;
            builder = builder.switch(switch);
        }
        for fault in &self.faults {
            builder = builder.fault(fault.clone());
        }
        if let (Some(username), Some(file)) = (&self.username, &self.password_file) {
            builder = builder.credentials(username, read_password(file)?);
        }
        Ok(builder)
    }

    /// The account as text. A password from a file is not shown.
    fn account_of(&self, pbx: &Simulator) -> String {
        let password = match &self.password_file {
            None => pbx.password().to_owned(),
            Some(file) => format!("as in the file {}", file.display()),
        };
        let (name, secret) = match self.api {
            Api::PSeries => ("client id", "client secret"),
            _ => ("username", "password"),
        };
        let certificate = match has_certificate(pbx) {
            true => format!("\ncertificate    sha256 {}", pbx.fingerprint()),
            false => String::new(),
        };
        format!(
            "address        {}\napi            {}\n{name:14} {}\n{secret:14} {password}{certificate}",
            pbx.url(),
            self.api,
            pbx.username(),
        )
    }

    /// The configuration table for this PBX.
    fn configuration_for(&self, pbx: &Simulator) -> Result<String, String> {
        let (hint, file) = match &self.password_file {
            None => (
                " # holds the password above; only its owner may read it",
                "secrets/pbx-password".to_owned(),
            ),
            Some(file) => {
                let absolute = std::path::absolute(file).map_err(|error| error.to_string())?;
                ("", absolute.display().to_string())
            }
        };
        let trust = if has_certificate(pbx) {
            format!("\n[pbx.tls]\npins = [{}]", quoted(pbx.fingerprint()))
        } else {
            "plain_http = true".to_owned()
        };
        Ok(format!(
            "\n[[pbx]]\nname = \"simulated\"\napi = {}\nurl = {}\nusername = {}\npassword_file = {}{hint}\n{trust}",
            quoted(self.api.as_str()),
            quoted(&pbx.url()),
            quoted(pbx.username()),
            quoted(&file),
        ))
    }
}

fn has_certificate(pbx: &Simulator) -> bool {
    pbx.url().starts_with("https")
}

/// The sample recordings, and one of a call that began just now.
fn recordings() -> Vec<(String, Bytes)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.ok().and_then(|now| i64::try_from(now.as_secs()).ok());
    let young = CallRecord::beginning_at(now.unwrap_or_default(), 0).recording;
    let mut recordings = wav::demo_recordings();
    recordings.push((young, wav::music(YOUNG_RECORDING_SECONDS)));
    recordings
}

fn read_password(file: &Path) -> Result<String, String> {
    let secret = super::read_password(file)?;
    let password = secret.expose_str();
    let password =
        password.ok_or_else(|| format!("--password-file {}: not UTF-8", file.display()))?;
    Ok(password.to_owned())
}
