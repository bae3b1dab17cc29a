//! `wavegate demo`: two simulated PBXs with sample recordings, and the real gateway in front of
//! them.
//!
//! An office has replaced its S-Series by a P-Series and kept both, so that links to old recordings
//! still work. Everything is on loopback and made at the start: certificates, passwords, keys. The
//! files of the gateway are in a folder of their own, which is removed at the end.

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
use setup::{DemoKeys, Folder};
use tour::{DemoRecording, Tour};

const ISSUER: &str = "https://demo.invalid";
const AUDIENCE: &str = "recordings";
const LINK_AUDIENCE: &str = "recording-links";
const OLD_PBX: &str = "old";
const NEW_PBX: &str = "new";
/// The day on which the new PBX took over.
const MOVE_DATE: &str = "2026-03-03";
/// Lifetime of the token and the link: long enough to look around.
const CREDENTIAL_TTL: Duration = Duration::from_secs(8 * 3600);
const DEFAULT_PORT: u16 = 8080;

/// `wavegate demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where the gateway listens; loopback only. Port 8080 otherwise, or a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Print one line of JSON instead of the tour.
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
        let pbxs = DemoPbxs::start().await?;
        let keys = DemoKeys::generate()?;
        let _log = log::init(&setup::log())?;
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

    /// Starts the gateway on the given address; else on the default port, or on a free one if that
    /// is taken.
    async fn start(&self, pbxs: &DemoPbxs, folder: &Folder) -> Result<App, String> {
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

/// The simulated PBXs and their recordings.
struct DemoPbxs {
    old: Simulator,
    new: Simulator,
    samples: Vec<DemoRecording>,
}

impl DemoPbxs {
    async fn start() -> Result<Self, String> {
        let moved: Stamp = MOVE_DATE
            .parse()
            .map_err(|error| format!("{MOVE_DATE}: {error}"))?;
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
            samples.push(DemoRecording { name, pbx, seconds });
        }
        let cannot = |error| format!("a simulated PBX cannot start: {error}");
        Ok(Self {
            old: old.start().await.map_err(cannot)?,
            new: new.start().await.map_err(cannot)?,
            samples,
        })
    }
}

/// Playing time in seconds; the header hardly counts.
fn seconds(recording: &Bytes) -> usize {
    recording.len() / (wav::BYTES_PER_SECOND as usize)
}
