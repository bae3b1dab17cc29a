//! Tests of the CDR over real sockets: its content, and the conditions for it.

use serde_json::{Value, json};

use super::client::{Client, ReceivedAnswer};
use super::*;
use crate::simulator::{CallRecord, CdrQuery};

mod form;

const WITH_CDR: &[Api] = &[
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
];
/// The offset of the box's local time: one hour to the east of UTC.
const OFFSET_S: i64 = 3_600;
/// The local day of the call of [`NAME`]. No numbered call lies in it.
const DAY: [&str; 2] = ["2026-03-02 00:00:00", "2026-03-02 23:59:59"];
const ALL: [&str; 2] = ["2026-01-01 00:00:00", "2026-12-31 23:59:59"];

/// A downloader of the CDR that is logged in.
struct CdrClient {
    http: Client,
    key: &'static str,
    token: String,
}

impl CdrClient {
    async fn of(pbx: &Simulator, api: Api) -> Self {
        let client = Client::of(pbx).api(api);
        let token = client.login().await.unwrap();
        Self::with_token(client, api, token)
    }

    fn with_token(client: Client, api: Api, token: String) -> Self {
        let newer = matches!(api, Api::SSeries200 | Api::Cloud200);
        let key = if newer { "number" } else { "extid" };
        let http = client;
        Self { http, key, token }
    }

    async fn random_for(&self, body: Value) -> Result<String, String> {
        let path = self
            .http
            .path(&format!("cdr/get_random?token={}", self.token));
        self.http.value(&path, body, "random").await
    }

    async fn random(&self, who: &str, [start, end]: [&str; 2]) -> Result<String, String> {
        let body = json!({self.key: who, "starttime": start, "endtime": end});
        self.random_for(body).await
    }

    fn path(&self, who: &str, [start, end]: [&str; 2], random: &str) -> String {
        let (key, token) = (self.key, &self.token);
        let query = format!(
            "cdr/download?{key}={who}&starttime={start}&endtime={end}&token={token}&random={random}"
        );
        self.http.path(&query.replace(' ', "%20"))
    }

    async fn download(&self, who: &str, times: [&str; 2], random: &str) -> ReceivedAnswer {
        let path = self.path(who, times, random);
        self.http.ask("GET", &path, "").await.unwrap()
    }

    async fn fetch(&self, who: &str, times: [&str; 2]) -> ReceivedAnswer {
        let random = self.random(who, times).await.unwrap();
        self.download(who, times, &random).await
    }
}

