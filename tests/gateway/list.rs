//! The list: one form for every kind of PBX, no recording that the caller may not hear, and no
//! shortened page that looks complete.

mod access;
mod filters;

use http::Method;
use serde_json::{Value, json};
use wavegate::simulator::{Api, CallRecord, Simulator};

use crate::harness::list::{APIS, WINDOW, ask, entry, page, pbx, unsaid, walk};
use crate::harness::{PBX, gateway, jwt};

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
async fn a_listed_recording_is_fetched_at_its_address() {
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
async fn a_pbx_without_recordings_gives_an_empty_list() {
    for api in APIS {
        let pbx = pbx(api, 0).await;
        let gateway = gateway(&pbx).start().await;
        let list = walk(&gateway, "/recordings", WINDOW).await;
        assert_eq!(list, Ok(vec![]), "{api}");
    }
}
