//! The documented answers of a PBX, in `tests/fixtures`, beside the simulator's in the same case.
//!
//! Compares the form of both: status, header fields, JSON members with their types, words and
//! numbers, and columns. The secrets, ids and lengths may differ. `src/pbx/dialect/fixtures.rs`
//! feeds the same files to the dialects. So dialects and simulator are compared with answers that
//! neither of them wrote. A case is a call with the calls that must come before it. For a known
//! difference its row has a switch of the simulator.

mod p_series;
mod s_series;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wavegate::simulator::{Api, Builder, CallRecord, Simulator, Switch, wav};

/// The recording that most fixtures name.
const NAME: &str = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
/// The second one in lists and tables.
const LATER: &str = "20260302091709-1772443021.1205-0205550148-1001-Inbound.wav";

/// The simulator with the calls of the fixtures, without TLS.
fn simulator(api: Api, switches: &[Switch]) -> Builder {
    let unanswered = CallRecord {
        recording: String::new(),
        started: 1_772_442_960,
        caller: "1002".to_owned(),
        callee: "0205550147".to_owned(),
        direction: "Outbound".to_owned(),
        duration_s: 0,
        size: 0,
    };
    let builder = Simulator::builder(api)
        .recording(NAME, wav::music(3))
        .recording(LATER, wav::music(2))
        .calls([unanswered])
        .switch(Switch::PlainHttp);
    switches.iter().copied().fold(builder, Builder::switch)
}

/// An answer, from the simulator or from a file.
#[derive(Debug)]
struct RawAnswer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl RawAnswer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").expect("a head and a body");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Self {
            status: status.parse().unwrap(),
            fields: lines.map(field).collect(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A member that must be a string.
    fn text(&self, member: &str) -> String {
        let json = self.json();
        let text = json[member].as_str();
        text.unwrap_or_else(|| panic!("no {member}: {json}"))
            .to_owned()
    }
}

/// A file of `tests/fixtures`.
fn file(path: &str) -> String {
    let path = format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Sends a request on a connection of its own, and reads until the PBX closes it.
async fn ask(addr: SocketAddr, method: &str, target: &str, body: &str) -> RawAnswer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: OpenAPI\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let (head, body) = split(&answer);
    RawAnswer::read(&format!("{}\n\n{body}", head.replace("\r\n", "\n")))
}

fn split(answer: &[u8]) -> (&str, &str) {
    let text = std::str::from_utf8(answer).unwrap();
    text.split_once("\r\n\r\n").unwrap()
}

/// The difference in form between `fixture` and `answer`, if any. The answer may also have the
/// members `besides`.
fn difference(fixture: &RawAnswer, answer: &RawAnswer, besides: &[&str]) -> Option<String> {
    if fixture.status / 100 != answer.status / 100 {
        return Some(format!("status {}", answer.status));
    }
    let missing = fixture
        .fields
        .iter()
        .find(|field| !answer.fields.contains(field));
    if let Some(field) = missing {
        return Some(format!("no field {field:?} in {:?}", answer.fields));
    }
    match fixture.body.starts_with('{') {
        true => json_difference(&fixture.json(), &answer.json(), besides),
        false => table_difference(&fixture.body, &answer.body),
    }
}

fn json_difference(fixture: &Value, answer: &Value, besides: &[&str]) -> Option<String> {
    let documented = types(fixture);
    let mut found = types(answer);
    found.retain(|(path, _)| !besides.contains(&path.as_str()));
    if documented != found {
        let differing = documented.symmetric_difference(&found);
        return Some(format!(
            "members differ: {:?}",
            differing.collect::<Vec<_>>()
        ));
    }
    let (documented, found) = (leaves(fixture), leaves(answer));
    let mut pairs = documented
        .iter()
        .map(|(path, value)| (path, value, &found[path]));
    let differing = pairs.find(|(path, value, other)| !are_alike(path, value, other));
    differing.map(|(path, value, other)| format!("{path} is {other}, not like {value}"))
}

/// The path of each member, and the type of its value. Elements of a list share a path.
fn types(value: &Value) -> BTreeSet<(String, &'static str)> {
    fn walk(path: &str, value: &Value, into: &mut BTreeSet<(String, &'static str)>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(elements) => {
                let path = format!("{path}[]");
                elements
                    .iter()
                    .for_each(|element| walk(&path, element, into));
                "array"
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{name}"), member, into);
                }
                "object"
            }
        };
        into.insert((path.to_owned(), kind));
    }
    let mut types = BTreeSet::new();
    walk("", value, &mut types);
    types
}

/// The value of each member that holds no others; for a list, the members of its first element.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Array(elements) => {
                elements
                    .iter()
                    .take(1)
                    .for_each(|element| walk(path, element, into));
            }
            Value::Object(members) => {
                for (name, member) in members {
                    walk(name, member, into);
                }
            }
            leaf => {
                into.insert(path.to_owned(), leaf.clone());
            }
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}

