//! A Chromium that the test drives: it opens pages, follows their links and runs scripts in them,
//! also where a page permits no scripts.
//!
//! Knows the DevTools protocol over a pipe. Names of sites are mapped to ports of loopback, so that
//! each site has a name of its own and https, as for its users. No other name resolves.
//!
//! Sources: Chrome DevTools Protocol, domains Target, Page and Runtime; Chromium,
//! `--remote-debugging-pipe` (reads from descriptor 3, writes to 4, each message ends with a NUL)
//! and `--host-resolver-rules`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::dress;
use crate::harness::programs::{Running, program};
use crate::harness::soon;
use crate::harness::tls::Identity;

/// Passes on the pipe, and nothing else.
const PIPED: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

/// The cookies that sites may have in pages of other sites.
#[derive(Clone, Copy)]
pub(super) enum ThirdParty {
    /// All cookies, as by Chromium's default.
    Any,
    /// Partitioned ones only, as for many users and in some other browsers.
    Partitioned,
}

/// A running Chromium. Dropping it ends it.
pub(super) struct Chromium {
    running: Running,
    pipe: ChildStdin,
    /// The number of messages sent, and the length of the output that was read.
    sent: u64,
    read: usize,
    _profile: TempDir,
}

/// A tab, or a frame of another site in one.
pub(super) struct Tab {
    session: String,
}

impl Chromium {
    /// Starts a Chromium that resolves these sites, and trusts the key of their certificate. `None`
    /// if Chromium is not installed.
    pub(super) fn start(
        sites: &[(&str, SocketAddr)],
        identity: &Identity,
        third_party: ThirdParty,
    ) -> Option<Self> {
        let chromium = program("chromium")?;
        let profile = tempfile::tempdir().unwrap();
        third_party.write(profile.path());
        let mut rules: Vec<String> = sites
            .iter()
            .map(|(name, addr)| format!("MAP {name} {addr}"))
            .collect();
        rules.push("MAP * ~NOTFOUND".to_owned());
        let mut command = Command::new("sh");
        command.arg("-c").arg(PIPED).arg(chromium);
        dress(&mut command, &rules.join(", "), profile.path());
        command
            .arg("--remote-debugging-pipe")
            .arg(format!(
                "--ignore-certificate-errors-spki-list={}",
                identity.key_hash()
            ))
            .stdin(Stdio::piped());
        let mut running = Running::start(&mut command);
        Some(Self {
            pipe: running.stdin().unwrap(),
            running,
            sent: 0,
            read: 0,
            _profile: profile,
        })
    }

    /// Opens a tab and navigates as if the user had typed the address.
    pub(super) async fn open(&mut self, url: &str) -> Tab {
        let blank = json!({"url": "about:blank"});
        let created = self.call(None, "Target.createTarget", blank).await.unwrap();
        let target = created["targetId"].as_str().unwrap();
        let tab = self.attach(target).await;
        self.go(&tab, url).await;
        tab
    }

    /// Navigates in the same tab, and waits until the page is loaded.
    pub(super) async fn go(&mut self, tab: &Tab, url: &str) {
        let went = self
            .call(Some(tab), "Page.navigate", json!({"url": url}))
            .await
            .unwrap();
        assert_eq!(went["errorText"], Value::Null, "{}", self.complaints());
        self.until(tab, "document.readyState === 'complete'").await;
    }

    /// The frame of another site with this address.
    pub(super) async fn frame(&mut self, url: &str) -> Tab {
        let target = soon(async {
            loop {
                let all = self.call(None, "Target.getTargets", json!({})).await;
                let all = all.unwrap();
                let mut all = all["targetInfos"].as_array().unwrap().iter();
                let frame = all.find(|info| info["type"] == "iframe" && info["url"] == url);
                if let Some(frame) = frame {
                    return frame["targetId"].as_str().unwrap().to_owned();
                }
            }
        })
        .await;
        self.attach(&target).await
    }

    async fn attach(&mut self, target: &str) -> Tab {
        let how = json!({"targetId": target, "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", how).await.unwrap();
        Tab {
            session: attached["sessionId"].as_str().unwrap().to_owned(),
        }
    }

    /// Brings a tab to the front: a hidden tab plays nothing.
    pub(super) async fn show(&mut self, tab: &Tab) {
        let shown = self.call(Some(tab), "Page.bringToFront", json!({})).await;
        shown.unwrap();
    }

    /// Runs a script in a page. Returns its value, once its promise is resolved.
    pub(super) async fn run(&mut self, tab: &Tab, script: &str) -> Value {
        let value = self.try_run(tab, script).await;
        value.unwrap_or_else(|error| panic!("{error}; Chromium: {}", self.complaints()))
    }

    /// Waits until an expression is true in a page, whichever page the tab shows by then.
    pub(super) async fn until(&mut self, tab: &Tab, expression: &str) {
        // A script that runs while the tab leaves a page fails.
        soon(async { while self.try_run(tab, expression).await != Ok(Value::Bool(true)) {} }).await;
    }

    /// The addresses in the history of the tab.
    pub(super) async fn history(&mut self, tab: &Tab) -> Vec<String> {
        let history = self
            .call(Some(tab), "Page.getNavigationHistory", json!({}))
            .await
            .unwrap();
        let entries = history["entries"].as_array().unwrap().iter();
        let urls = entries.map(|entry| entry["url"].as_str().unwrap().to_owned());
        urls.filter(|url| url != "about:blank").collect()
    }

    async fn try_run(&mut self, tab: &Tab, script: &str) -> Result<Value, String> {
        let params = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true
        });
        let mut ran = self.call(Some(tab), "Runtime.evaluate", params).await?;
        match ran.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(ran["result"]["value"].take()),
        }
    }

    /// Sends a message and waits for its answer. One is under way at a time, and events are
    /// ignored.
    async fn call(
        &mut self,
        tab: Option<&Tab>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(tab) = tab {
            message["sessionId"] = Value::from(tab.session.clone());
        }
        let sent = self.pipe.write_all(format!("{message}\0").as_bytes());
        sent.unwrap_or_else(|error| panic!("{error}; Chromium: {}", self.complaints()));
        let read = self.read;
        let all = self
            .running
            .out
            .until(|all| answer(all, read, id).is_some());
        let all = all.await;
        let (mut answer, end) = answer(&all, read, id).unwrap();
        self.read = end;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer["result"].take()),
        }
    }

    fn complaints(&self) -> String {
        self.running.err.text()
    }
}

impl ThirdParty {
    fn write(self, profile: &Path) {
        let preferences = match self {
            Self::Any => json!({"profile": {"cookie_controls_mode": 0}}),
            Self::Partitioned => {
                json!({"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": true}})
            }
        };
        let folder = profile.join("Default");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("Preferences"), preferences.to_string()).unwrap();
    }
}

/// The answer to message `id` in the output after `read`, and the place of its end.
fn answer(all: &str, read: usize, id: u64) -> Option<(Value, usize)> {
    let mut end = read;
    for message in all.get(read..)?.split_inclusive('\0') {
        end += message.len();
        let message: Value = serde_json::from_str(message.strip_suffix('\0')?).unwrap();
        if message["id"] == id {
            return Some((message, end));
        }
    }
    None
}