/// Starts a box with [`NAME`] and three numbered calls, of which the last has no recording.
async fn pbx(api: Api, switches: &[Switch]) -> Simulator {
    let mut calls: Vec<_> = (0..3)
        .map(|number| CallRecord::numbered(number, OFFSET_S))
        .collect();
    calls[2].recording.clear();
    calls[2].duration_s = 0;
    let mut builder = Simulator::builder(api).utc_offset_s(OFFSET_S).calls(calls);
    for &switch in switches {
        builder = builder.switch(switch);
    }
    builder
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

const OLD_HEADER: &str = "callid,timestart,callfrom,callto,callduraction,talkduraction,srctrunkname,dsttrunkname,\
    status,type,pincode,recording,didnumber,sn\n";
const NEW_HEADER: &str = "callid,timestart,callfrom,callto,callduraction,talkduraction,srctrunkname,dsttrcunkname,\
    pincode,status,type,recording,didnumber,agentringtime,sn\n";

#[tokio::test]
async fn the_cdr_has_every_call_of_the_period() {
    for &api in WITH_CDR {
        let pbx = pbx(api, &[]).await;
        let client = CdrClient::of(&pbx, api).await;
        let answer = client.fetch("all", ALL).await;
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(
            answer.field("content-type"),
            Some("application/octet-stream")
        );
        assert!(answer.ended_cleanly);
        let text = std::str::from_utf8(&answer.body).unwrap();
        let (header, last) = match client.key {
            "extid" => (OLD_HEADER, "NO ANSWER,Internal,,,,"),
            _ => (NEW_HEADER, ",NO ANSWER,Internal,,,0,"),
        };
        let start = "1767225600.0,2026-01-01 01:00:00,1000,2000,30,30,,,";
        let rows = text.strip_prefix(header).unwrap();
        assert!(rows.starts_with(start), "{rows}");
        assert!(rows.contains("20260101010002-1767225600.0-1000-2000-Internal.wav,"));
        let unrecorded = rows.lines().nth(2).unwrap();
        assert!(unrecorded.contains(last), "{unrecorded}");
        let named = rows.lines().nth(3).unwrap();
        assert!(named.starts_with("1772442845.1203,2026-03-02 10:14:05,1001,+44*3,3,3,"));
        assert_eq!((rows.lines().count(), rows.ends_with('\n')), (4, true));

        pbx.until(|seen| seen.cdr_rows_sent == 4).await;
        let seen = pbx.seen();
        assert_eq!(seen.cdr_bytes_sent, answer.body.len() as u64);
        assert_eq!((seen.cdr_tickets_issued, seen.cdr_tickets_used), (1, 1));
        assert_eq!((seen.tickets_issued, seen.bytes_sent), (0, 0));
        assert_eq!(
            (seen.requests.cdr_random, seen.requests.cdr_download),
            (1, 1)
        );
        let asked = CdrQuery {
            extensions: "all".into(),
            start: ALL[0].into(),
            end: ALL[1].into(),
            allowedip: None,
        };
        assert_eq!(seen.cdr_queries, [asked]);
    }
}

#[tokio::test]
async fn period_and_extensions_choose_the_calls_of_a_cdr() {
    let pbx = pbx(Api::Cloud200, &[]).await;
    let client = CdrClient::of(&pbx, Api::Cloud200).await;
    // The first and the last second belong to the period.
    let cases = [
        ("all", DAY, 1),
        ("all", ["2026-01-01 01:00:00", "2026-01-01 01:01:00"], 2),
        ("all", ["2026-01-01 01:00:01", "2026-01-01 01:00:59"], 0),
        ("all", ["2026-12-31 00:00:00", "2026-01-01 00:00:00"], 0),
        ("1000", ALL, 1),
        ("1000,2001", ALL, 2),
        ("7777", ALL, 0),
    ];
    for (who, times, rows) in cases {
        let answer = client.fetch(who, times).await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(text.lines().count(), rows + 1, "{who} {times:?}\n{text}");
    }
}

#[tokio::test]
async fn the_oldest_version_has_no_cdr() {
    let pbx = pbx(Api::SSeries101, &[]).await;
    let client = CdrClient::of(&pbx, Api::SSeries101).await;
    assert_eq!(client.random("all", ALL).await.unwrap_err(), "10003");
    assert_eq!(client.download("all", ALL, "0").await.errno(), "10003");
}

#[tokio::test]
async fn the_version_of_the_path_decides_the_form_of_a_cdr() {
    let pbx = pbx(Api::SSeries200, &[Switch::OlderPathsToo]).await;
    for (api, header) in [(Api::SSeries110, OLD_HEADER), (Api::SSeries200, NEW_HEADER)] {
        let answer = CdrClient::of(&pbx, api).await.fetch("all", ALL).await;
        assert!(answer.body.starts_with(header.as_bytes()), "{api}");
    }
    let client = CdrClient::of(&pbx, Api::SSeries101).await;
    assert_eq!(client.random("all", ALL).await.unwrap_err(), "10003");
}

#[tokio::test]
async fn a_missing_parameter_or_malformed_time_is_refused() {
    for &api in WITH_CDR {
        let pbx = pbx(api, &[]).await;
        let client = CdrClient::of(&pbx, api).await;
        let key = client.key;
        let other = if key == "extid" { "number" } else { "extid" };
        let [start, end] = ALL;
        let cases = [
            (json!({}), "10004"),
            (
                json!({other: "all", "starttime": start, "endtime": end}),
                "10004",
            ),
            (
                json!({key: " ", "starttime": start, "endtime": end}),
                "10004",
            ),
            (json!({key: "all", "starttime": start}), "10004"),
            (
                json!({key: "all", "starttime": "", "endtime": end}),
                "10004",
            ),
            (
                json!({key: "all", "starttime": "2026-01-01", "endtime": end}),
                "20007",
            ),
            (
                json!({key: "all", "starttime": start, "endtime": 1_767_225_600}),
                "20007",
            ),
        ];
        for (body, errno) in cases {
            let answer = client.random_for(body.clone()).await;
            assert_eq!(answer.unwrap_err(), errno, "{body}");
        }
        let path = client.http.path("cdr/get_random");
        for (method, token, body, errno) in [
            ("POST", "", "{}", "20005"),
            ("POST", "?token=0", "{}", "20004"),
            ("GET", "", "", "20001"),
        ] {
            let path = format!("{path}{token}");
            let answer = client.http.ask(method, &path, body).await.unwrap();
            assert_eq!(answer.errno(), errno);
        }
        assert_eq!(pbx.seen().cdr_tickets_issued, 0);
    }
}

#[tokio::test]
async fn a_cdr_ticket_opens_its_own_parameters_once() {
    let pbx = pbx(Api::SSeries200, &[]).await;
    let client = CdrClient::of(&pbx, Api::SSeries200).await;
    let random = async || client.random("all", ALL).await.unwrap();
    let refused = async |who, times, random: &str| {
        assert_eq!(client.download(who, times, random).await.errno(), "20013");
    };

    let good = random().await;
    let head = client.path("all", ALL, &good);
    let head = client.http.ask("HEAD", &head, "").await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    refused("all", ALL, &good).await;
    refused("all", ALL, "0").await;
    refused("all", DAY, &random().await).await;
    refused("1000", ALL, &random().await).await;
    let stale = random().await;
    pbx.expire_tickets();
    refused("all", ALL, &stale).await;

    // A ticket for a recording opens no CDR, and a ticket for a CDR opens no recording.
    let of_recording = client.http.get_random(&client.token, NAME).await.unwrap();
    refused("all", ALL, &of_recording).await;
    let of_cdr = random().await;
    let download = client.http.download(&client.token, NAME, &of_cdr).await;
    assert_eq!(download.unwrap().errno(), "20013");

    // A blank parameter and an ended token spend the ticket as well.
    let spent = random().await;
    assert_eq!(client.download(" ", ALL, &spent).await.errno(), "10004");
    refused("all", ALL, &spent).await;
    let spent = random().await;
    let path = client.path("all", ALL, &spent);
    let path = path.replace(&client.token, "0");
    let dead = client.http.ask("GET", &path, "").await.unwrap();
    assert_eq!(dead.errno(), "20004");
    refused("all", ALL, &spent).await;

    let path = client.path("all", ALL, &random().await);
    let put = client.http.ask("PUT", &path, "").await.unwrap();
    assert_eq!(put.errno(), "20001");
    let post = client.http.ask("POST", &path, "").await.unwrap();
    assert!(post.body.starts_with(NEW_HEADER.as_bytes()));
    assert_eq!(pbx.seen().cdr_tickets_refused, 9);
}

#[tokio::test]
async fn only_the_requester_and_the_allowed_address_get_the_cdr() {
    for (switch, expected) in [
        (None, ["20013", "", ""]),
        (Some(Switch::RequesterIsLoginPeer), ["20013", "", ""]),
        (Some(Switch::WrongAddressIs403Html), ["403", "", ""]),
    ] {
        let pbx = pbx(Api::SSeries110, switch.as_slice()).await;
        let client = CdrClient::of(&pbx, Api::SSeries110).await;
        let other = Client::of(&pbx).from([127, 0, 0, 2]);
        let other = CdrClient::with_token(other, Api::SSeries110, client.token.clone());
        let body = |ip: &str| json!({"extid": "all", "starttime": ALL[0], "endtime": ALL[1], "allowedip": ip});
        let asked = [
            client.random("all", ALL).await,
            client.random_for(body("127.0.0.2")).await,
        ];
        let mut outcomes = Vec::new();
        for random in asked {
            let answer = other.download("all", ALL, &random.unwrap()).await;
            let page = answer.status != 200;
            outcomes.push(if page {
                answer.status.to_string()
            } else {
                answer.errno()
            });
        }
        let random = client.random_for(body(" ")).await.unwrap();
        outcomes.push(client.download("all", ALL, &random).await.errno());
        assert_eq!(outcomes, expected, "{switch:?}");
        let values: Vec<_> = pbx
            .seen()
            .cdr_queries
            .into_iter()
            .map(|asked| asked.allowedip)
            .collect();
        let texts = ["127.0.0.2", " "].map(|ip| Some(ip.to_owned()));
        assert_eq!(values, [&[None][..], &texts].concat());
    }
}

#[tokio::test]
async fn under_its_switch_a_cdr_ticket_needs_its_token() {
    let pbx = pbx(Api::Cloud110, &[Switch::TokenBoundRandom]).await;
    let client = CdrClient::of(&pbx, Api::Cloud110).await;
    let other = CdrClient::of(&pbx, Api::Cloud110).await;
    let random = client.random("all", ALL).await.unwrap();
    assert_eq!(other.download("all", ALL, &random).await.errno(), "20013");
}

#[tokio::test]
async fn a_plus_sign_is_a_space_under_its_switch_only() {
    for (switch, errno) in [(Switch::PlusIsSpace, ""), (Switch::CdrWithLength, "20013")] {
        let pbx = pbx(Api::SSeries200, &[switch]).await;
        let client = CdrClient::of(&pbx, Api::SSeries200).await;
        let random = client.random("all", ALL).await.unwrap();
        let path = client.path("all", ALL, &random).replace("%20", "+");
        let answer = client.http.ask("GET", &path, "").await.unwrap();
        assert_eq!(answer.errno(), errno);
    }
}

#[tokio::test]
async fn a_cdr_get_random_may_lack_its_ticket_too() {
    for (switch, value) in [
        (Switch::MissingRandomField, Err("missing".to_owned())),
        (Switch::BlankRandomField, Ok(String::new())),
    ] {
        let pbx = pbx(Api::SSeries200, &[switch]).await;
        let client = CdrClient::of(&pbx, Api::SSeries200).await;
        assert_eq!(client.random("all", ALL).await, value);
    }
}
