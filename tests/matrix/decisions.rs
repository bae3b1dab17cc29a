//! Eight principals, twelve recordings, three ways to ask: one table of decisions and of the
//! policies that make them. Every cell is compared with the server, with `explain`, and with the
//! policies themselves.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wavegate::auth::Authenticator;
use wavegate::limits::rate::Counted;
use wavegate::policy::{Action, Context, Policy, PolicyError};
use wavegate::simulator::Simulator;

use crate::harness::audit::{dir, of_kind};
use crate::harness::policies::{STARTERS, listed, pbx};
use crate::harness::programs::run_wavegate;
use crate::harness::session::{ORIGIN, call};
use crate::harness::{Gateway, gateway, jwt_of, link_of, write_secret};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER_ISSUER: &str = "https://office.test";

/// All principals, and the claims of their tokens.
fn principals() -> [(&'static str, Value); 8] {
    [
        (
            "alice",
            json!({"roles": ["agent"], "extensions": ["office/1001"], "tenant": "office"}),
        ),
        (
            "bob",
            json!({"extensions": "office/1002", "tenant": "office"}),
        ),
        ("carol", json!({"roles": "supervisor", "tenant": "office"})),
        ("dave", json!({"roles": ["supervisor"], "tenant": "branch"})),
        (
            "erin",
            json!({"extensions": ["branch/1001"], "tenant": "branch"}),
        ),
        ("frank", json!({})),
        (
            "grace",
            json!({"roles": ["agent", "supervisor"], "extensions": ["office/1001"], "tenant": "office"}),
        ),
        // A token of the issuer for one PBX, which names an extension by its number alone.
        (
            "heidi",
            json!({"roles": ["Supervisor"], "extensions": ["1003"], "tenant": "office"}),
        ),
    ]
}

/// A PBX, the part of a name after the epoch, the age of the call, and a row of cells for each way
/// to ask.
///
/// O: own-calls, S: supervisors, L: links; forbidden by a: not-too-old, f: no-links-for-frank, n:
/// no-sharing, t: tenant-of-pbx; a dash: no policy permits it; x: the issuer's tokens are not for
/// this PBX. A principal who may not hear a recording may not share it, for the same reason.
type Row = (&'static str, &'static str, Age, [&'static str; 3]);

#[derive(Clone, Copy, PartialEq)]
enum Age {
    Yesterday,
    Years,
    /// The name has another form, without a time.
    Untold,
}

use Age::{Untold, Years, Yesterday};

const LINKED: &str = "L  L  L  L  L  f  L  L";
const OLD_LINKED: &str = "a  a  a  a  a  fa a  a";
const OLD: &str = "a  a  a  at at at a  a";

#[rustfmt::skip]
const TABLE: [Row; 12] = [
    //                                                   alice bob carol dave erin frank grace heidi
    ("office", "1001-1003-Internal.wav",       Yesterday, ["O  -  S  t  t  t  OS O", LINKED, "n  -  S  t  t  t  OS n"]),
    ("office", "1001-0205550147-Outbound.wav", Yesterday, ["O  -  S  t  t  t  OS -", LINKED, "n  -  S  t  t  t  OS -"]),
    ("office", "0205550147-1001-Inbound.wav",  Yesterday, ["O  -  S  t  t  t  OS -", LINKED, "n  -  S  t  t  t  OS -"]),
    // An outside caller who shows the number of an extension.
    ("office", "1001-1002-Inbound.wav",        Yesterday, ["-  O  S  t  t  t  S  -", LINKED, "-  n  S  t  t  t  S  -"]),
    // A queue with 1001 and 1002.
    ("office", "0205550148-6400-Inbound.wav",  Yesterday, ["O  O  S  t  t  t  OS -", LINKED, "n  n  S  t  t  t  OS -"]),
    ("office", "1003-6400-Internal.wav",       Yesterday, ["O  O  S  t  t  t  OS O", LINKED, "n  n  S  t  t  t  OS n"]),
    ("office", "1002-1001-Outbound.wav",       Yesterday, ["-  O  S  t  t  t  S  -", LINKED, "-  n  S  t  t  t  S  -"]),
    ("office", "1001-1003-Internal.wav",       Years,     [OLD, OLD_LINKED, OLD]),
    // Six fields: the name has the time of the call, but not its parties.
    ("office", "49-1001-1003-Internal.wav",    Yesterday, ["-  -  S  t  t  t  S  -", LINKED, "-  -  S  t  t  t  S  -"]),
    ("office", "hello001",                     Untold,    [OLD, OLD_LINKED, OLD]),
    ("branch", "1001-1004-Internal.wav",       Yesterday, ["t  t  t  S  O  t  t  x", LINKED, "t  t  t  S  n  t  t  x"]),
    // The queue of the other PBX.
    ("branch", "0205550149-6400-Inbound.wav",  Yesterday, ["t  t  t  S  -  t  t  x", LINKED, "t  t  t  S  -  t  t  x"]),
];

/// All starter policies, including the commented ones, and two that distinguish the three ways to
/// ask.
fn policies() -> String {
    let (open, commented) = STARTERS.split_once("// @id(\"not-too-old\")").unwrap();
    let rest = commented.lines().map(|line| {
        let is_text = line.starts_with("// One ") || line.starts_with("// Links ");
        line.strip_prefix("// ")
            .filter(|_| !is_text)
            .unwrap_or(line)
    });
    let rest: Vec<&str> = rest.collect();
    format!(
        "{open}@id(\"not-too-old\"){}\n\
         @id(\"no-links-for-frank\") forbid (principal, action, resource)\n\
         when {{ context.credential == \"link\" && principal.subject == \"frank\" }};\n\
         @id(\"no-sharing\") forbid (principal, action == Wavegate::Action::\"share\", resource)\n\
         unless {{ principal.roles.contains(\"supervisor\") }};\n",
        rest.join("\n")
    )
}

/// A day ago, so that the gateway does not wait for a recording that may still be written.
static A_DAY_AGO: LazyLock<u64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() - 86_400
});

fn file_name(rest: &str, age: Age, row: usize) -> String {
    match age {
        Yesterday => format!("20261001000000-{}.{row}-{rest}", *A_DAY_AGO),
        Years => format!("20170901181806-1504261084.{row}-{rest}"),
        Untold => rest.to_owned(),
    }
}

/// The decision that a code stands for, as `explain` and the policies report it.
fn meaning(code: &str) -> (bool, Vec<&'static str>) {
    let mut policies: Vec<&str> = code
        .chars()
        .filter_map(|letter| match letter {
            'O' => Some("own-calls"),
            'S' => Some("supervisors"),
            'L' => Some("links"),
            'a' => Some("not-too-old"),
            'f' => Some("no-links-for-frank"),
            'n' => Some("no-sharing"),
            't' => Some("tenant-of-pbx"),
            '-' | 'x' => None,
            other => panic!("{other}"),
        })
        .collect();
    policies.sort_unstable();
    (code.contains(['O', 'S', 'L']), policies)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Bearer,
    Link,
    Share,
}

/// One request, and its decision in the table.
#[derive(Clone)]
struct Cell {
    who: &'static str,
    pbx: &'static str,
    name: String,
    way: Way,
    token: String,
    allowed: bool,
    policies: Vec<&'static str>,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, (pbx, rest, age, ways)) in TABLE.into_iter().enumerate() {
        let name = file_name(rest, age, row);
        for (way, codes) in [Way::Bearer, Way::Link, Way::Share].into_iter().zip(ways) {
            let codes: Vec<&str> = codes.split_whitespace().collect();
            assert_eq!(codes.len(), 8, "{rest} {way:?}");
            for ((who, claims), code) in principals().into_iter().zip(codes) {
                let (allowed, policies) = meaning(code);
                let issuer = match who {
                    "heidi" => OTHER_ISSUER,
                    _ => crate::harness::ISSUER,
                };
                let token = match way {
                    Way::Link => link_of(who, pbx, &name, None),
                    Way::Bearer | Way::Share => jwt_of(issuer, who, claims),
                };
                cells.push(Cell {
                    who,
                    pbx,
                    name: name.clone(),
                    way,
                    token,
                    allowed,
                    policies,
                });
            }
        }
    }
    assert_eq!(cells.len(), 8 * 12 * 3);
    cells
}

