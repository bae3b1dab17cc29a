//! The audit log: a decision before the first byte of an answer, and a delivery line with the
//! outcome when the answer really ended. That a decision is also synced to the disk before the
//! answer is tested in `tests/programs/disk.rs`.

mod crash;
mod failure;
mod files;
mod report;
mod tampering;

use std::path::PathBuf;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::audit::{audio_begins, lines, of_kind, until, verified};
use crate::harness::{Answer, Gateway, ISSUER, NAME, PBX, gateway, jwt, link, soon};

const SECONDS: u32 = 3;

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(SECONDS));
    let builder = builder.switch(Switch::DownloadWithLength);
    builder.start().await.unwrap()
}

async fn audited(pbx: &Simulator) -> Gateway {
    gateway(pbx).cache().audit().start().await
}

fn dir(gateway: &Gateway) -> PathBuf {
    crate::harness::audit::dir(gateway.folder())
}

fn id(answer: &Answer) -> Value {
    answer.header("x-request-id").unwrap().into()
}

/// The decision and delivery lines of a request, once it has ended.
async fn ended(gateway: &Gateway, id: &Value) -> (Value, Value) {
    let dir = dir(gateway);
    soon(async {
        loop {
            let of_request = |kind| {
                let mut lines = of_kind(&dir, kind).into_iter();
                lines.find(|line| line["id"] == *id)
            };
            if let (Some(decision), Some(delivery)) =
                (of_request("decision"), of_request("delivery"))
            {
                assert_eq!(delivery["decision"], decision["seq"]);
                return (decision, delivery);
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_download_is_logged_as_a_decision_and_a_delivery() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    let token = jwt("alice");
    let answer = gateway.get(NAME).bearer(&token).send().await;
    let id = id(&answer);
    let received = answer.bytes().await.unwrap();

    let (decision, delivery) = ended(&gateway, &id).await;
    let expected = json!({
        "kind": "decision", "id": id, "source": "127.0.0.1", "issuer": ISSUER, "subject": "alice",
        "credential": "bearer", "jti": decision["jti"], "action": "listen", "method": "GET", "pbx": PBX, "recording": NAME,
        "range": null, "allowed": true, "policies": ["line-1"], "reason": null,
        "seq": decision["seq"], "prev": decision["prev"], "time": decision["time"],
    });
    assert_eq!(decision, expected);
    assert!(decision["jti"].is_string());
    let time: jiff::Timestamp = decision["time"].as_str().unwrap().parse().unwrap();
    assert_eq!(decision["time"], format!("{time:.3}"));
    let expected = json!({
        "kind": "delivery", "id": id, "decision": decision["seq"], "status": 200, "outcome": "complete",
        "first": 0, "bytes": received.len(),
        "audio": {"begin": audio_begins(&received), "end": received.len(), "bytes_per_second": wav::BYTES_PER_SECOND},
        "heard_ms": SECONDS * 1000,
        "seq": delivery["seq"], "prev": delivery["prev"], "time": delivery["time"],
    });
    assert_eq!(delivery, expected);
}

#[tokio::test]
async fn a_decision_is_written_before_the_pbx_is_asked() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    pbx.hold_downloads(0);
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let waiting = tokio::spawn(call.try_send());
    soon(pbx.until(|seen| seen.tickets_issued == 1)).await;
    let decisions = of_kind(&dir(&gateway), "decision");
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["subject"], "alice");
    assert_eq!(of_kind(&dir(&gateway), "delivery"), Vec::<Value>::new());

    // A caller who leaves before an answer also leaves a delivery line.
    waiting.abort();
    let (_, delivery) = ended(&gateway, &decisions[0]["id"]).await;
    assert_eq!(
        (&delivery["status"], &delivery["bytes"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(delivery["outcome"], "downstream-gone");
}

#[tokio::test]
async fn the_log_has_the_bytes_of_ranges_head_requests_and_304s() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    let token = jwt("alice");
    let whole = gateway.get(NAME).bearer(&token).send().await;
    let tag = whole.header("etag").unwrap().to_owned();
    let whole = whole.bytes().await.unwrap();
    let (begin, length) = (audio_begins(&whole), whole.len());
    let rate = u64::from(wav::BYTES_PER_SECOND);

    let part = |range: &str| gateway.get(NAME).bearer(&token).header("range", range);
    let rows = [
        (
            &*format!("bytes=0-{}", begin - 1),
            206,
            json!(0),
            begin,
            json!(0),
        ),
        ("bytes=0-1", 206, json!(0), 2, json!(0)),
        (
            &*format!("bytes={begin}-{}", begin + rate - 1),
            206,
            json!(begin),
            rate,
            json!(1000),
        ),
        (
            "bytes=-8000",
            206,
            json!(length - 8000),
            8000,
            json!(8_000_000 / rate),
        ),
        (
            &*format!("bytes={length}-"),
            416,
            json!(null),
            0,
            json!(null),
        ),
    ];
    for (range, status, first, bytes, heard) in rows {
        let answer = part(range).send().await;
        assert_eq!(answer.status(), status, "{range}");
        let id = id(&answer);
        drop(answer.bytes().await);
        let (decision, delivery) = ended(&gateway, &id).await;
        assert_eq!(decision["range"], range);
        let told = (
            &delivery["status"],
            &delivery["first"],
            &delivery["bytes"],
            &delivery["heard_ms"],
        );
        assert_eq!(
            told,
            (&json!(status), &first, &json!(bytes), &heard),
            "{range}"
        );
    }

    let target = format!("/recordings/{NAME}");
    let head = gateway
        .request(Method::HEAD, &target)
        .bearer(&token)
        .send()
        .await;
    let unchanged = gateway
        .get(NAME)
        .bearer(&token)
        .header("if-none-match", &tag);
    for (answer, status, method) in [(head, 200, "HEAD"), (unchanged.send().await, 304, "GET")] {
        let (decision, delivery) = ended(&gateway, &id(&answer)).await;
        assert_eq!(decision["method"], method);
        assert_eq!(delivery["status"], status);
        assert_eq!(
            (&delivery["bytes"], &delivery["heard_ms"]),
            (&json!(0), &json!(null))
        );
        assert_eq!(delivery["outcome"], "complete");
    }
}

#[tokio::test]
async fn a_denial_is_one_line_and_costs_the_pbx_nothing() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    let other = "20260302091407-1772442845.1203-1001-1003-Outbound.wav";
    let target = format!("/recordings/{other}?link={}", link(PBX, NAME));
    let answer = gateway.request(Method::GET, &target).send().await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let decisions = of_kind(&dir(&gateway), "decision");
    assert_eq!(decisions.len(), 1);
    let denied = &decisions[0];
    assert_eq!(denied["id"], id(&answer));
    assert_eq!(
        (&denied["allowed"], &denied["credential"]),
        (&json!(false), &json!("link"))
    );
    assert_eq!(
        (&denied["recording"], &denied["subject"]),
        (&json!(other), &json!("bob"))
    );
    assert_eq!(denied["reason"], "the link is for another recording");
    let folder = dir(&gateway);
    assert!(gateway.app.shut_down().await);
    assert_eq!(of_kind(&folder, "delivery"), Vec::<Value>::new());
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn a_list_is_one_decision_and_the_number_of_its_rows() {
    let pbx = Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let pbx = pbx.start().await.unwrap();
    let gateway = audited(&pbx).await;
    let answer = gateway
        .request(Method::GET, "/recordings")
        .bearer(&jwt("alice"))
        .send()
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id = id(&answer);
    let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let (decision, delivery) = ended(&gateway, &id).await;
    assert_eq!(
        (&decision["action"], &decision["recording"]),
        (&json!("list"), &json!(null))
    );
    assert_eq!(
        delivery["rows"],
        page["recordings"].as_array().unwrap().len()
    );
    assert_eq!(delivery["outcome"], "complete");
}

#[tokio::test]
async fn a_missing_recording_is_logged_as_not_found() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    pbx.remove_recording(NAME);
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let (_, delivery) = ended(&gateway, &id(&answer)).await;
    assert_eq!(
        (&delivery["status"], &delivery["outcome"]),
        (&json!(404), &json!("recording-not-found"))
    );
}

#[tokio::test]
async fn the_log_has_no_heard_time_for_an_mp3() {
    let recording = wav::mp3(3);
    let name = NAME.replace(".wav", ".mp3");
    let pbx = Simulator::builder(Api::SSeries200).recording(&name, recording.clone());
    let pbx = pbx.start().await.unwrap();
    let gateway = audited(&pbx).await;
    let answer = gateway.get(&name).bearer(&jwt("alice")).send().await;
    let id = id(&answer);
    assert!(answer.bytes().await.unwrap() == recording);
    let (_, delivery) = ended(&gateway, &id).await;
    assert_eq!(delivery["bytes"], recording.len());
    assert_eq!(
        (&delivery["audio"], &delivery["heard_ms"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test]
async fn refusals_without_a_valid_credential_are_only_counted() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    for token in ["", "a.b.c", "nonsense"] {
        let answer = gateway.get(NAME).bearer(token).send().await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let folder = dir(&gateway);
    assert!(gateway.app.shut_down().await);
    let refused = of_kind(&folder, "refused");
    let counts = refused.iter().map(|line| line["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 3);
    assert!(refused.iter().all(|line| line["source"] == "127.0.0.1"));
    assert_eq!(of_kind(&folder, "decision"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_start_and_a_reload_log_version_policy_and_keys() {
    let pbx = pbx().await;
    let gateway = audited(&pbx).await;
    let folder = dir(&gateway);
    gateway.fetch(NAME).await;
    let config = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("id = \"crm\"", "id = \"crm2\"")).unwrap();
    gateway.reload().unwrap();
    let starts = until(&folder, "start", 2).await;
    assert_eq!(starts[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(starts[0]["policy"], starts[1]["policy"]);
    assert_ne!(starts[0]["keys"], starts[1]["keys"]);
    assert!(starts[0]["seq"].as_u64() < of_kind(&folder, "decision")[0]["seq"].as_u64());
    assert!(gateway.app.shut_down().await);
    let kinds: Vec<Value> = lines(&folder)
        .iter()
        .map(|line| line["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["file", "start", "decision", "delivery", "start", "head"]
    );
    verified(&folder, &[]).await;
}
