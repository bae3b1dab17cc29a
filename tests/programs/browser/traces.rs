//! The traces of a link in a real browser: its own entry in the history, and nothing on any later
//! page or server.

use super::devtools::Tab;
use super::sites::{CRM, LOGIN, OTHER, World, bad_link, good_link, stable};

/// The address from which the user came, as a page can read it.
const REFERRER: &str = "document.referrer";

impl World {
    /// Follows a link on the CRM's page, in the same tab.
    async fn follow(&mut self, tab: &Tab, url: &str) {
        let click = format!(
            r#"(() => {{
                const link = document.createElement("a");
                link.href = "{url}";
                document.body.append(link);
                link.click();
                return true;
            }})()"#
        );
        self.chromium.run(tab, &click).await;
    }

    async fn arrive(&mut self, tab: &Tab, url: &str) {
        let there =
            format!("location.href.startsWith(\"{url}\") && document.readyState === 'complete'");
        self.chromium.until(tab, &there).await;
    }

    /// Asserts that no site received the token, in an address or in any field.
    fn assert_untold(&self, token: &str) {
        for site in [CRM, OTHER, LOGIN] {
            for visit in self.web.visits(site) {
                assert!(!visit.url.contains(token), "{site}: an address");
                for (name, value) in &visit.headers {
                    let told = String::from_utf8_lossy(value.as_bytes());
                    assert!(!told.contains(token), "{site}: {name}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_page_after_a_link_gets_no_referrer_or_token() {
    let Some(mut world) = World::new("", |builder| builder).await else {
        return;
    };
    let (link, token) = good_link();
    let tab = world.chromium.open(&format!("{CRM}/calls")).await;
    world.follow(&tab, &link).await;
    world.arrive(&tab, &link).await;
    assert!(world.plays_by_itself(&tab).await);
    let next = format!("{OTHER}/next");
    world.follow(&tab, &next).await;
    world.arrive(&tab, &next).await;

    assert_eq!(world.chromium.run(&tab, REFERRER).await, "");
    let visits = world.web.visits(&next);
    assert_eq!(visits.len(), 1);
    assert!(!visits[0].headers.contains_key("referer"));
    world.assert_untold(&token);
    let history = world.chromium.history(&tab).await;
    assert_eq!(history, [format!("{CRM}/calls"), link, next]);

    // A page without that policy does send the field, so it is not just missing here.
    let last = format!("{OTHER}/last");
    world.follow(&tab, &last).await;
    world.arrive(&tab, &last).await;
    let visits = world.web.visits(&last);
    assert_eq!(visits[0].headers["referer"], format!("{OTHER}/next"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_link_leads_to_sign_in_without_its_token() {
    let login = format!("login_url = \"{LOGIN}/start?rd={{return}}\"");
    let world = World::new("", |builder| builder.lines("[auth]", &login)).await;
    let Some(mut world) = world else {
        return;
    };
    let (link, token) = bad_link();
    let tab = world.chromium.open(&format!("{CRM}/calls")).await;
    world.follow(&tab, &link).await;
    world.arrive(&tab, &link).await;
    let title = world.chromium.run(&tab, "document.title").await;
    assert_eq!(title, "This link is not valid any more");
    world
        .chromium
        .run(&tab, "document.querySelector('a').click()")
        .await;
    world.arrive(&tab, LOGIN).await;

    assert_eq!(world.chromium.run(&tab, REFERRER).await, "");
    let visits = world.web.visits(LOGIN);
    assert_eq!(visits.len(), 1);
    assert!(!visits[0].headers.contains_key("referer"));
    let back = url::Url::parse(&visits[0].url).unwrap();
    let back: Vec<_> = back.query_pairs().into_owned().collect();
    assert_eq!(back, [("rd".to_owned(), stable())]);
    world.assert_untold(&token);
    let history = world.chromium.history(&tab).await;
    assert_eq!(
        history,
        [format!("{CRM}/calls"), link, visits[0].url.clone()]
    );
}