async fn start() -> (Gateway, [Simulator; 2]) {
    let names = |pbx: &str| {
        let rows = TABLE.into_iter().enumerate();
        let rows = rows.filter(|(_, row)| row.0 == pbx);
        rows.map(|(index, (_, rest, age, _))| file_name(rest, age, index))
            .collect::<Vec<_>>()
    };
    let (of_office, of_branch) = (names("office"), names("branch"));
    let office = pbx(of_office.iter().map(String::as_str)).await;
    let branch = pbx(of_branch.iter().map(String::as_str)).await;
    let gateway = gateway(&office)
        .set("server.public_url", ORIGIN)
        .set("links.signing_key", "crm")
        .audit()
        .policies(&policies())
        .lines("[policy]", &format!(
            "[[auth.issuer]]\nname = \"{OTHER_ISSUER}\"\naudiences = [\"recordings\"]\npbxs = [\"office\"]\n\
             [[auth.issuer.key]]\nid = \"one\"\nalgorithm = \"HS256\"\nsecret_file = \"bearer\""
        ))
        .beside("branch", &branch)
        .set("pbx.groups.6400", ["1001", "1002"])
        .start()
        .await;
    (gateway, [office, branch])
}

/// The decision of the policies, for a principal that was authenticated as in a request.
fn decided(authenticator: &Authenticator, policy: &Policy, cell: &Cell) -> (bool, Vec<String>) {
    let mut headers = HeaderMap::new();
    let query = match cell.way {
        Way::Link => Some(format!("link={}", cell.token)),
        Way::Bearer | Way::Share => {
            let field = format!("Bearer {}", cell.token);
            headers.insert(AUTHORIZATION, field.parse().unwrap());
            None
        }
    };
    let now = SystemTime::now();
    let caller = authenticator.authenticate(&headers, query.as_deref(), SOURCE, now);
    let principal = caller.unwrap().principal().clone();
    let action = match cell.way {
        Way::Share => Action::Share,
        Way::Bearer | Way::Link => Action::Listen,
    };
    let context = Context {
        source: SOURCE,
        now,
    };
    let name = cell.name.parse().unwrap();
    match policy.authorize(
        Counted::unlimited(principal),
        action,
        cell.pbx,
        name,
        &context,
    ) {
        Ok(grant) => (true, owned(grant.policies())),
        Err(PolicyError::Denied { policies, failures }) => {
            assert!(failures.is_empty());
            (false, owned(&policies))
        }
        Err(PolicyError::PbxOutOfReach) => (false, Vec::new()),
        Err(error) => panic!("{error}"),
    }
}

