//! `wavegate token` and `wavegate link`: credentials to try the gateway out.
//!
//! Sign with a shared secret of the configuration, or with a private key in a file. Secrets are
//! never arguments.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Map, Value};
use url::Url;

use super::ConfigFile;
use crate::app::GatewayParts;
use crate::auth::link::{LinkKey, Links};
use crate::auth::mint::{self, SigningKey};
use crate::auth::{Algorithm, AttributeClaims};
use crate::config::{IssuerSection, KeySection};
use crate::recording::RecordingName;
use crate::secret_files::SecretFiles;

/// The arguments for the key that signs.
#[derive(Debug, Args)]
struct KeyChoice {
    /// Id of the key. Default: the first shared secret of the configuration.
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// A private key in PEM, if the configuration has the public key only.
    #[arg(long, value_name = "FILE", requires = "algorithm")]
    private_key_file: Option<PathBuf>,
    /// The algorithm of that private key, such as ES256.
    #[arg(long, value_name = "ALG", requires = "private_key_file")]
    algorithm: Option<Algorithm>,
}

/// `wavegate token`.
#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// The subject of the token: its claim sub.
    #[arg(long)]
    subject: String,
    /// The issuer. Default: the first of the configuration.
    #[arg(long)]
    issuer: Option<String>,
    /// A role of the subject; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// An extension of the subject, as pbx/number; may be repeated.
    #[arg(long = "extension", value_name = "PBX/NUMBER")]
    extensions: Vec<String>,
    /// The tenant of the subject.
    #[arg(long)]
    tenant: Option<String>,
    /// Lifetime of the token, in seconds.
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    ttl_s: u64,
    #[command(flatten)]
    key: KeyChoice,
}

/// `wavegate link`.
#[derive(Debug, Args)]
pub(super) struct LinkCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// The recording's name in the PBX's call list.
    #[arg(long, value_name = "NAME")]
    recording: RecordingName,
    /// The PBX that has the recording. Default: the one that a request without a PBX's name is for.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// The subject of the link: its claim sub.
    #[arg(long, default_value = "link")]
    subject: String,
    /// The only address that the link works from.
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Lifetime of the link, in seconds. Default: as long as the configuration allows.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    ttl_s: Option<u64>,
    #[command(flatten)]
    key: KeyChoice,
}

impl TokenCommand {
    pub(super) fn run(self) -> ExitCode {
        let parts = match super::load(&self.file.config) {
            Ok(parts) => parts,
            Err(code) => return code,
        };
        match self.mint(&parts) {
            Ok(token) => {
                super::print(token);
                ExitCode::SUCCESS
            }
            Err(message) => super::fail(message),
        }
    }

    fn mint(&self, parts: &GatewayParts) -> Result<String, String> {
        let config = &parts.config;
        let mut issuers = config.auth.issuers.iter();
        let issuer = match &self.issuer {
            None => issuers.next(),
            Some(_) => issuers.find(|issuer| issuer.name == self.issuer),
        };
        let issuer = issuer.ok_or("no such issuer in the configuration")?;
        let keys = issuer.keys.iter();
        let key = self.key.signing_key(keys, &config.secrets)?;
        let claims = mint::BearerClaims {
            issuer: issuer.name.as_deref().unwrap_or_default(),
            subject: &self.subject,
            audience: issuer.audiences.first().map_or("", String::as_str),
        };
        mint::bearer_with(
            &key,
            &claims,
            &self.further(issuer),
            SystemTime::now(),
            Duration::from_secs(self.ttl_s),
        )
        .map_err(|error| error.to_string())
    }
}

impl TokenCommand {
    /// The other claims of the token: those that the configuration requires of this issuer's
    /// tokens, and the attributes of the subject.
    fn further(&self, issuer: &IssuerSection) -> Map<String, Value> {
        let required = issuer.required.texts.iter();
        let mut further: Map<String, Value> = required
            .map(|(claim, text)| (claim.clone(), Value::from(text.clone())))
            .collect();
        further.extend(self.attributes(&issuer.claims));
        further
    }

    /// The attributes of the subject, each under the full name of its claim; a path in the
    /// configuration also matches that full name.
    fn attributes(&self, claims: &AttributeClaims) -> Map<String, Value> {
        let mut attributes = Map::new();
        for (claim, values) in [
            (&claims.roles, &self.roles),
            (&claims.extensions, &self.extensions),
        ] {
            if !values.is_empty() {
                attributes.insert(claim.clone(), Value::from(values.clone()));
            }
        }
        if let Some(tenant) = &self.tenant {
            attributes.insert(claims.tenant.clone(), Value::from(tenant.clone()));
        }
        attributes
    }
}

