//! `wavegate explain`: prints the decision that a request would get, and the reason.
//!
//! The token comes from a file or standard input, never as an argument, and is never printed. It is
//! checked as that of a request: with the same keys, fetched where the issuer publishes them, the
//! same list of revocations and the same policies, in the same order. A cookie is treated as if a
//! page of the gateway itself had sent it. With `--action share` no link is made. Exit codes: 0 for
//! allowed, 1 for denied, 78 for a configuration with mistakes.

use std::fmt::{Display, Write};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

use super::ConfigFile;
use crate::app::GatewayParts;
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::key_sets;
use crate::auth::key_sets::source::KeySource;
use crate::auth::link_minter::{self, Minter};
use crate::auth::revocations;
use crate::auth::revocations::entries::RevocationList;
use crate::auth::{AuthError, Authenticator, Cookies, Issuer, KeyRing, Principal};
use crate::policy;
use crate::policy::{Action, Context, Policy, PolicyError};
use crate::recording::RecordingName;
use crate::secret::Secret;
use crate::secret_files::SecretFiles;

/// Bound on what is read from standard input: more than any token.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// `wavegate explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// The recording's name in the PBX's call list.
    #[arg(long, value_name = "NAME")]
    recording: RecordingName,
    /// The PBX that has the recording. Default: the one that a request without a PBX's name is for.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// The action that the request asks for.
    #[arg(long, value_enum, default_value_t = Wish::Listen)]
    action: Wish,
    /// The caller's address.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    source: IpAddr,
    /// A file with the token, or with the value of the cookie. Default: standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The kind of the token.
    #[arg(long, value_enum, default_value_t = Kind::Bearer)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wish {
    Listen,
    Share,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A bearer token, as in the Authorization field.
    Bearer,
    /// A link token, as in ?link=.
    Link,
    /// The value of the gateway's own cookie, __Host-wavegate.
    Session,
    /// The value of the cookie that single sign-on sets and auth.cookie names: a bearer token.
    Sso,
}

impl From<Wish> for Action {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Listen => Self::Listen,
            Wish::Share => Self::Share,
        }
    }
}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        let parts = match super::load(&self.file.config) {
            Ok(parts) => parts,
            Err(code) => return code,
        };
        match self.explain(parts) {
            Ok((is_allowed, text)) => {
                super::print(text.trim_end());
                if is_allowed {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }
            }
            Err(message) => super::fail(message),
        }
    }

    fn explain(self, parts: GatewayParts) -> Result<(bool, String), String> {
        let mut pbxs = parts.pbxs.iter();
        let pbx = match &self.pbx {
            Some(name) => pbxs.find(|pbx| pbx.name == *name),
            None => pbxs.find(|pbx| pbx.names.holds(&self.recording)),
        };
        let pbx = pbx.ok_or("no such PBX in the configuration, or no PBX has recordings of the time in the name; name one with --pbx")?;
        let context = Context {
            source: self.source,
            now: SystemTime::now(),
        };
        let token = self.token(&parts.config.secrets)?;
        let (config, auth) = (&parts.config, parts.auth);
        let Some(asked) = self.request(&token, &auth.cookies)? else {
            return Ok((false, self.not_looked_at()));
        };
        let (headers, query) = asked;
        let revoked = match &config.auth.revocation_file {
            Some(path) => revocations::read_once(path)?,
            None => RevocationList::default(),
        };
        let authenticator = Authenticator::new(auth.issuers.clone(), auth.links, config.auth.skew)
            .with_cookies(auth.cookies)
            .with_max_token_bytes(config.server.max_header_bytes);
        let keys = authenticator.keys_to_renew(&headers, &[]);
        let fetched = keys.map_or(Ok(()), |keys| {
            fetch(&keys, &auth.issuers, &auth.key_sources)
        });
        let caller =
            authenticator.authenticate(&headers, query.as_deref(), context.source, context.now);
        let caller = match (caller, fetched) {
            (Ok(caller), _) if revoked.revokes(caller.principal()) => {
                return Ok((false, refused(AuthError::Revoked)));
            }
            (Ok(caller), _) => caller,
            (Err(rejected), Err(error)) if *rejected.reason() == AuthError::KeysUnavailable => {
                return Ok((false, format!("no decision (503)\n{error}")));
            }
            (Err(rejected), _) => {
                let text = match rejected.reason() {
                    // A server refuses such a head before it looks for a token.
                    error @ AuthError::TooLong { .. } => format!("deny (431)\n{error}"),
                    _ => refused(rejected),
                };
                return Ok((false, text));
            }
        };
        let principal = caller.principal();
        let (minter, public_url) = (auth.minter.as_ref(), config.server.public_url.as_ref());
        let policies = (&parts.policy, config.policy.file.as_deref());
        let (is_allowed, mut text) =
            match self.require_links(principal, minter, public_url, &pbx.name) {
                Ok(()) => self.decision(principal, &pbx.name, policies, &context),
                Err(text) => (false, text),
            };
        let (rules, name) = (&parts.policy, &self.recording);
        show(&mut text, principal, &pbx.name, name, rules, &context);
        Ok((is_allowed, text))
    }

    /// The checks that a server makes before it asks the policies about a link: whether it can make
    /// links for this caller and this PBX.
    fn require_links(
        &self,
        principal: &Principal,
        minter: Option<&Minter>,
        public_url: Option<&Url>,
        pbx: &str,
    ) -> Result<(), String> {
        if Action::from(self.action) != Action::Share {
            return Ok(());
        }
        policy::require_sharer(principal).map_err(|error| format!("deny\n{error}\n"))?;
        let configured = link_minter::configured(minter, public_url);
        let (minter, _) = configured.map_err(|error| format!("deny (501)\n{error}\n"))?;
        let reached = minter.require_pbx(pbx);
        reached.map_err(|error| format!("deny (400)\n{error}\n"))
    }

    /// The decision of the policies, and the policies that made it.
    fn decision(
        &self,
        principal: &Principal,
        pbx: &str,
        policies: (&Policy, Option<&Path>),
        context: &Context,
    ) -> (bool, String) {
        let (rules, file) = policies;
        let decide = |action| rules.decide(principal, action, pbx, &self.recording, context);
        let denial = match decide(self.action.into()) {
            Ok(policies) => return (true, told("allow", &policies, rules, file)),
            Err(denial) => denial,
        };
        let mut text = match &denial {
            PolicyError::Denied { policies, .. } => told("deny", policies, rules, file),
            _ => "deny\n".to_owned(),
        };
        let _ = writeln!(text, "{denial}");
        if matches!(self.action, Wish::Share) && decide(Action::Listen).is_err() {
            text.push_str("sharing needs the right to listen, and that is denied\n");
        }
        (false, text)
    }

    /// Puts the token where a request has it: into a header or the query. `None` where a server
    /// ignores that place.
    fn request(
        &self,
        token: &Secret,
        cookies: &Cookies,
    ) -> Result<Option<(HeaderMap, Option<String>)>, String> {
        let token = token.expose_str().unwrap_or_default();
        if token.is_empty() {
            return Err("there is no token; `wavegate token` makes one".to_owned());
        }
        let mut headers = HeaderMap::new();
        let (place, text) = match self.kind {
            Kind::Link => return Ok(Some((headers, Some(format!("link={token}"))))),
            Kind::Bearer => (AUTHORIZATION, format!("Bearer {token}")),
            Kind::Session | Kind::Sso => {
                let own = cookies.sessions.as_ref().map(|_| SESSION_COOKIE);
                let is_own = matches!(self.kind, Kind::Session);
                let Some(name) = (if is_own { own } else { cookies.sso.as_deref() }) else {
                    return Ok(None);
                };
                if token.contains(';') {
                    return Err("this is more than the value of one cookie".to_owned());
                }
                (COOKIE, format!("{name}={token}"))
            }
        };
        let field = HeaderValue::try_from(text);
        let field = field.map_err(|_| "the token has characters that no header can have")?;
        headers.insert(place, field);
        Ok(Some((headers, None)))
    }

    fn not_looked_at(&self) -> String {
        let key = match self.kind {
            Kind::Sso => "auth.cookie",
            Kind::Bearer | Kind::Link | Kind::Session => "session.key_file",
        };
        refused(format_args!(
            "this cookie is not looked at, since {key} is not configured"
        ))
    }

    fn token(&self, secrets: &SecretFiles) -> Result<Secret, String> {
        match &self.token_file {
            Some(path) => super::read_secret(path, secrets),
            None => read_input().map_err(|error| format!("standard input: {error}")),
        }
    }
}