/// Whether a member has the same value, or the same form for values that each PBX chooses itself.
fn are_alike(member: &str, documented: &Value, found: &Value) -> bool {
    let (Some(one), Some(other)) = (documented.as_str(), found.as_str()) else {
        return matches!(member, "id" | "duration" | "size") || documented == found;
    };
    let both = |holds: fn(&str) -> bool| holds(one) && holds(other);
    match member {
        "token" | "refreshtoken" | "random" => both(|text| {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == 32 && text.bytes().all(digit)
        }),
        "access_token" | "refresh_token" => {
            both(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        }
        // The report method, which an administrator chooses.
        "transport" => both(|text| matches!(text, "TCP" | "HTTP")),
        // The start of the call in 14 digits, and five more.
        "uid" => one.len() == other.len() && one[..14] == other[..14],
        // The order of day and month, which an administrator chooses.
        "time" => form(one) == form(other),
        // A name followed by a number; only the number must match.
        "call_from" | "call_to" => {
            one[one.find('<').unwrap()..] == other[other.find('<').unwrap()..]
        }
        "download_resource_url" => {
            let ends = |text: &str| {
                let folder = text.split("Recording-").next().unwrap().to_owned();
                (folder, text.rsplit('.').next().unwrap().to_owned())
            };
            ends(one) == ends(other)
        }
        "call_from_name" | "call_to_name" | "archive_status" | "archive_path" | "archive_type"
        | "file_path" => true,
        _ => one == other,
    }
}

/// A text with every digit as 9.
fn form(text: &str) -> String {
    text.replace(|letter: char| letter.is_ascii_digit(), "9")
}

/// Compares the columns word for word, and the agreed cells of each call.
fn table_difference(fixture: &str, answer: &str) -> Option<String> {
    let header = |table: &str| table.lines().next().unwrap_or_default().to_owned();
    if header(fixture) != header(answer) {
        return Some(format!("columns {}", header(answer)));
    }
    let width = header(fixture).split(',').count();
    let odd = answer.lines().find(|row| row.split(',').count() != width);
    if let Some(row) = odd {
        return Some(format!("a row of another width: {row}"));
    }
    let (documented, found) = (calls(fixture), calls(answer));
    (documented != found).then(|| format!("calls {found:?}, not {documented:?}"))
}

/// The cells of each call on which both must agree.
fn calls(table: &str) -> BTreeSet<Vec<String>> {
    const SAID: [&str; 6] = [
        "timestart",
        "callfrom",
        "callto",
        "status",
        "type",
        "recording",
    ];
    let mut lines = table.lines();
    let columns: Vec<_> = lines.next().unwrap().split(',').collect();
    let place = |name| columns.iter().position(|column| *column == name).unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.split(',').collect();
        SAID.map(|name| cells[place(name)].to_owned()).to_vec()
    };
    lines.map(row).collect()
}

/// The rows of a table of error numbers: each number, and the words beside it.
fn refusals(path: &str) -> BTreeMap<String, String> {
    let table = file(path);
    let rows = table
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap());
    rows.map(|(number, words)| (number.to_owned(), words.to_owned()))
        .collect()
}

#[test]
fn an_answer_of_another_form_is_told() {
    let fixture = RawAnswer::read(&file("s-series-2.0.0/login-ok.http"));
    let login = |head: &str, body: &str| {
        let head = head.replace('|', "\n");
        difference(
            &fixture,
            &RawAnswer::read(&format!("{head}\n\n{body}")),
            &["sn"],
        )
    };
    let head = "HTTP/1.1 200 OK|Connection: close|Content-Type: application/json\
                |Access-control-allow-origin: *\
                |Access-control-allow-methods: GET, POST, OPTIONS, PUT, DELETE";
    let token = "0".repeat(32);
    let body = |token: &str| {
        format!(r#"{{"status":"Success","token":{token},"transport":"HTTP","sn":1}}"#)
    };
    let good = body(&format!("\"{token}\""));
    assert_eq!(login(head, &good), None);
    assert!(login(&head.replace("200", "404"), &good).is_some());
    assert!(login(&head.replace("application/json", "text/html"), &good).is_some());
    assert!(login(&head.replace("|Connection: close", ""), &good).is_some());
    assert!(login(head, &good.replace("Success", "success")).is_some());
    assert!(login(head, &good.replace("transport", "transports")).is_some());
    assert!(login(head, &body("1")).is_some());
    assert!(login(head, &body(&format!("\"{token}0\""))).is_some());

    let table = RawAnswer::read(&file("s-series-1.1.0/table.http")).body;
    assert_eq!(table_difference(&table, &table), None);
    for (from, to) in [
        ("callduraction", "callduration"),
        (",,ANSWERED", ",ANSWERED"),
        ("NO ANSWER", "MISSED"),
    ] {
        assert!(table_difference(&table, &table.replacen(from, to, 1)).is_some());
    }
}