fn owned(ids: &[impl ToString]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

/// The decision of the server, and the id of the request.
async fn served(gateway: &Gateway, cell: &Cell) -> (bool, String) {
    let target = format!("/pbx/{}/recordings/{}", cell.pbx, cell.name);
    let call = match cell.way {
        Way::Link => call(
            gateway,
            Method::GET,
            &format!("{target}?link={}", cell.token),
        ),
        Way::Bearer => call(gateway, Method::GET, &target).bearer(&cell.token),
        Way::Share => {
            let wish = json!({"recording": cell.name, "pbx": cell.pbx});
            let call = call(gateway, Method::POST, "/links").bearer(&cell.token);
            call.json(&wish.to_string())
        }
    };
    let answer = call.send().await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    let allowed = match cell.way {
        Way::Bearer | Way::Link => StatusCode::OK,
        Way::Share => StatusCode::CREATED,
    };
    if answer.status() == allowed {
        answer.bytes().await.expect("whole");
        return (true, id);
    }
    assert_eq!(answer.problem().await.slug, "recording-denied");
    (false, id)
}

/// The only decision in the audit log for a request, after a check of its action and resource.
fn written(decisions: &[Value], id: &str, cell: &Cell) -> (bool, Vec<String>) {
    let mut of_request = decisions.iter().filter(|decision| decision["id"] == id);
    let decision = of_request.next().unwrap();
    assert_eq!(of_request.count(), 0);
    let action = match cell.way {
        Way::Share => "share",
        Way::Bearer | Way::Link => "listen",
    };
    assert_eq!(decision["action"], action);
    assert_eq!(decision["pbx"], cell.pbx);
    assert_eq!(decision["recording"], json!(cell.name));
    let ids = decision["policies"].as_array().unwrap().iter();
    let ids = ids.map(|id| id.as_str().unwrap().to_owned());
    (decision["allowed"].as_bool().unwrap(), ids.collect())
}

/// The decision that `wavegate explain` prints.
async fn explained(config: PathBuf, cell: Cell, number: usize) -> (bool, Vec<String>) {
    let token = config.with_file_name(format!("token-{number}"));
    write_secret(&token, &cell.token);
    let (kind, action) = match cell.way {
        Way::Bearer => ("bearer", "listen"),
        Way::Link => ("link", "listen"),
        Way::Share => ("bearer", "share"),
    };
    let ended = run_wavegate(&[
        "explain",
        "--config",
        config.to_str().unwrap(),
        "--pbx",
        cell.pbx,
        "--recording",
        &cell.name,
        "--action",
        action,
        "--kind",
        kind,
        "--token-file",
        token.to_str().unwrap(),
    ])
    .await;
    assert_eq!(ended.err, "");
    assert!(!ended.out.contains(&cell.token));
    let mut lines = ended.out.lines();
    let allowed = lines.next() == Some("allow");
    assert_eq!(ended.code, Some(i32::from(!allowed)));
    let policies = lines.filter_map(|line| line.strip_prefix("by policy "));
    let id = |line: &str| line.split(' ').next().unwrap().to_owned();
    (allowed, policies.map(id).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_explain_and_log_decide_as_the_table_says() {
    let (gateway, pbxs) = start().await;
    let parts = gateway.load().unwrap();
    let (auth, skew) = (parts.auth, parts.config.auth.skew);
    let authenticator = Authenticator::new(auth.issuers, auth.links, skew);
    let path = gateway.folder().join("wavegate.toml");
    let cells = cells();
    let (slots, mut running) = (Arc::new(Semaphore::new(4)), JoinSet::new());
    for (number, cell) in cells.iter().cloned().enumerate() {
        let (slots, path) = (Arc::clone(&slots), path.clone());
        running.spawn(async move {
            let _slot = slots.acquire().await.unwrap();
            let expected = (cell.allowed, cell.policies.clone());
            let (who, name, way) = (cell.who, cell.name.clone(), cell.way);
            let (allowed, policies) = explained(path, cell, number).await;
            let told = (allowed, policies.iter().map(String::as_str).collect());
            assert_eq!(told, expected, "explain: {who} {name} {way:?}");
        });
    }
    let expect = |place: &str, cell: &Cell, (allowed, policies): (bool, Vec<String>)| {
        let told = (allowed, policies.iter().map(String::as_str).collect());
        let expected = (cell.allowed, cell.policies.clone());
        let (who, name, way) = (cell.who, &cell.name, cell.way);
        assert_eq!(told, expected, "{place}: {who} {name} {way:?}");
    };
    let mut ids = Vec::new();
    for cell in &cells {
        expect("policy", cell, decided(&authenticator, &parts.policy, cell));
        let (allowed, id) = served(&gateway, cell).await;
        expect("server", cell, (allowed, owned(&cell.policies)));
        ids.push(id);
    }
    let decisions = of_kind(&dir(gateway.folder()), "decision");
    for (cell, id) in cells.iter().zip(&ids) {
        expect("audit", cell, written(&decisions, id, cell));
    }
    while let Some(cell) = running.join_next().await {
        cell.unwrap();
    }
    // A denied request costs the PBX no download, and neither does a link that is made.
    let downloads: u64 = pbxs.iter().map(|pbx| pbx.seen().requests.download).sum();
    let allowed = cells
        .iter()
        .filter(|cell| cell.allowed && cell.way != Way::Share);
    assert_eq!(downloads, allowed.count() as u64);
}

#[tokio::test]
async fn a_list_shows_only_recordings_its_reader_may_hear() {
    let (gateway, _pbxs) = start().await;
    let mut compared = 0;
    for (who, _) in principals() {
        let cells = cells();
        let mine = cells
            .iter()
            .filter(|cell| cell.who == who && cell.way == Way::Bearer && cell.pbx == "office");
        // The simulated PBX lists only calls whose names have the usual form.
        let mut expected: Vec<&str> = mine
            .clone()
            .filter(|cell| cell.allowed && cell.name.split('-').count() == 5)
            .map(|cell| cell.name.as_str())
            .collect();
        let token = &mine.clone().next().unwrap().token;
        let mut seen = listed(&gateway, token, "from=2016-01-01&to=2100-01-01").await;
        seen.sort_unstable();
        expected.sort_unstable();
        compared += expected.len();
        assert_eq!(seen, expected, "{who}");
    }
    assert!(compared > 10, "{compared}");
}
