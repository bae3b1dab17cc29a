//! `wavegate init`: a first configuration, from flags or from answers.
//!
//! Knows the order of the questions: the PBX's certificate comes before any credential, and nothing
//! here logs in. Does not know how files are written ([`files`]) or when a certificate is the right
//! one ([`look`]).

mod configuration;
mod draft;
mod files;
mod look;
mod next_steps;
mod place;
mod questions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use url::Url;

use crate::config;
use crate::pbx::settings::PbxApi;
use crate::tls::pin::Pin;
use configuration::Answers;
use files::Folders;
use look::Trust;
use place::Place;
use questions::Questions;

const DEFAULT_NAME: &str = "office";

/// `wavegate init`. If --api, --url or --username is missing, it asks on the terminal for every
/// value that no flag gives.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder for wavegate.toml, policy.cedar and secrets/. Default: this folder, or
    /// /etc/wavegate with --systemd.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Write the configuration of a service: files that the group wavegate can read, state in
    /// /var/lib/wavegate, and the unit if none is installed. Of the Debian package the keys are
    /// kept, and its placeholder is replaced.
    #[arg(long, conflicts_with = "container")]
    systemd: bool,
    /// Write the configuration of a container, with compose.yaml and nginx.conf.
    #[arg(long)]
    container: bool,
    /// Write the keys that are missing, and nothing else. For packages.
    #[arg(long, requires = "systemd")]
    keys: bool,
    /// The PBX's name in URLs and in the log. Default: office, or the answer if questions are
    /// asked.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// The PBX's API, the newest that its firmware has: s-series-1.0.1, s-series-1.1.0,
    /// s-series-2.0.0, cloud-1.1.0, cloud-2.0.0 or p-series.
    #[arg(long, value_parser = parse_api)]
    api: Option<PbxApi>,
    /// Scheme, host and port of the PBX's web interface, such as https://192.168.5.150:8088.
    #[arg(long, value_parser = parse_url)]
    url: Option<Url>,
    /// The API's user name; for a P-Series the Client ID.
    #[arg(long, value_parser = parse_username)]
    username: Option<String>,
    /// A file with the API's password; for a P-Series the Client Secret. Default: standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The URL under which callers reach the gateway. Default: http://127.0.0.1:8080, or
    /// https://localhost with --container, or the answer if questions are asked.
    #[arg(long, value_name = "URL", value_parser = parse_public_url)]
    public_url: Option<Url>,
    /// The SHA-256 of the PBX's certificate, 64 hexadecimal digits. The certificate is pinned.
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Pin>,
    /// Allow plain http: everybody on the way can then read the password and the calls.
    #[arg(long)]
    plain_http: bool,
    /// Ask for every value that no flag gives, even if standard input is no terminal.
    #[arg(long)]
    ask: bool,
}

impl Init {
    pub(super) fn run(self) -> ExitCode {
        let runtime = match super::runtime() {
            Ok(runtime) => runtime,
            Err(error) => return super::fail(error),
        };
        match runtime.block_on(self.write()) {
            Ok(written) => {
                super::print(written);
                ExitCode::SUCCESS
            }
            Err(message) => super::fail(format_args!("{message}\nnothing was written")),
        }
    }

    async fn write(self) -> Result<String, String> {
        let place = match (self.systemd, self.container) {
            (true, _) => Place::Service,
            (_, true) => Place::Container,
            _ => Place::Folder,
        };
        let dir = self.dir.unwrap_or_else(|| place.default_dir());
        let folders = Folders::new(place, &dir);
        if self.keys {
            folders.write_keys()?;
            return Ok(format!("{} has its keys", dir.display()));
        }
        folders.refuse_existing()?;
        let mut questions = Questions::new(self.ask);
        questions.require(&[
            ("--api", self.api.is_some()),
            ("--url", self.url.is_some()),
            ("--username", self.username.is_some()),
        ])?;
        let apis = PbxApi::NAMES.map(|(name, _)| name).join(", ");
        let question = format!("The API that the PBX speaks, one of {apis}");
        let api = questions.ask(self.api, &question, None, parse_api)?;
        let example = "The PBX's web interface, such as https://192.168.5.150:8088";
        let url = questions.ask(self.url, example, None, parse_url)?;
        if url.scheme() == "http" && !self.plain_http {
            return Err("--url: over plain http everybody on the way can read the password and every call; if you want that, add \
                        --plain-http"
                .to_owned());
        }
        let trust = look::at(&url, self.fingerprint, &questions).await?;

        let (id, secret) = match api {
            PbxApi::PSeries => ("Client ID", "Client Secret"),
            _ => ("User name of the PBX's API", "Password of the PBX's API"),
        };
        let question = "A name for the PBX, for URLs and the log";
        let name = questions.ask(self.name, question, Some(DEFAULT_NAME), parse_name)?;
        let username = questions.ask(self.username, id, None, parse_username)?;
        let password = match &self.password_file {
            Some(file) => super::read_password(file)?,
            None => questions.secret(secret)?,
        };
        let question = "The URL under which callers reach the gateway";
        let default = Some(place.default_public_url());
        let public_url = questions.ask(self.public_url, question, default, parse_public_url)?;
        let answers = Answers {
            name,
            api,
            url,
            username,
            listen: place.listen(&public_url),
            public_url,
            trust,
        };
        folders.write(&answers, &password)?;
        Ok(next_steps::next_steps(
            place,
            &dir,
            &folders.config(),
            &answers,
        ))
    }
}

fn parse_api(text: &str) -> Result<PbxApi, String> {
    let found = PbxApi::NAMES.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, api)| *api)
        .ok_or_else(|| format!("none of {}", PbxApi::NAMES.map(|(name, _)| name).join(", ")))
}

fn parse_name(text: &str) -> Result<String, String> {
    config::check_name(text)?;
    Ok(text.to_owned())
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = any_url(text)?;
    config::check_url(&url)?;
    Ok(url)
}

fn parse_public_url(text: &str) -> Result<Url, String> {
    let url = any_url(text)?;
    config::check_public_url(&url)?;
    Ok(url)
}

fn any_url(text: &str) -> Result<Url, String> {
    text.parse()
        .map_err(|error| format!("not an address such as https://192.168.5.150:8088: {error}"))
}

fn parse_username(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("empty, or with a control character".to_owned());
    }
    Ok(text.to_owned())
}
