//! The list: one shape for every kind of PBX, nothing in it that the caller may not hear, and no short page that passes
//! for a whole one.

mod access;
mod faults;
mod filters;
mod memory;
mod switches;
mod walk;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{Api, CallRecord, Simulator};

use crate::harness::{Answer, Gateway, PBX, Problem, gateway, jwt};

/// Holds all calls that the tests make up, and more.
pub(crate) const WINDOW: &str = "from=2026-01-01&to=2026-06-01";

/// Those whose PBX has a list.
pub(crate) const APIS: [Api; 5] = [
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
    Api::PSeries,
];

/// A page of a list, checked for its form.
pub(crate) struct Page {
    pub(crate) entries: Vec<Value>,
    pub(crate) next: Option<String>,
    /// Where the `Link` field leads.
    pub(crate) link: Option<String>,
}

async fn ask(gateway: &Gateway, target: &str) -> Answer {
    let call = gateway.request(Method::GET, target);
    call.bearer(&jwt("alice")).send().await
}

/// Gets a page as `alice`.
pub(crate) async fn page(gateway: &Gateway, target: &str) -> Result<Page, Problem> {
    let answer = ask(gateway, target).await;
    if answer.status() != StatusCode::OK {
        return Err(answer.problem().await);
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let link = answer.header("link").map(|link| {
        let link = link.strip_prefix('<').unwrap();
        link.strip_suffix(">; rel=\"next\"").unwrap().to_owned()
    });
    let mut document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let next = document["next"].as_str().map(str::to_owned);
    assert_eq!(next.is_some(), link.is_some());
    assert!(next.is_some() || document["next"].is_null());
    let Value::Array(entries) = document["recordings"].take() else {
        panic!("no array");
    };
    Ok(Page {
        entries,
        next,
        link,
    })
}

/// Gets the pages of a list one after the other, by their cursors, until there is none any more.
///
/// # Errors
/// The slug of the first problem.
pub(crate) async fn walk(gateway: &Gateway, path: &str, query: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut target = format!("{path}?{query}");
    for _ in 0..1_000 {
        let page = page(gateway, &target)
            .await
            .map_err(|problem| problem.slug)?;
        all.extend(page.entries);
        match page.next {
            Some(cursor) => target = format!("{path}?{query}&cursor={cursor}"),
            None => return Ok(all),
        }
    }
    panic!("a list without end");
}

/// A call as a list shows it, of a PBX in UTC and a gateway without a public address.
pub(crate) fn entry(call: &CallRecord, nulls: &[&str]) -> Value {
    let name = &call.recording;
    let started = jiff::Timestamp::from_second(call.started).unwrap();
    let mut entry = json!({
        "name": name,
        "url": format!("/pbx/{PBX}/recordings/{name}"),
        "pbx": PBX,
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        "caller": call.caller,
        "callee": call.callee,
        "direction": call.direction.to_lowercase(),
        "duration_s": call.duration_s,
        "size_bytes": call.size,
        "call_id": name.split('-').nth(1).unwrap(),
    });
    for field in nulls {
        entry[field] = Value::Null;
    }
    entry
}

/// The fields that a list of this PBX does not have.
pub(crate) fn unsaid(api: Api) -> &'static [&'static str] {
    if api == Api::PSeries {
        &[]
    } else {
        &["size_bytes"]
    }
}

/// The names in a list.
pub(crate) fn names(entries: &[Value]) -> Vec<&str> {
    let name = |entry: &Value| entry["name"].as_str().unwrap().len();
    assert!(entries.iter().all(|entry| name(entry) > 0));
    entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

/// A PBX that remembers so many calls, each a minute after the one before.
pub(crate) async fn pbx(api: Api, calls: u32) -> Simulator {
    let calls = (0..calls).map(|number| CallRecord::numbered(number, 0));
    let builder = Simulator::builder(api).calls(calls);
    builder.start().await.unwrap()
}

const ODD: &str = "20260302101407-1772442845.1203-+49 30 1*#-1003-Inbound.wav";

#[tokio::test]
async fn every_pbx_has_a_list_of_the_same_shape() {
    for api in APIS {
        let odd = CallRecord {
            recording: ODD.to_owned(),
            started: 1_772_442_845,
            caller: "+49 30 1*#".to_owned(),
            callee: "1003".to_owned(),
            direction: "Inbound".to_owned(),
            duration_s: 12,
            size: 192_308,
        };
        let unrecorded = CallRecord {
            recording: String::new(),
            ..odd.clone()
        };
        let pbx = Simulator::builder(api)
            .utc_offset_s(3_600)
            .calls([odd, unrecorded])
            .start()
            .await
            .unwrap();
        let gateway = gateway(&pbx)
            .set("server.public_url", "https://calls.test:8443")
            .set("pbx.time_zone", "Europe/Berlin")
            .start()
            .await;
        let call = gateway.request(Method::GET, &format!("/recordings?{WINDOW}"));
        let call = call.bearer(&jwt("alice")).header("host", "calls.test:8443");
        let body = call.send().await.bytes().await.unwrap();
        let size = if api == Api::PSeries {
            json!(192_308)
        } else {
            Value::Null
        };
        let expected = json!({
            "recordings": [{
                "name": ODD,
                "url": "https://calls.test:8443/pbx/office/recordings/\
                        20260302101407-1772442845.1203-%2B49%2030%201%2A%23-1003-Inbound.wav",
                "pbx": "office",
                "started_at": "2026-03-02T10:14:05+01:00",
                "caller": "+49 30 1*#",
                "callee": "1003",
                "direction": "inbound",
                "duration_s": 12,
                "size_bytes": size,
                "call_id": "1772442845.1203",
            }],
            "next": null,
        });
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document, expected, "{api}");
    }
}

#[tokio::test]
async fn what_is_listed_can_be_fetched_at_its_address() {
    for api in APIS {
        let pbx = Simulator::builder(api)
            .recording(ODD, wavegate::simulator::wav::music(1))
            .start()
            .await
            .unwrap();
        let gateway = gateway(&pbx).start().await;
        let list = walk(&gateway, "/recordings", WINDOW).await.unwrap();
        let url = list[0]["url"].as_str().unwrap();
        let answer = ask(&gateway, url).await;
        assert_eq!(answer.bytes().await.ok(), pbx.recording_bytes(ODD), "{api}");
    }
}

#[tokio::test]
async fn a_link_leads_to_the_next_page_with_everything_kept() {
    for api in APIS {
        let pbx = pbx(api, 5).await;
        let gateway = gateway(&pbx).start().await;
        let mut target = format!("/recordings?{WINDOW}&direction=internal&order=asc&page_size=2");
        let mut all = Vec::new();
        loop {
            let page = page(&gateway, &target).await.unwrap();
            assert!(page.entries.len() <= 2, "{api}");
            all.extend(page.entries);
            match page.link {
                Some(link) => target = link,
                None => break,
            }
            assert!(
                target.starts_with(&format!("/pbx/{PBX}/recordings?{WINDOW}&")),
                "{target}"
            );
        }
        let expected: Vec<Value> = (0..5)
            .map(|number| entry(&CallRecord::numbered(number, 0), unsaid(api)))
            .collect();
        assert_eq!(all, expected, "{api}");
    }
}

#[tokio::test]
async fn nothing_is_a_list_too() {
    for api in APIS {
        let pbx = pbx(api, 0).await;
        let gateway = gateway(&pbx).start().await;
        let list = walk(&gateway, "/recordings", WINDOW).await;
        assert_eq!(list, Ok(vec![]), "{api}");
    }
}
