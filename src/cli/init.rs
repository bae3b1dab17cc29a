//! `wavegate init`: a first configuration, from flags or from answers.
//!
//! Knows the order of the questions: the PBX's certificate comes before any credential, and nothing
//! here logs in. Does not know how files are written ([`files`]) or when a certificate is the right
//! one ([`look`]).

mod files;
mod look;
mod questions;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use url::{Host, Url};

use crate::app::GatewayParts;
use crate::config;
use crate::pbx::settings::PbxApi;
use crate::secret::Secret;
use crate::tls::pin::Pin;
use files::{Answers, Draft};
use look::Trust;
use questions::Questions;

const DEFAULT_NAME: &str = "office";
const DEFAULT_PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// `wavegate init`. If --api, --url or --username is missing, it asks on the terminal for every
/// value that no flag gives.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder for wavegate.toml, policy.cedar and secrets/.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
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
    /// The URL under which callers reach the gateway. Default: http://127.0.0.1:8080, or the answer
    /// if questions are asked.
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
        files::refuse_existing(&self.dir)?;
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
        let default = Some(DEFAULT_PUBLIC_URL);
        let public_url = questions.ask(self.public_url, question, default, parse_public_url)?;
        let answers = Answers {
            name,
            api,
            url,
            username,
            listen: listen(&public_url),
            public_url,
            trust,
        };
        let path = write_all(&self.dir, &answers, &password)?;
        Ok(what_next(&path, &answers))
    }
}

/// Writes all files and checks the configuration. If that fails, the files are removed.
fn write_all(dir: &Path, answers: &Answers, password: &Secret) -> Result<PathBuf, String> {
    let mut draft = Draft::default();
    let path = draft.write(dir, answers, password)?;
    let parts = GatewayParts::load(&path).map_err(|problems| problems.to_string())?;
    super::warn(&parts);
    draft.keep();
    Ok(path)
}

/// The address on which the gateway listens: the one of `public_url`, if that is on this machine's
/// loopback; else a loopback address behind a proxy.
fn listen(public_url: &Url) -> String {
    let port = public_url.port_or_known_default().unwrap_or_default();
    let here = match public_url.host() {
        _ if public_url.scheme() != "http" => None,
        Some(Host::Domain("localhost")) => Some("127.0.0.1".to_owned()),
        Some(Host::Ipv4(address)) if address.is_loopback() => Some(address.to_string()),
        Some(Host::Ipv6(address)) if address.is_loopback() => Some(format!("[{address}]")),
        _ => None,
    };
    here.map_or_else(
        || "127.0.0.1:8080".to_owned(),
        |address| format!("{address}:{port}"),
    )
}

fn what_next(path: &Path, answers: &Answers) -> String {
    let config = format!("--config {}", shell_word(&path.to_string_lossy()));
    let url = answers.public_url.as_str().trim_end_matches('/');
    format!(
        "{} is written. The folder secrets/ beside it has the keys for bearer tokens, links and sessions,
the token of the admin listener, and the PBX's password.
Everyone with a token may hear every recording: policy.cedar says so.

What to do next, with the name of a recording from the PBX's call list (CDR):

  name=…
  wavegate check {config}
  wavegate doctor {config} --recording \"$name\"
  wavegate serve {config} &
  token=$(wavegate token {config} --subject alice)
  curl --fail --output recording.wav --header \"Authorization: Bearer $token\" \"{url}/recordings/$name\"",
        path.display()
    )
}

/// A word that a shell reads as it stands.
fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,".contains(&byte);
    match word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(public_url: &str, expected: &str) {
        assert_eq!(listen(&public_url.parse().unwrap()), expected);
    }

    #[test]
    fn a_loopback_public_url_is_the_listening_address() {
        check("http://127.0.0.1:9000", "127.0.0.1:9000");
        check("http://localhost:9000", "127.0.0.1:9000");
        check("http://[::1]", "[::1]:80");
        check("http://192.0.2.1:9000", "127.0.0.1:8080");
        check("https://recordings.example.com", "127.0.0.1:8080");
    }

    #[test]
    fn a_path_with_odd_characters_is_one_word() {
        assert_eq!(shell_word("a/b-c.toml"), "a/b-c.toml");
        assert_eq!(shell_word("it's $x"), r"'it'\''s $x'");
    }
}