fn refused(why: impl Display) -> String {
    format!("deny (401)\nthe token is not accepted: {why}")
}

/// Fetches the keys of an issuer that publishes them, as a server does at its start. The keys of
/// other issuers are in the configuration.
fn fetch(keys: &KeyRing, issuers: &[Issuer], sources: &[KeySource]) -> Result<(), String> {
    if !keys.is_missing() {
        return Ok(());
    }
    let issuer = issuers.iter().find(|issuer| issuer.keys.is_same_ring(keys));
    let source = issuer.and_then(|issuer| {
        let mut sources = sources.iter();
        sources.find(|source| source.issuer == issuer.name)
    });
    let source = source.ok_or("the configuration does not say where the keys of the issuer are")?;
    let runtime = super::runtime().map_err(|error| error.to_string())?;
    let fetched = runtime.block_on(key_sets::fetch_once(source, keys));
    fetched.map_err(|error| {
        format!(
            "the keys of the issuer {:?} cannot be fetched: {error}\n\
             a server that has fetched them before continues with those",
            source.issuer
        )
    })
}

fn read_input() -> io::Result<Secret> {
    let mut bytes = Vec::new();
    let mut input = io::stdin().lock().take(MAX_TOKEN_BYTES);
    input.read_to_end(&mut bytes)?;
    let secret = Secret::new(bytes);
    Ok(Secret::new(secret.expose().trim_ascii()))
}

/// The decision as text, with a line for each policy that made it.
fn told(
    decision: &str,
    policies: &[std::sync::Arc<str>],
    rules: &Policy,
    file: Option<&Path>,
) -> String {
    let mut text = format!("{decision}\n");
    for id in policies {
        let line = rules.line_of(id).unwrap_or_default();
        let file = file.unwrap_or(Path::new("policies")).display();
        let _ = writeln!(text, "by policy {id} ({file}:{line})");
    }
    text
}

/// Adds the attributes that the policies see. Texts are quoted and escaped, so that none can pass
/// for something else.
fn show(
    text: &mut String,
    principal: &Principal,
    pbx: &str,
    name: &RecordingName,
    rules: &Policy,
    context: &Context,
) {
    let facts = rules.facts(principal, pbx, name, context);
    for (entity, attributes) in [
        ("principal", facts.principal()),
        ("resource", facts.recording()),
        ("context", facts.context()),
    ] {
        for (key, values) in attributes {
            let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            let values = match values.as_slice() {
                [] => "none".to_owned(),
                values => values.join(", "),
            };
            let _ = writeln!(text, "{entity}.{key}: {values}");
        }
    }
}
