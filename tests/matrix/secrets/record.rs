//! The output of a gateway, the secrets that it must not contain, and the search for them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::Method;
use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wavegate::simulator::Simulator;

use crate::harness::programs::Running;
use crate::harness::{Call, NAME, PATIENCE, PBX, audit, jwt, link};

fn md5(text: &str) -> String {
    hexadecimal(&Md5::digest(text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number in a query string.
const CALLER: &str = "0049-30-5550199-marked";

/// The spellings in which a secret may appear.
pub(super) fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let list = format!("{bytes:?}");
    vec![
        secret.to_owned(),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        hexadecimal(bytes),
        list.trim_matches(['[', ']']).to_owned(),
        md5(secret),
    ]
}

/// A search for many secrets in one pass, by the first bytes of each spelling.
pub(super) struct Search<'s> {
    by_start: HashMap<[u8; START], Vec<(Vec<u8>, &'s str)>>,
    /// Spellings that are shorter than [`START`].
    short: Vec<(String, &'s str)>,
    /// The first two bytes of all spellings, which rule out most places in a text quickly.
    pairs: Vec<bool>,
}

/// Few spellings are shorter than this.
const START: usize = 8;

impl<'s> Search<'s> {
    pub(super) fn new(secrets: &'s [String]) -> Self {
        let mut search = Self {
            by_start: HashMap::new(),
            short: Vec::new(),
            pairs: vec![false; 1 << 16],
        };
        let secrets: BTreeSet<&str> = secrets.iter().map(String::as_str).collect();
        for secret in secrets {
            for spelling in spellings(secret) {
                let Some(start) = spelling.as_bytes().first_chunk() else {
                    search.short.push((spelling, secret));
                    continue;
                };
                search.pairs[pair(start[0], start[1])] = true;
                let others = search.by_start.entry(*start).or_default();
                others.push((spelling.into_bytes(), secret));
            }
        }
        search
    }

    /// All secrets that `text` holds.
    pub(super) fn found(&self, text: &str) -> BTreeSet<&'s str> {
        let short = self.short.iter();
        let short = short.filter(|(spelling, _)| text.contains(spelling.as_str()));
        let mut found: BTreeSet<&str> = short.map(|(_, secret)| *secret).collect();
        let mut rest = text.as_bytes();
        while let Some(start) = rest.first_chunk::<START>() {
            if self.pairs[pair(start[0], start[1])]
                && let Some(spellings) = self.by_start.get(start)
            {
                let here = spellings.iter().filter(|(one, _)| rest.starts_with(one));
                found.extend(here.map(|(_, secret)| *secret));
            }
            rest = &rest[1..];
        }
        found
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// All output of the gateway, and all secrets that it must not contain.
#[derive(Default)]
pub(super) struct Record {
    pub(super) secrets: Vec<String>,
    /// Answers: their heads, and their bodies without audio.
    shown: String,
    /// Request ids of the answers.
    ids: Vec<String>,
    pub(super) logs: String,
    files: String,
}

impl Record {
    /// Adds a new bearer token to the secrets. Every part but its header counts, encoded and
    /// decoded.
    pub(super) fn token(&mut self, token: String) -> String {
        let (_, secret) = token.split_once('.').unwrap();
        for part in secret.split('.') {
            self.secrets.push(part.to_owned());
            let plain = URL_SAFE_NO_PAD.decode(part).unwrap();
            self.secrets.push(match String::from_utf8(plain) {
                Ok(claims) => claims,
                Err(signature) => hexadecimal(signature.as_bytes()),
            });
        }
        token
    }

    pub(super) fn bearer(&mut self) -> String {
        self.token(jwt("alice"))
    }

    pub(super) fn link(&mut self) -> String {
        self.token(link(PBX, NAME))
    }

    pub(super) async fn note(&mut self, call: Call) -> u16 {
        self.send(call).await.0
    }

    async fn send(&mut self, call: Call) -> (u16, String) {
        let answer = call.send().await;
        let status = answer.status();
        let _ = writeln!(self.shown, "{status} {:?}", answer.headers());
        self.ids
            .push(answer.header("x-request-id").unwrap().to_owned());
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(broken) => broken.received,
        };
        let mut text = String::new();
        if !status.is_success() {
            text = String::from_utf8_lossy(&body).into_owned();
            self.shown += &text;
        }
        (status.as_u16(), text)
    }

    /// Sends a request. Returns its status, and the slug of the problem, or `page` for a page.
    pub(super) async fn told(&mut self, call: Call) -> String {
        let (status, text) = self.send(call).await;
        let slug = text.split_once("urn:wavegate:problem:");
        let slug = slug.and_then(|(_, rest)| rest.split('"').next());
        match slug {
            Some(slug) => format!("{status} {slug}"),
            None if text.contains("<title>") => format!("{status} page"),
            None => status.to_string(),
        }
    }

    /// Sends a request that must have exactly this result, so that the test really takes this path.
    pub(super) async fn take(&mut self, call: Call, expected: &str) {
        let told = self.told(call).await;
        let number = self.ids.len();
        assert_eq!(told, expected, "answer {number}");
    }

    /// Records other output.
    pub(super) fn keep(&mut self, status: u16, text: &str) {
        let _ = writeln!(self.shown, "{status} {text}");
    }

    pub(super) async fn get_with_host(&mut self, addr: SocketAddr, host: &str) -> u16 {
        let token = self.bearer();
        let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
        self.note(call.header("host", host).bearer(&token)).await
    }

    pub(super) async fn get_recording(&mut self, addr: SocketAddr) -> u16 {
        let token = self.bearer();
        let target = format!("/recordings/{NAME}");
        self.note(Call::new(addr, Method::GET, &target).bearer(&token))
            .await
    }

    /// Requests a list of the calls of one number, which counts as a secret.
    pub(super) async fn get_list(&mut self, addr: SocketAddr) -> u16 {
        let token = self.bearer();
        self.secrets.push(CALLER.to_owned());
        let target = format!("/recordings?from=2026-01-01&to=2026-06-01&caller={CALLER}");
        self.note(Call::new(addr, Method::GET, &target).bearer(&token))
            .await
    }

    /// Sends bytes that need not be a request, and records the answer.
    pub(super) async fn send_raw(&mut self, addr: SocketAddr, bytes: &[u8]) {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // The gateway may close before it has read all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("a hang");
        self.shown += &String::from_utf8_lossy(&answer);
    }

    /// Ends a gateway, and records its log and its state.
    pub(super) async fn end(&mut self, gateway: Running, folder: &Path) {
        let ended = gateway.stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        // The line with the gateway's own addresses is omitted: a port that a simulated PBX had
        // before may be the next gateway's.
        for line in ended.out.lines().chain(ended.err.lines()) {
            if !line.contains("listening") {
                self.logs += line;
                self.logs += "\n";
            }
        }
        let state = std::fs::read_dir(folder.join("state")).unwrap();
        for file in state.chain(std::fs::read_dir(audit::dir(folder)).unwrap()) {
            self.files += &std::fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }

    /// Adds the PBX's secrets, after the last request.
    pub(super) fn add_pbx(&mut self, pbx: &Simulator) {
        self.secrets.extend(pbx.seen().secrets);
        let made_up = [pbx.password(), pbx.username()];
        self.secrets.extend(made_up.map(str::to_owned));
        self.secrets.push(pbx.addr().to_string());
        self.secrets
            .extend(audit::HEAD_KEY.lines().nth(1).map(str::to_owned));
    }

    pub(super) fn check(&self) {
        let secrets = Search::new(&self.secrets);
        for (place, text) in [
            ("the log", &self.logs),
            ("an answer", &self.shown),
            ("a state file or the audit log", &self.files),
        ] {
            let found = secrets.found(text);
            assert!(found.is_empty(), "{found:?} in {place}:\n{text}");
        }
        // Shows that the search works: the log has each request, the answers their ids, the state
        // its salt.
        assert!(!self.ids.is_empty() && self.secrets.len() > 5);
        let ids = Search::new(&self.ids);
        let all = self.ids.iter().map(String::as_str).collect();
        assert_eq!(ids.found(&self.logs), all, "not in\n{}", self.logs);
        assert_eq!(ids.found(&self.shown), all);
        assert!(self.files.contains("salt") && self.files.contains("\"decision\""));
    }
}
