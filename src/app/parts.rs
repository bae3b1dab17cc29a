//! The parts that a configuration describes: keys, certificates, policies, with the settings of the
//! rest.
//!
//! Knows how values become parts, and collects every mistake on the way in the list that reading
//! the file began. The commands and a reload all come through here. Does not run anything: no
//! socket, no task, no connection.

mod auth;
mod keys_apart;
mod policy;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::sign::CertifiedKey;

use self::auth::read_auth;
use self::keys_apart::check_keys_apart;
use self::policy::{read_policy, run_tests};
use crate::audit::settings::{AuditSettings, HeadKey};
use crate::auth::key_sets::source::KeySource;
use crate::auth::link::Links;
use crate::auth::link_minter::Minter;
use crate::auth::{Cookies, Issuer};
use crate::config::{
    self, AuditSection, Config, PbxSection, Problems, SharedSection, TrustSection, Warnings,
};
use crate::fleet::settings::FleetSettings;
use crate::pbx::settings::PbxSettings;
use crate::policy::{Groups, Policy};
use crate::tls;
use crate::tls::server::ServerTls;
use crate::tls::trust::PbxTrust;

/// Everything that a gateway is built from.
#[derive(Debug)]
pub struct GatewayParts {
    /// The warnings about the configuration.
    pub warnings: Warnings,
    /// The files that the configuration names, of which only a reload reads the content again.
    /// Folders are among them.
    pub files: Vec<PathBuf>,
    /// The configuration itself.
    pub config: Config,
    /// The certificate of the public listener; `None` without TLS.
    pub certificate: Option<CertifiedKey>,
    /// The audit log; `None` writes none.
    pub audit: Option<AuditSettings>,
    /// The credentials that are accepted.
    pub auth: AuthParts,
    /// The policies in force.
    pub policy: Policy,
    /// Their text.
    pub policy_text: String,
    /// The store that the instances of a fleet share; `None` for an instance on its own.
    pub fleet: Option<FleetSettings>,
    /// The PBXs; at least one. A bare `/recordings/{name}` means the first whose `names` hold the
    /// name.
    pub pbxs: Vec<PbxSettings>,
}

/// The credentials that are accepted.
#[derive(Debug)]
pub struct AuthParts {
    /// The issuers whose bearer tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// The places where issuers publish their keys.
    pub key_sources: Vec<KeySource>,
    /// The link tokens that are accepted.
    pub links: Option<Links>,
    /// The key that signs the links of `POST /links`; `None` if there are none.
    pub minter: Option<Minter>,
    /// The cookies that are accepted.
    pub cookies: Cookies,
}

impl GatewayParts {
    /// Reads a configuration file, and the files that it names.
    ///
    /// # Errors
    /// Every mistake found, in one list, each with the key it concerns.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let parts =
            config::read(path, &mut problems).and_then(|config| assemble(config, &mut problems));
        match parts {
            Some(parts) => Ok(Self {
                warnings: problems.warnings,
                files: problems.files,
                ..parts
            }),
            None => Err(config::in_file_order(problems)),
        }
    }

    /// The PBXs that no bare name means, each with an earlier one that has all its names.
    pub fn never_meant(&self) -> impl Iterator<Item = (&PbxSettings, &PbxSettings)> {
        self.pbxs.iter().enumerate().filter_map(|(index, pbx)| {
            let mut earlier = self.pbxs.iter().take(index);
            let other = earlier.find(|earlier| earlier.names.covers(&pbx.names))?;
            Some((pbx, other))
        })
    }
}