impl LinkCommand {
    pub(super) fn run(self) -> ExitCode {
        let parts = match super::load(&self.file.config) {
            Ok(parts) => parts,
            Err(code) => return code,
        };
        match self.mint(&parts) {
            Ok(url) => {
                super::print(url);
                ExitCode::SUCCESS
            }
            Err(message) => super::fail(message),
        }
    }

    fn mint(&self, parts: &GatewayParts) -> Result<Url, String> {
        const NO_LINKS: &str = "the configuration has no [[links.key]]";
        let config = &parts.config;
        let links = parts.auth.links.as_ref().ok_or(NO_LINKS)?;
        let section = config.links.as_ref().ok_or(NO_LINKS)?;
        let public = config
            .server
            .public_url
            .as_ref()
            .ok_or("the configuration has no server.public_url")?;
        let mut pbxs = parts.pbxs.iter();
        let pbx = match &self.pbx {
            None => pbxs.find(|pbx| pbx.names.holds(&self.recording)).ok_or(
                "no PBX has recordings of that time, by names_from and names_until; name one with --pbx",
            )?,
            Some(name) => pbxs
                .find(|pbx| pbx.name == *name)
                .ok_or_else(|| format!("no PBX {name:?} in the configuration"))?,
        };
        let keys = section.keys.iter().map(|link| &link.key);
        let key = self.key.signing_key(keys, &config.secrets)?;
        let verifier = verifier(links, &key)
            .ok_or("no [[links.key]] of the configuration would verify this key's links")?;
        if !verifier.reaches(&pbx.name) {
            return Err(format!(
                "this key's links do not reach PBX {:?}; pbxs in its [[links.key]] names the PBXs that they reach",
                pbx.name
            ));
        }
        let ttl = self.ttl(links.max_ttl_of(verifier))?;
        let claims = mint::LinkClaims {
            audience: &links.audience,
            subject: &self.subject,
            pbx: &pbx.name,
            recording: &self.recording,
            ip: self.ip,
        };
        let token =
            mint::link(&key, &claims, SystemTime::now(), ttl).map_err(|error| error.to_string())?;
        Ok(link_url(public, &pbx.name, &self.recording, &token))
    }

    fn ttl(&self, longest: Duration) -> Result<Duration, String> {
        let ttl = self.ttl_s.map_or(longest, Duration::from_secs);
        if ttl > longest {
            return Err(format!(
                "a link of this key lives at most {} s, by max_ttl_s in [links] and [[links.key]]",
                longest.as_secs()
            ));
        }
        Ok(ttl)
    }
}

/// The key with which the gateway verifies links of this key: the one with the same id, else one
/// that fits any id.
fn verifier<'a>(links: &'a Links, signing: &SigningKey) -> Option<&'a LinkKey> {
    let mut fitting = links
        .keys
        .iter()
        .filter(|verifier| verifier.key.algorithm() == signing.algorithm());
    let of_same_id = |verifier: &&LinkKey| verifier.key.id() == signing.id();
    let of_any_id = |verifier: &&LinkKey| signing.id().is_none() || verifier.key.id().is_none();
    fitting
        .clone()
        .find(of_same_id)
        .or_else(|| fitting.find(of_any_id))
}

/// The URL that opens `recording` with `token`. It names the PBX, as the token does.
pub(super) fn link_url(public: &Url, pbx: &str, recording: &RecordingName, token: &str) -> Url {
    let mut url = public.clone();
    url.set_path(&format!("/pbx/{pbx}/recordings/{}", recording.encoded()));
    url.set_query(Some(&format!("link={token}")));
    url
}

impl KeyChoice {
    fn signing_key<'a>(
        &self,
        keys: impl Iterator<Item = &'a KeySection>,
        secrets: &SecretFiles,
    ) -> Result<SigningKey, String> {
        if let (Some(path), Some(algorithm)) = (&self.private_key_file, self.algorithm) {
            let pem = super::read_secret(path, secrets)?;
            return SigningKey::private_pem(self.key_id.clone(), algorithm, pem.expose())
                .map_err(|error| error.to_string());
        }
        let mut shared = keys
            .filter(|key| self.key_id.is_none() || key.id == self.key_id)
            .filter_map(|key| Some((key.id.clone(), key.algorithm?, key.secret()?)));
        let (id, algorithm, secret) = shared.next().ok_or(
            "the configuration has no such shared secret; with public keys give --private-key-file and --algorithm",
        )?;
        SigningKey::secret(id, algorithm, secret).map_err(|error| error.to_string())
    }
}
