//! The session cookie in a real browser. It works in pages and frames of the CRM's site if
//! configured, always on the gateway's own site, and on no other.

use serde_json::{Value, json};

use super::devtools::{Tab, ThirdParty};
use super::sites::{CRM, OTHER, PORTAL, World, stable};
use crate::harness::session::ORIGIN;
use crate::harness::{Builder, jwt};

/// The title of the page for a caller without a session.
const NOBODY: &str = "Sign in to hear this recording";

impl World {
    /// Exchanges alice's token on a page, as a CRM's script does.
    async fn sign_in(&mut self, tab: &Tab) {
        let bearer = format!("Bearer {}", jwt("alice"));
        let how = json!({
            "method": "POST", "credentials": "include", "headers": {"Authorization": bearer}
        });
        assert_eq!(self.session(tab, &how).await["status"], 204);
    }

    async fn sign_out(&mut self, tab: &Tab) {
        let how = json!({"method": "DELETE", "credentials": "include"});
        assert_eq!(self.session(tab, &how).await["status"], 204);
    }

    async fn session(&mut self, tab: &Tab, how: &Value) -> Value {
        self.fetch(tab, &format!("{ORIGIN}/session"), how).await
    }

    /// The status of a script's request for the recording, with the cookie if the browser has one.
    async fn status(&mut self, tab: &Tab) -> Value {
        let how = json!({"credentials": "include"});
        self.fetch(tab, &stable(), &how).await["status"].take()
    }

    /// Puts the recording into a frame of a page. `name` distinguishes the frame from others.
    async fn embed(&mut self, tab: &Tab, name: &str) -> Tab {
        let url = format!("{}?frame={name}", stable());
        let script = format!(
            r#"new Promise((done) => {{
                const frame = document.createElement("iframe");
                frame.allow = "autoplay";
                frame.src = "{url}";
                frame.onload = () => done(true);
                document.body.append(frame);
            }})"#
        );
        assert_eq!(self.chromium.run(tab, &script).await, true);
        self.chromium.frame(&url).await
    }

    async fn title(&mut self, tab: &Tab) -> Value {
        self.chromium.run(tab, "document.title").await
    }
}

/// All sites are listed, so that only the cookie decides.
fn origins() -> String {
    format!("origins = [\"{CRM}\", \"{OTHER}\", \"{PORTAL}\"]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_session_plays_only_inside_its_own_crm() {
    // Also where the browser accepts no other third-party cookies.
    let (cookies, partitioned) = (ThirdParty::Partitioned, "embed = \"partitioned\"");
    let listing = |builder: Builder| builder.lines("[cors]", &origins());
    let world = World::with_cookies(cookies, partitioned, listing).await;
    let Some(mut world) = world else {
        return;
    };
    let crm = world.chromium.open(&format!("{CRM}/calls")).await;
    assert_eq!(world.status(&crm).await, 401);
    world.sign_in(&crm).await;
    assert_eq!(world.status(&crm).await, 200);
    let said = world.plays(&crm, &stable(), "use-credentials").await;
    assert_eq!(said, "plays");
    let frame = world.embed(&crm, "crm").await;
    assert!(world.plays_by_itself(&frame).await);
    // An element without `crossorigin` sends the cookie but no origin, as one of any site could.
    let said = world.plays(&crm, &stable(), "").await;
    assert_eq!(said, "error 4");

    // The other site is listed, too, but it has no session.
    let other = world.chromium.open(&format!("{OTHER}/calls")).await;
    assert_eq!(world.status(&other).await, 401);
    let frame = world.embed(&other, "other").await;
    assert_eq!(world.title(&frame).await, NOBODY);
    // A tab of the gateway's own site has no session either.
    let own = world.chromium.open(&stable()).await;
    assert_eq!(world.title(&own).await, NOBODY);

    // Signing out on another site does not end this session; signing out here does.
    world.sign_out(&other).await;
    assert_eq!(world.status(&crm).await, 200);
    world.sign_out(&crm).await;
    assert_eq!(world.status(&crm).await, 401);
    let frame = world.embed(&crm, "crm-after").await;
    assert_eq!(world.title(&frame).await, NOBODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_same_site_session_plays_on_its_site_and_after_a_click() {
    let world = World::new("", |builder| builder.lines("[cors]", &origins())).await;
    let Some(mut world) = world else {
        return;
    };
    // The browser accepts no such cookie on a page of another site, whatever the answer sets.
    let crm = world.chromium.open(&format!("{CRM}/calls")).await;
    world.sign_in(&crm).await;
    assert_eq!(world.status(&crm).await, 401);
    let frame = world.embed(&crm, "crm").await;
    assert_eq!(world.title(&frame).await, NOBODY);

    let portal = world.chromium.open(&format!("{PORTAL}/calls")).await;
    world.sign_in(&portal).await;
    assert_eq!(world.status(&portal).await, 200);
    assert_eq!(world.plays(&portal, &stable(), "").await, "plays");

    // The user now has a session, but still not on the CRM's page.
    world.chromium.show(&crm).await;
    assert_eq!(world.status(&crm).await, 401);
    let said = world.plays(&crm, &stable(), "use-credentials").await;
    assert_eq!(said, "error 4");
    let frame = world.embed(&crm, "crm-after").await;
    assert_eq!(world.title(&frame).await, NOBODY);
    let click = format!("location.href = \"{}\"; true", stable());
    world.chromium.run(&crm, &click).await;
    assert!(world.plays_by_itself(&crm).await);
}