/// Makes the parts; `None` where the file, or anything here, has a mistake.
fn assemble(config: Config, problems: &mut Problems) -> Option<GatewayParts> {
    let tls = config.server.tls.as_ref();
    let certificate = tls.and_then(|tls| read_certificate(tls, &config, problems));
    let audit = read_audit(&config.audit, problems);
    let auth = read_auth(&config, problems);
    let (policy, policy_text) = read_policy(&config.policy, problems);
    let fleet = config.shared.as_ref();
    let fleet = fleet.and_then(|shared| read_fleet(shared, problems));
    let pbxs = config.pbxs.iter().enumerate();
    let pbxs = pbxs.filter_map(|(index, pbx)| read_pbx(index, pbx, problems));
    let pbxs = pbxs.collect();
    check_keys_apart(&config, &auth, problems);
    let groups = config.pbxs.iter();
    let groups = groups.filter_map(|pbx| Some((pbx.name.clone()?, pbx.groups.clone())));
    let parts = GatewayParts {
        warnings: Warnings::default(),
        files: Vec::new(),
        certificate,
        audit,
        auth,
        policy: policy.with_groups(Groups::new(groups)),
        policy_text,
        fleet,
        pbxs,
        config,
    };
    // A test that is run with half of a configuration fails for that alone.
    if problems.is_empty() {
        run_tests(&parts, problems);
    }
    problems.is_empty().then_some(parts)
}

fn read_certificate(
    tls: &ServerTls,
    config: &Config,
    problems: &mut Problems,
) -> Option<CertifiedKey> {
    let read = tls::server::read(tls, &config.secrets);
    let (certificate, readable) = read
        .map_err(|(key, message)| problems.push(format!("server.tls.{key}"), message))
        .ok()?;
    if let Some(readable) = readable {
        problems.warnings.note_readable(&tls.key_file, readable);
    }
    let end = tls::server::end(&certificate);
    if let Some(warning) = end.and_then(|end| tls::server::end_warning(end, Timestamp::now())) {
        let key = "server.tls.certificate_file";
        problems.warnings.push(key, warning);
    }
    Some(certificate)
}

fn read_audit(audit: &AuditSection, problems: &mut Problems) -> Option<AuditSettings> {
    let key = audit.key.as_ref();
    let key = key.and_then(|pem| problems.note("audit.key_file", HeadKey::read(pem)));
    Some(AuditSettings {
        dir: audit.dir.clone()?,
        on_failure: audit.on_failure,
        rotate: audit.rotate,
        max_file_bytes: audit.max_file_bytes,
        keep_days: audit.keep_days,
        key: key?,
    })
}

fn read_fleet(shared: &SharedSection, problems: &mut Problems) -> Option<FleetSettings> {
    let trust = match (shared.url.scheme(), &shared.ca_file) {
        ("redis", _) => None,
        (_, None) => Some(PbxTrust::System),
        (_, Some(path)) => {
            let read = tls::client::read_certificates(path);
            Some(PbxTrust::Ca(problems.note("shared.ca_file", read)?))
        }
    };
    Some(FleetSettings {
        url: shared.url.clone(),
        trust,
        name: shared.name.clone(),
        username: shared.username.clone(),
        password: shared.password.clone(),
        key: shared.key.clone(),
        timeout: shared.timeout,
    })
}

fn read_pbx(index: usize, pbx: &PbxSection, problems: &mut Problems) -> Option<PbxSettings> {
    let trust = match &pbx.trust {
        TrustSection::PlainHttp => None,
        TrustSection::System => Some(PbxTrust::System),
        TrustSection::Pins(pins) => Some(PbxTrust::Pins(pins.clone())),
        TrustSection::CaFile(path) => {
            let read = tls::client::read_certificates(path);
            let key = format!("pbx[{index}].tls.ca_file");
            Some(PbxTrust::Ca(problems.note(&key, read)?))
        }
    };
    Some(PbxSettings {
        name: pbx.name.clone()?,
        api: pbx.api?,
        url: pbx.url.clone()?,
        trust,
        bind_address: pbx.bind_address,
        allowed_ip: pbx.allowed_ip,
        names: pbx.names,
        time_zone: pbx.time_zone.clone(),
        account: pbx.account.clone()?,
        limits: pbx.limits.clone(),
        not_ready: pbx.not_ready.clone(),
        upstream_ranges: pbx.upstream_ranges,
    })
}
