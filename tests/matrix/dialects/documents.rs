//! The vendor's own documents, one per row: the sample in the document, requested from the PBX that
//! it describes.

use http::{Method, StatusCode};
use serde_json::Value;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{Gateway, gateway, jwt};

/// A page of the vendor, and its sample.
struct Document {
    title: &'static str,
    api: Api,
    /// The recording in its sample.
    name: &'static str,
    /// Lines of `[[pbx]]`.
    pbx: &'static str,
    /// The value of `allowedip` in its sample.
    allowed_ip: Option<&'static str>,
}

const DOCUMENTS: &[Document] = &[
    Document {
        title: "S-Series API Guide (1.0.1), Acquire Auto Recording files",
        api: Api::SSeries101,
        name: "20170901181806-1504261084.7-1001-1003-Internal.wav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "S-Series API Guide (1.0.1), Acquire Global Recording Files",
        api: Api::SSeries101,
        name: "20170914093038-1505352615.274-1000-91000-Outbound.wav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "S-Series API Guide (1.0.1), CDR",
        api: Api::SSeries101,
        name: "20170914092747-1505352445.265-102-1000-Inbound.wav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "S-Series Developer Guide (1.1.0), Get Recording Files, without allowedip",
        api: Api::SSeries110,
        name: "20170901181806-1504261084.7-1001-1003-Internal.wav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "S-Series Developer Guide (1.1.0), Get Recording Files, with allowedip",
        api: Api::SSeries110,
        name: "20170901181806-1504261084.7-1001-1003-Internal.wav",
        pbx: "allowed_ip = \"127.0.0.1\"",
        allowed_ip: Some("127.0.0.1"),
    },
    Document {
        title: "S-Series Developer Guide v2 (2.0.0), Get Recording Files",
        api: Api::SSeries200,
        name: "20170901181806-1504261084.7-1001-1003-Internal.wav",
        pbx: "allowed_ip = \"auto\"",
        allowed_ip: Some("127.0.0.1"),
    },
    Document {
        title: "Cloud PBX Developer Guide (1.1.0), Get Recording Files: an old name, WAV bytes",
        api: Api::Cloud110,
        name: "20180315201242-1521173562.46-203-201-Internal.yswav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "Cloud PBX Developer Guide v2 (2.0.0), recording/get_random",
        api: Api::Cloud200,
        name: "20170901181806-1504261084.7-1001-1003-Internal.wav",
        pbx: "allowed_ip = \"127.0.0.1\"",
        allowed_ip: Some("127.0.0.1"),
    },
    Document {
        title: "P-Series Developer Guide, Query Recording List: listed, and fetched",
        api: Api::PSeries,
        name: "20220113140906-1642054144.17-5555-5556-Internal.wav",
        pbx: "",
        allowed_ip: None,
    },
    Document {
        title: "P-Series Developer Guide, Download a Recording File",
        api: Api::PSeries,
        name: "20220112173629-1641980184.14-5566-5556-Internal.wav",
        pbx: "",
        allowed_ip: None,
    },
];

#[tokio::test]
async fn the_sample_of_every_document_comes_through() {
    for document in DOCUMENTS {
        let Document {
            title, api, name, ..
        } = document;
        let recording = wav::music(2);
        let builder = Simulator::builder(*api).recording(*name, recording.clone());
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).lines("[pbx]", document.pbx).start().await;
        let answer = gateway.get(name).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{title}");
        assert_eq!(answer.header("content-type"), Some("audio/wav"), "{title}");
        assert!(answer.bytes().await.unwrap() == recording, "{title}");
        let seen = pbx.seen();
        if *api != Api::PSeries {
            let sent = document.allowed_ip.map(str::to_owned);
            assert_eq!(seen.allowedip_values, [sent], "{title}");
        }
        assert_eq!((seen.tickets_issued, seen.tickets_used), (1, 1), "{title}");
        if *api != Api::SSeries101 {
            assert_eq!(listed(&gateway, name).await, [*name], "{title}");
        }
        assert!(gateway.app.shut_down().await);
    }
}

/// The names that the PBX lists for the month of a recording.
async fn listed(gateway: &Gateway, name: &str) -> Vec<String> {
    let (year, month) = (&name[..4], &name[4..6]);
    let target = format!("/recordings?from={year}-{month}-01&to={year}-{month}-28");
    let call = gateway.request(Method::GET, &target).bearer(&jwt("alice"));
    let answer = call.send().await;
    assert_eq!(answer.status(), StatusCode::OK, "{name}");
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let entries = document["recordings"].as_array().unwrap();
    let name = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
    entries.iter().map(name).collect()
}
