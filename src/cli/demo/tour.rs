//! The text that the demo prints: addresses, credentials and commands to try.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;
use url::Url;

use super::{AUDIENCE, CREDENTIAL_TTL, DemoKeys, ISSUER, LINK_AUDIENCE, NEW_PBX, OLD_PBX};
use crate::app::App;
use crate::auth::Algorithm;
use crate::auth::mint::{self, SigningKey};
use crate::cli::mint::link_url;
use crate::recording::RecordingName;
use crate::secret::Secret;

/// The subject of the token and the link.
const SUBJECT: &str = "alice";

/// A recording of the demo.
#[derive(Clone)]
pub(super) struct DemoRecording {
    pub(super) name: RecordingName,
    /// Name of the PBX that has the recording.
    pub(super) pbx: &'static str,
    pub(super) seconds: usize,
}

/// The values of the tour.
pub(super) struct Tour {
    gateway: Url,
    admin: Url,
    /// The folder of the audit log.
    audit: PathBuf,
    samples: Vec<DemoRecording>,
    /// The recording that the link and the command are for.
    example: DemoRecording,
    bearer: String,
    link: Url,
}

impl Tour {
    /// # Errors
    /// A sentence for the person who started the demo.
    pub(super) fn new(
        app: &App,
        keys: &DemoKeys,
        samples: &[DemoRecording],
        audit: &Path,
    ) -> Result<Self, String> {
        let address = app
            .plain_addresses()
            .first()
            .ok_or("the gateway has no address")?;
        let gateway = base(address)?;
        // The recording of one minute: long enough to hear something, short enough to fetch at
        // once.
        let example = samples
            .get(1)
            .or(samples.first())
            .ok_or("there is no recording")?;
        let now = SystemTime::now();
        let bearer = mint::BearerClaims {
            issuer: ISSUER,
            subject: SUBJECT,
            audience: AUDIENCE,
        };
        let bearer = mint::bearer(&signer(&keys.bearer)?, &bearer, now, CREDENTIAL_TTL);
        let link = mint::LinkClaims {
            audience: LINK_AUDIENCE,
            subject: SUBJECT,
            pbx: example.pbx,
            recording: &example.name,
            ip: None,
        };
        let link = mint::link(&signer(&keys.link)?, &link, now, CREDENTIAL_TTL)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            link: link_url(&gateway, example.pbx, &example.name, &link),
            gateway,
            audit: audit.to_owned(),
            admin: base(&app.admin_address())?,
            samples: samples.to_vec(),
            example: example.clone(),
            bearer: bearer.map_err(|error| error.to_string())?,
        })
    }

    fn curl(&self) -> String {
        format!(
            "curl --fail --output recording.wav --header 'Authorization: Bearer {}' '{}recordings/{}'",
            self.bearer, self.gateway, self.example.name
        )
    }

    fn list(&self, target: &str) -> String {
        format!(
            "curl --header 'Authorization: Bearer {}' '{}{target}'",
            self.bearer, self.gateway
        )
    }

    /// One line for programs.
    pub(super) fn json(&self) -> String {
        let names: Vec<_> = self
            .samples
            .iter()
            .map(|sample| sample.name.as_str())
            .collect();
        json!({
            "gateway": self.gateway.as_str().trim_end_matches('/'),
            "admin": self.admin.as_str().trim_end_matches('/'),
            "recordings": names,
            "bearer": self.bearer,
            "link": self.link.as_str(),
            "curl": self.curl(),
        })
        .to_string()
    }

    /// A page for people.
    pub(super) fn text(&self) -> String {
        let lines = self.samples.iter().map(|sample| {
            let DemoRecording { name, pbx, seconds } = sample;
            format!("    {name}  ({seconds} s, on the {pbx} PBX)\n")
        });
        format!(
            "An old S-Series, a new P-Series, both simulated, and the gateway in front of them are running, on this machine only.\n\n\
             Play a recording in a browser:\n    {}\n\n\
             Fetch it with a bearer token:\n    {}\n\n\
             List what the new PBX has, and what the old one has of March 2026:\n    {}\n    {}\n\n\
             All recordings, each at {}recordings/<name>:\n{}\n\
             Health checks, how the PBXs are doing, and the metrics:\n    {}livez\n    {}readyz\n    {}pbxs\n    {}metrics\n\n\
             Report who heard what (the log is removed when the demo ends):\n    wavegate audit report {}\n\n\
             Link and token are good for {} hours. Ctrl-C ends it; running downloads get 5 s.",
            self.link,
            self.curl(),
            self.list(&format!("pbx/{NEW_PBX}/recordings")),
            self.list(&format!(
                "pbx/{OLD_PBX}/recordings?from=2026-03-01&to=2026-04-01"
            )),
            self.gateway,
            lines.collect::<String>(),
            self.admin,
            self.admin,
            self.admin,
            self.admin,
            self.audit.display(),
            CREDENTIAL_TTL.as_secs() / 3600,
        )
    }
}

fn base(address: &std::net::SocketAddr) -> Result<Url, String> {
    Url::parse(&format!("http://{address}/")).map_err(|error| error.to_string())
}

fn signer(secret: &Secret) -> Result<SigningKey, String> {
    SigningKey::secret(None, Algorithm::Hs256, secret).map_err(|error| error.to_string())
}
