//! Access of other sites' pages with a link or a bearer token in a real browser: a page of any site
//! can play a link, and only the scripts of a listed origin can read the answers.
//!
//! The gateway and the sites have names, certificates and the usual ports, from Chromium's view.

use http::StatusCode;
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::devtools::{Chromium, Tab, ThirdParty};
use super::web::{LEADS, Web};
use crate::harness::admin::number;
use crate::harness::session::{ORIGIN, with_sessions};
use crate::harness::tls::Identity;
use crate::harness::{Builder, Gateway, NAME, PBX, jwt, link, link_from, soon};

pub(super) use crate::harness::session::CRM;

/// A site that is listed only in some tests.
pub(super) const OTHER: &str = "https://other.test";
/// Another host of the gateway's own site.
pub(super) const PORTAL: &str = "https://portal.recordings.test";
pub(super) const LOGIN: &str = "https://login.test";
const NAMES: [&str; 5] = [
    "recordings.test",
    "crm.test",
    "other.test",
    "portal.recordings.test",
    "login.test",
];

/// Plays an element, and returns whether it plays.
const PLAYING: &str = r#"(element) => new Promise((done) => {
    const look = () => {
        if (element.error) done("error " + element.error.code);
        else if (element.currentTime > 0.2) done("plays");
    };
    element.addEventListener("timeupdate", look);
    element.addEventListener("error", look);
    element.play().catch(() => {});
    look();
})"#;

/// A browser, the gateway, and the sites around it.
pub(super) struct World {
    pub(super) pbx: Simulator,
    pub(super) gateway: Gateway,
    pub(super) web: Web,
    pub(super) chromium: Chromium,
}

impl World {
    /// One with lines of `[session]`, and more settings. `None` if Chromium is not installed.
    pub(super) async fn new(session: &str, more: impl FnOnce(Builder) -> Builder) -> Option<Self> {
        Self::with_cookies(ThirdParty::Any, session, more).await
    }

    /// The same, with another setting for third-party cookies.
    pub(super) async fn with_cookies(
        third_party: ThirdParty,
        session: &str,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Option<Self> {
        let identity = Identity::of(&NAMES);
        let pbx = Simulator::builder(Api::SSeries200)
            .recording(NAME, wav::music(3))
            .switch(Switch::DownloadWithLength)
            .start()
            .await
            .unwrap();
        let builder = more(with_sessions(&pbx, session)).tls(&identity);
        let gateway = builder.start().await;
        let web = Web::start(&identity).await;
        let sites = NAMES.map(|name| match name {
            "recordings.test" => (name, gateway.tls_addr()),
            name => (name, web.addr),
        });
        Some(Self {
            chromium: Chromium::start(&sites, &identity, third_party)?,
            pbx,
            gateway,
            web,
        })
    }

    /// Whether an audio element plays on a page; `crossorigin` may be empty.
    pub(super) async fn plays(&mut self, tab: &Tab, url: &str, crossorigin: &str) -> String {
        let script = format!(
            r#"(() => {{
                const call = document.createElement("audio");
                if ("{crossorigin}") call.crossOrigin = "{crossorigin}";
                call.src = "{url}";
                return ({PLAYING})(call);
            }})()"#
        );
        let said = self.chromium.run(tab, &script).await;
        said.as_str().unwrap().to_owned()
    }

    /// Whether the browser's own player plays in a tab or a frame that shows only a recording.
    pub(super) async fn plays_by_itself(&mut self, tab: &Tab) -> bool {
        let player = "document.querySelector('video') !== null";
        self.chromium.until(tab, player).await;
        let script = format!("({PLAYING})(document.querySelector('video'))");
        self.chromium.run(tab, &script).await == "plays"
    }

    /// The data that a script on a page can read of an answer: its status, length and fields, or an
    /// error.
    pub(super) async fn fetch(&mut self, tab: &Tab, url: &str, how: &Value) -> Value {
        let script = format!(
            r#"(async () => {{
                const answer = await fetch("{url}", {how});
                const bytes = (await answer.arrayBuffer()).byteLength;
                const fields = Object.fromEntries(answer.headers);
                return {{ type: answer.type, status: answer.status, bytes, fields }};
            }})().catch((error) => String(error))"#
        );
        self.chromium.run(tab, &script).await
    }

    /// The number of downloads that the PBX has seen.
    pub(super) fn downloads(&self) -> u64 {
        self.pbx.seen().requests.download
    }
}

/// The address of the recording, without a credential.
pub(super) fn stable() -> String {
    format!("{ORIGIN}/pbx/{PBX}/recordings/{NAME}")
}

/// A link to it, and its token.
pub(super) fn good_link() -> (String, String) {
    let token = link(PBX, NAME);
    (format!("{}?link={token}", stable()), token)
}

