//! Lists of recordings: pages whose form is checked, and PBXs that have lists.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{Api, CallRecord, Simulator};

use super::{Answer, Gateway, PBX, Problem, jwt};

/// A window that contains all calls of the tests.
pub(crate) const WINDOW: &str = "from=2026-01-01&to=2026-06-01";

/// The APIs whose PBX has a list.
pub(crate) const APIS: [Api; 5] = [
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
    Api::PSeries,
];

/// A page of a list, after a check of its form.
pub(crate) struct Page {
    pub(crate) entries: Vec<Value>,
    pub(crate) next: Option<String>,
    /// The target of the `Link` field.
    pub(crate) link: Option<String>,
}

pub(crate) async fn ask(gateway: &Gateway, target: &str) -> Answer {
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

/// Gets the pages of a list one after the other, by their cursors, until the last.
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

/// A PBX with this many calls, each a minute after the one before.
pub(crate) async fn pbx(api: Api, calls: u32) -> Simulator {
    let calls = (0..calls).map(|number| CallRecord::numbered(number, 0));
    let builder = Simulator::builder(api).calls(calls);
    builder.start().await.unwrap()
}
