//! `wavegate demo`: two simulated PBXs with sample recordings, and the real gateway in front of
//! them.
//!
//! An office that has replaced its S-Series by a P-Series and kept both: links to old recordings
//! live on. Everything is on loopback and made afresh: certificates, passwords, keys. The files of
//! the gateway, its audit log among them, are in a folder of their own, which goes at the end.

mod setup;
mod tour;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;

use super::serve::Signals;
use crate::app::{App, StartError};
use crate::log;
use crate::recording::{RecordingName, Stamp};
use crate::simulator::{Api, Simulator, Switch, wav};
use setup::{Folder, Keys};
use tour::{Sample, Tour};

const ISSUER: &str = "https://demo.invalid";
const AUDIENCE: &str = "recordings";
const LINK_AUDIENCE: &str = "recording-links";
const OLD_PBX: &str = "old";
const NEW_PBX: &str = "new";
/// When the new PBX took over.
const MOVE: &str = "2026-03-03";
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
        let pbxs = Pbxs::start().await?;
        let keys = Keys::generate()?;
        log::init(&setup::log())?;
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let folder = Folder::make()?;
        folder.fill(&pbxs, &keys)?;
        let app = self.start(&pbxs, &folder).await?;

        let tour = Tour::new(&app, &keys, &pbxs.samples, &folder.audit())?;
        super::print(if self.json { tour.json() } else { tour.text() });

        signals.end().await;
        let kill = app.kill_switch();
        tokio::select! {
            _ = app.shut_down() => {}
            () = signals.end() => kill.cancel(),
        }
        Ok(())
    }

    /// Starts the gateway where it was asked for; else on the default port, or on a free one where
    /// that is taken.
    async fn start(&self, pbxs: &Pbxs, folder: &Folder) -> Result<App, String> {
        let default = (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into();
        let parts = folder.load(pbxs, self.listen.unwrap_or(default))?;
        let app = match App::start(parts).await {
            Err(StartError::Listen(_)) if self.listen.is_none() => {
                let free = (Ipv4Addr::LOCALHOST, 0).into();
                App::start(folder.load(pbxs, free)?).await
            }
            other => other,
        };
        app.map_err(|error| error.to_string())
    }
}

/// The simulated PBXs, and what is on them.
struct Pbxs {
    old: Simulator,
    new: Simulator,
    samples: Vec<Sample>,
}

impl Pbxs {
    async fn start() -> Result<Self, String> {
        let moved: Stamp = MOVE.parse().map_err(|error| format!("{MOVE}: {error}"))?;
        // With a length, players show the duration at once.
        let mut old = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
        let mut new = Simulator::builder(Api::PSeries);
        let mut samples = Vec::new();
        for (text, bytes) in wav::demo_recordings() {
            let name: RecordingName = text.parse().map_err(|error| format!("{text}: {error}"))?;
            let seconds = seconds(&bytes);
            let pbx = if moved.is_after(&name) {
                old = old.recording(text, bytes);
                OLD_PBX
            } else {
                new = new.recording(text, bytes);
                NEW_PBX
            };
            samples.push(Sample { name, pbx, seconds });
        }
        let cannot = |error| format!("a simulated PBX cannot start: {error}");
        Ok(Self {
            old: old.start().await.map_err(cannot)?,
            new: new.start().await.map_err(cannot)?,
            samples,
        })
    }
}

/// How long a recording plays, header aside.
fn seconds(recording: &Bytes) -> usize {
    recording.len() / (wav::BYTES_PER_SECOND as usize)
}