/// A link that works from an address that no test uses.
pub(super) fn bad_link() -> (String, String) {
    let token = link_from(PBX, NAME, Some("203.0.113.7".parse().unwrap()));
    (format!("{}?link={token}", stable()), token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_plays_anywhere_but_with_crossorigin_only_if_listed() {
    let Some(mut world) = World::new("", |builder| builder).await else {
        return;
    };
    let (link, _) = good_link();
    for (site, readable) in [(CRM, true), (OTHER, false)] {
        let tab = world.chromium.open(&format!("{site}/calls")).await;
        assert_eq!(world.plays(&tab, &link, "").await, "plays", "{site}");
        for crossorigin in ["anonymous", "use-credentials"] {
            let said = world.plays(&tab, &link, crossorigin).await;
            assert_eq!(said == "plays", readable, "{site} {crossorigin} {said}");
        }
    }
}

/// As docs/crm.md recommends: the CRM stores an address of its own, which redirects to a fresh link
/// each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_a_crm_that_leads_to_a_link_plays_in_its_player() {
    let Some(mut world) = World::new("", |builder| builder).await else {
        return;
    };
    let (link, _) = good_link();
    for (site, readable) in [(CRM, true), (OTHER, false)] {
        let tab = world.chromium.open(&format!("{site}/calls")).await;
        let address = format!("{site}{LEADS}?{link}");
        assert_eq!(world.plays(&tab, &address, "").await, "plays", "{site}");
        let said = world.plays(&tab, &address, "anonymous").await;
        assert_eq!(said == "plays", readable, "{site} {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_scripts_of_listed_origins_read_a_recording() {
    let Some(mut world) = World::new("", |builder| builder).await else {
        return;
    };
    let (link, _) = good_link();
    let whole = world.pbx.recording_bytes(NAME).unwrap().len();
    let bearer = format!("Bearer {}", jwt("alice"));
    let part = json!({"headers": {"Authorization": bearer, "Range": "bytes=0-99"}});

    let crm = world.chromium.open(&format!("{CRM}/calls")).await;
    let read = world.fetch(&crm, &link, &json!({})).await;
    assert_eq!(
        (&read["status"], &read["bytes"]),
        (&json!(200), &json!(whole))
    );
    let read = world.fetch(&crm, &stable(), &part).await;
    assert_eq!(
        (&read["status"], &read["bytes"]),
        (&json!(206), &json!(100))
    );
    let fields = &read["fields"];
    assert_eq!(fields["content-range"], format!("bytes 0-99/{whole}"));
    for field in [
        "accept-ranges",
        "content-disposition",
        "content-length",
        "etag",
        "x-request-id",
    ] {
        assert!(fields[field].is_string(), "{field}");
    }
    // Problems can be read, too.
    let read = world.fetch(&crm, &stable(), &json!({})).await;
    assert_eq!(read["status"], 401);
    assert!(read["fields"]["x-request-id"].is_string());

    let other = world.chromium.open(&format!("{OTHER}/calls")).await;
    let nothing = "TypeError: Failed to fetch";
    let before = world.downloads();
    for how in [&part, &json!({"method": "DELETE"})] {
        assert_eq!(world.fetch(&other, &stable(), how).await, nothing);
    }
    // The browser sent a preflight, and then no request.
    assert_eq!(world.downloads(), before);
    for url in [&link, &stable()] {
        for credentials in ["omit", "include"] {
            let how = json!({"credentials": credentials});
            assert_eq!(world.fetch(&other, url, &how).await, nothing);
        }
    }
    // A request without the right to read its answer reveals nothing to the script.
    let blind = json!({"mode": "no-cors"});
    let seen = world.fetch(&other, &link, &blind).await;
    let opaque = json!({"type": "opaque", "status": 0, "bytes": 0, "fields": {}});
    assert_eq!(seen, opaque);
    assert_eq!(world.fetch(&other, &stable(), &blind).await, nothing);
    let timing = format!(
        r#"performance.getEntriesByType("resource").filter((entry) => entry.name.startsWith("{ORIGIN}"))
            .map((entry) => [entry.responseStart, entry.responseStatus, entry.transferSize, entry.encodedBodySize])"#
    );
    let timing = world.chromium.run(&other, &timing).await;
    let timing = timing.as_array().unwrap();
    assert!(!timing.is_empty());
    assert!(timing.iter().all(|entry| *entry == json!([0, 0, 0, 0])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefetched_link_gets_no_audio_until_it_is_opened() {
    let Some(mut world) = World::new("", |builder| builder).await else {
        return;
    };
    let (link, _) = good_link();
    let tab = world.chromium.open(&format!("{CRM}/calls")).await;
    let ahead = format!(
        r#"new Promise((done) => {{
            const ahead = document.createElement("link");
            ahead.rel = "prefetch";
            ahead.href = "{link}";
            ahead.onload = () => done("loaded");
            ahead.onerror = () => done("error");
            document.head.append(ahead);
        }})"#
    );
    assert_eq!(world.chromium.run(&tab, &ahead).await, "error");
    assert_eq!(world.downloads(), 0);
    let refused = format!(
        "wavegate_requests_total{{route=\"/pbx/{{pbx}}/recordings/{{name}}\",status=\"{}\"}}",
        StatusCode::FORBIDDEN.as_u16()
    );
    let admin = world.gateway.app.admin_address();
    assert_eq!(number(admin, &refused).await, 1);

    let rules = json!({"prefetch": [{"urls": [link]}]});
    let ahead = format!(
        r#"(() => {{
            const ahead = document.createElement("script");
            ahead.type = "speculationrules";
            ahead.textContent = JSON.stringify({rules});
            document.head.append(ahead);
            return true;
        }})()"#
    );
    world.chromium.run(&tab, &ahead).await;
    soon(async { while number(admin, &refused).await < 2 {} }).await;
    assert_eq!(world.downloads(), 0);

    let click = format!("location.href = \"{link}\"; true");
    world.chromium.run(&tab, &click).await;
    assert!(world.plays_by_itself(&tab).await);
    assert!(world.downloads() > 0);
}
