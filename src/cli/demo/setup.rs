//! The configuration of the demo.

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::rand;
use jiff::tz::TimeZone;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::{
    AUDIENCE, CREDENTIAL_TTL, DemoPbxs, ISSUER, LINK_AUDIENCE, MOVE_DATE, NEW_PBX, OLD_PBX,
};
use crate::audit::settings::{AuditSettings, HeadKey, OnFailure, Rotate};
use crate::auth::keys::VerifyingKey;
use crate::auth::link::{LinkKey, Links};
use crate::auth::{Algorithm, AttributeClaims, Cookies, Issuer, KeyRing, RequiredClaims};
use crate::cache::settings::{CacheSettings, Range};
use crate::cli::random_secret;
use crate::config::{Admin, Auth, Config, Policy, Server, Warnings};
use crate::gateway::settings::cors::CorsSettings;
use crate::gateway::settings::embed::Embed;
use crate::gateway::settings::limits::RequestLimits;
use crate::log::{LogFormat, LogSettings, RecordingNames};
use crate::pbx::settings::{
    AllowedIp, NotReady, PbxAccount, PbxApi, PbxLimits, PbxPassword, PbxReport, PbxSettings,
    Prolong, UpstreamRanges,
};
use crate::policy;
use crate::recording::NameRange;
use crate::relay::settings::RelaySettings;
use crate::secret::Secret;
use crate::secret_files::SecretFiles;
use crate::simulator::{Api, Simulator};
use crate::tls::pin::PinError;
use crate::tls::trust::PbxTrust;

/// The demo's shared secrets.
pub(super) struct Keys {
    pub(super) bearer: Secret,
    pub(super) link: Secret,
}

impl Keys {
    pub(super) fn generate() -> Result<Self, String> {
        Ok(Self {
            bearer: random_secret()?,
            link: random_secret()?,
        })
    }
}

/// A folder for the audit log. It is removed when the demo ends.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make() -> Result<Self, String> {
        let mut name = [0; 8];
        rand::fill(&mut name).map_err(|_| "the system has no randomness")?;
        let name = format!("wavegate-demo-{:016x}", u64::from_be_bytes(name));
        let path = std::env::temp_dir().join(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(&path);
        made.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn audit(&self) -> Result<AuditSettings, String> {
        Ok(AuditSettings {
            dir: self.0.clone(),
            on_failure: OnFailure::Refuse,
            rotate: Rotate::Day,
            max_file_bytes: AuditSettings::MAX_FILE_BYTES,
            keep_days: 0,
            key: HeadKey::generate()?.0,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The whole configuration, with the gateway on `listen`.
pub(super) fn configuration(
    pbxs: &DemoPbxs,
    keys: &Keys,
    audit: &AuditSettings,
    listen: SocketAddr,
) -> Result<Config, String> {
    let moved = Some(
        MOVE_DATE
            .parse()
            .map_err(|error| format!("{MOVE_DATE}: {error}"))?,
    );
    let until_the_move = NameRange {
        from: None,
        until: moved,
    };
    let from_the_move = NameRange {
        from: moved,
        until: None,
    };
    let key = |secret| {
        VerifyingKey::secret(None, Algorithm::Hs256, secret).map_err(|error| error.to_string())
    };
    Ok(Config {
        warnings: Warnings::default(),
        secrets: SecretFiles::default(),
        state_dir: None,
        server: Server {
            listen: vec![listen],
            drain_timeout: Duration::from_secs(5),
            ..Server::default()
        },
        admin: Admin {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            ..Admin::default()
        },
        log: log(),
        audit: Some(audit.clone()),
        auth: Auth {
            issuers: vec![Issuer {
                name: ISSUER.to_owned(),
                audiences: vec![AUDIENCE.to_owned()],
                required: RequiredClaims::default(),
                keys: KeyRing::fixed(vec![key(&keys.bearer)?]),
                claims: AttributeClaims::default(),
                pbxs: None,
            }],
            key_sources: Vec::new(),
            revocation_file: None,
            login_url: None,
            links: Some(Links {
                audience: LINK_AUDIENCE.to_owned(),
                max_ttl: CREDENTIAL_TTL,
                keys: vec![LinkKey {
                    key: key(&keys.link)?,
                    pbxs: None,
                    max_ttl: None,
                }],
            }),
            minter: None,
            cookies: Cookies::default(),
            skew: Duration::from_secs(10),
            bearer_signers: Vec::new(),
            link_signers: Vec::new(),
        },
        embed: Embed::default(),
        cors: CorsSettings::default(),
        limits: RequestLimits::default(),
        policy: Policy {
            rules: policy::Policy::everyone().map_err(|flaw| flaw.to_string())?,
            text: String::new(),
            file: None,
            forbidden_as_not_found: false,
        },
        relay: RelaySettings {
            // A browser that is paused keeps its place.
            idle_timeout: Duration::from_secs(600),
            ..RelaySettings::default()
        },
        cache: CacheSettings::default(),
        range: Range::default(),
        pbxs: vec![
            simulated(OLD_PBX, &pbxs.old, until_the_move)?,
            simulated(NEW_PBX, &pbxs.new, from_the_move)?,
        ],
    })
}

/// Warnings only, as text for people.
pub(super) fn log() -> LogSettings {
    LogSettings {
        level: LevelFilter::WARN,
        format: LogFormat::Text,
        recording_names: RecordingNames::Plain,
    }
}

fn simulated(name: &str, pbx: &Simulator, names: NameRange) -> Result<PbxSettings, String> {
    let pin = pbx
        .fingerprint()
        .parse()
        .map_err(|error: PinError| error.to_string())?;
    Ok(PbxSettings {
        name: name.to_owned(),
        api: match pbx.api() {
            Api::PSeries => PbxApi::PSeries,
            _ => PbxApi::SSeries200,
        },
        url: Url::parse(&pbx.url()).map_err(|error| error.to_string())?,
        trust: Some(PbxTrust::Pins(vec![pin])),
        bind_address: None,
        allowed_ip: AllowedIp::Absent,
        names,
        time_zone: TimeZone::UTC,
        account: PbxAccount {
            username: Secret::new(pbx.username()),
            password: PbxPassword::Clear(Secret::new(pbx.password())),
            report: PbxReport::default(),
            prolong: Prolong::Query,
            logout: true,
            login_retry: PbxAccount::LOGIN_RETRY,
        },
        limits: PbxLimits::default(),
        not_ready: NotReady::default(),
        upstream_ranges: UpstreamRanges::Never,
    })
}
