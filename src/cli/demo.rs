//! `wavegate demo`: a simulated PBX with sample recordings, and the real gateway in front of it.
//!
//! Everything is on loopback and made afresh: certificate, password, keys. Nothing is written to disk.

mod tour;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use aws_lc_rs::rand;
use clap::Args;
use jiff::tz::TimeZone;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::serve::Signals;
use crate::app::{App, StartError};
use crate::auth::keys::Key;
use crate::auth::link::{LinkKey, Links};
use crate::auth::{Algorithm, Issuer};
use crate::config::secret::Secret;
use crate::config::{
    Admin, AllowedIp, Auth, Config, Log, LogFormat, NotAPin, NotReady, Pbx, PbxAccount, PbxApi,
    PbxLimits, PbxPassword, PbxReport, PbxTrust, PolicyRule, Prolong, RecordingNames, Relay,
    Server,
};
use crate::recording::NameRange;
use crate::simulator::{Api, Simulator, Switch, wav};
use crate::telemetry;
use tour::Tour;

const ISSUER: &str = "https://demo.invalid";
const AUDIENCE: &str = "recordings";
const LINK_AUDIENCE: &str = "recording-links";
const PBX: &str = "demo";
/// Long enough to look around.
const TTL: Duration = Duration::from_secs(8 * 3600);
const DEFAULT_PORT: u16 = 8080;

/// `wavegate demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where the gateway listens; loopback only. Port 8080 otherwise, or a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Print one line of JSON instead.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        if self
            .listen
            .is_some_and(|address| !address.ip().is_loopback())
        {
            return super::fail("the demo listens on loopback only");
        }
        match super::runtime() {
            Ok(runtime) => match runtime.block_on(self.serve()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(message) => super::fail(message),
            },
            Err(error) => super::fail(error),
        }
    }

    async fn serve(self) -> Result<(), String> {
        let recordings = wav::demo_recordings();
        // With a length, players show the duration at once.
        let mut pbx = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
        for (name, bytes) in &recordings {
            pbx = pbx.recording(name, bytes.clone());
        }
        let pbx = pbx
            .start()
            .await
            .map_err(|error| format!("the simulated PBX cannot start: {error}"))?;
        let keys = Keys::generate()?;
        telemetry::init(&log())?;
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let app = self.start(&pbx, &keys).await?;

        let recordings = recordings
            .into_iter()
            .map(|(name, bytes)| (name, seconds(&bytes)))
            .collect();
        let tour = Tour::new(&app, &keys, recordings)?;
        super::print(if self.json { tour.json() } else { tour.text() });

        signals.end().await;
        let kill = app.kill_switch();
        tokio::select! {
            _ = app.shut_down() => {}
            () = signals.end() => kill.cancel(),
        }
        Ok(())
    }

    /// Starts the gateway where it was asked for; else on the default port, or on a free one where that is taken.
    async fn start(&self, pbx: &Simulator, keys: &Keys) -> Result<App, String> {
        let default = (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into();
        let first = App::start(configuration(pbx, keys, self.listen.unwrap_or(default))?).await;
        let app = match first {
            Err(StartError::Listen(_)) if self.listen.is_none() => {
                let free = (Ipv4Addr::LOCALHOST, 0).into();
                App::start(configuration(pbx, keys, free)?).await
            }
            other => other,
        };
        app.map_err(|error| error.to_string())
    }
}

/// How long a recording plays, header aside.
fn seconds(recording: &[u8]) -> usize {
    recording.len() / (wav::BYTES_PER_SECOND as usize)
}

/// The demo's shared secrets.
struct Keys {
    bearer: Secret,
    link: Secret,
}

impl Keys {
    fn generate() -> Result<Self, String> {
        Ok(Self {
            bearer: random_secret()?,
            link: random_secret()?,
        })
    }
}

fn random_secret() -> Result<Secret, String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| "the system has no randomness")?;
    Ok(Secret::new(bytes))
}

fn configuration(pbx: &Simulator, keys: &Keys, listen: SocketAddr) -> Result<Config, String> {
    let key =
        |secret| Key::secret(None, Algorithm::Hs256, secret).map_err(|error| error.to_string());
    Ok(Config {
        state_dir: None,
        server: Server {
            listen: vec![listen],
            drain_timeout: Duration::from_secs(5),
            ..Server::default()
        },
        admin: Admin {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
        },
        log: log(),
        auth: Auth {
            issuers: vec![Issuer {
                name: ISSUER.to_owned(),
                audiences: vec![AUDIENCE.to_owned()],
                keys: vec![key(&keys.bearer)?],
            }],
            links: Some(Links {
                audience: LINK_AUDIENCE.to_owned(),
                max_ttl: TTL,
                keys: vec![LinkKey {
                    key: key(&keys.link)?,
                    pbxs: None,
                    max_ttl: None,
                }],
            }),
            skew: Duration::from_secs(10),
            bearer_signers: Vec::new(),
            link_signers: Vec::new(),
        },
        policy: PolicyRule::Everyone,
        relay: Relay {
            // A browser that is paused keeps its place.
            idle_timeout: Duration::from_secs(600),
            ..Relay::default()
        },
        pbxs: vec![simulated(pbx)?],
    })
}

fn log() -> Log {
    Log {
        level: LevelFilter::WARN,
        format: LogFormat::Text,
        recording_names: RecordingNames::Plain,
    }
}

fn simulated(pbx: &Simulator) -> Result<Pbx, String> {
    let pin = pbx
        .fingerprint()
        .parse()
        .map_err(|error: NotAPin| error.to_string())?;
    Ok(Pbx {
        name: PBX.to_owned(),
        api: PbxApi::SSeries200,
        url: Url::parse(&pbx.url()).map_err(|error| error.to_string())?,
        trust: Some(PbxTrust::Pins(vec![pin])),
        bind_address: None,
        allowed_ip: AllowedIp::Absent,
        names: NameRange::default(),
        time_zone: TimeZone::UTC,
        account: PbxAccount {
            username: Secret::new(pbx.username()),
            password: PbxPassword::Clear(Secret::new(pbx.password())),
            report: PbxReport::default(),
            prolong: Prolong::Query,
            logout: false,
            login_retry: PbxAccount::LOGIN_RETRY,
        },
        limits: PbxLimits::default(),
        not_ready: NotReady::default(),
    })
}
