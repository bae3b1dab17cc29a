//! Tests of the list of recordings and of the search in it.

use serde_json::Value;

use super::*;
use crate::simulator::CallRecord;

const CALLS: u32 = 250;

async fn with_calls(switch: Option<Switch>) -> (Downloader, String) {
    let calls = (0..CALLS).map(|number| CallRecord::numbered(number, 3_600));
    let mut builder = Simulator::builder(Api::PSeries)
        .utc_offset_s(3_600)
        .calls(calls);
    if let Some(switch) = switch {
        builder = builder.switch(switch);
    }
    let pbx = Downloader::of(builder).await;
    let missed = CallRecord {
        recording: String::new(),
        ..CallRecord::numbered(1, 3_600)
    };
    pbx.add_call(missed);
    let token = pbx.token().await;
    (pbx, token)
}

fn ids(json: &Value) -> Vec<u64> {
    let rows = json["data"].as_array().unwrap_or_else(|| panic!("{json}"));
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_row_has_all_documented_fields() {
    let (pbx, token) = with_calls(None).await;
    let json = pbx.list(&token, "recording/list?page_size=2&").await.json();
    let call = CallRecord::numbered(1, 3_600);
    assert_eq!(
        (&json["errcode"], &json["total_number"]),
        (&0.into(), &CALLS.into())
    );
    let row = &json["data"][1];
    let expected = serde_json::json!({
        "id": 2,
        "time": "01/01/2026 01:01:00",
        "uid": "2026010101010000002",
        "call_from": "1001<1001>",
        "call_to": "2001<2001>",
        "duration": 31,
        "size": call.size,
        "call_type": "Internal",
        "file": call.recording,
        "call_from_number": "1001",
        "call_from_name": "1001",
        "call_to_number": "2001",
        "call_to_name": "2001",
        "archive_status": "",
        "archive_path": "",
        "archive_type": "",
        "file_path": format!("autorecord/{}", call.recording),
    });
    assert_eq!(row, &expected);
    assert_eq!(pbx.seen().requests.list, 1);
}

#[tokio::test]
async fn pages_cover_the_list() {
    let (pbx, token) = with_calls(None).await;
    let page = async |query: &str| ids(&pbx.list(&token, query).await.json());
    let first: Vec<u64> = (1..=100).collect();
    assert_eq!(page("recording/list?page=1&page_size=100&").await, first);
    let last: Vec<u64> = (201..=250).collect();
    assert_eq!(page("recording/list?page=3&page_size=100&").await, last);
    assert!(
        page("recording/list?page=4&page_size=100&")
            .await
            .is_empty()
    );
    let far = format!("recording/list?page={}&page_size=100&", usize::MAX);
    assert!(page(&far).await.is_empty());
    assert_eq!(page("recording/list?").await.len(), 250);
    assert_eq!(
        page("recording/list?sort_by=time&order_by=desc&page_size=3&").await,
        [250, 249, 248]
    );
    // Parameters of the search and unknown ones do not change a list.
    assert_eq!(page("recording/list?ids=7&uid=1&").await.len(), 250);
    for bad in [
        "page=0",
        "page=x",
        "page_size=0",
        "sort_by=size",
        "order_by=up",
    ] {
        let answer = pbx.list(&token, &format!("recording/list?{bad}&")).await;
        assert_eq!(answer.errcode(), Some(40_002), "{bad}");
    }
}

#[tokio::test]
async fn a_list_is_sorted_by_the_time_of_the_call() {
    let (pbx, token) = with_calls(None).await;
    let early = CallRecord {
        started: 1_000,
        ..CallRecord::numbered(999, 0)
    };
    pbx.add_call(early);
    let json = pbx.list(&token, "recording/list?sort_by=time&page_size=2&");
    assert_eq!(ids(&json.await.json()), [252, 1]);
}

#[tokio::test]
async fn a_search_narrows_the_list() {
    let (pbx, token) = with_calls(None).await;
    let found = async |query: &str| {
        let query = format!("recording/search?{query}&");
        let json = pbx.list(&token, &query).await.json();
        let ids = ids(&json);
        assert_eq!(json["total_number"].as_u64(), Some(ids.len() as u64));
        ids
    };
    let start = 1_767_225_600;
    let range = format!("start_time={}&end_time={}", start + 60, start + 180);
    assert_eq!(found(&range).await, [2, 3, 4]);
    assert_eq!(found("caller=1001").await, [2, 52, 102, 152, 202]);
    assert_eq!(found("caller=1001&callee=2001").await, [2]);
    assert!(found("caller=100").await.is_empty());
    assert_eq!(found("ids=9,7%2C8,251").await, [7, 8, 9]);
    assert_eq!(found("").await.len(), 250);
    for bad in ["ids=1,x", "start_time=yesterday", "end_time=1.5"] {
        let answer = pbx.list(&token, &format!("recording/search?{bad}&")).await;
        assert_eq!(answer.errcode(), Some(40_002), "{bad}");
    }
}

#[tokio::test]
async fn ten_thousand_recordings_fit_on_a_page() {
    let calls = (0..10_000).map(|number| CallRecord::numbered(number, 0));
    let pbx = Downloader::of(Simulator::builder(Api::PSeries).calls(calls)).await;
    let token = pbx.token().await;
    let query = "recording/list?page_size=10000&sort_by=time&order_by=desc&";
    let ids = ids(&pbx.list(&token, query).await.json());
    assert_eq!((ids.len(), ids[0], ids[9_999]), (10_000, 10_000, 1));
}

#[tokio::test]
async fn an_id_from_the_list_opens_its_recording() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let json = pbx.list(&token, "recording/list?").await.json();
    assert_eq!(
        (ids(&json), &json["data"][0]["file"]),
        (vec![1], &NAME.into())
    );
    let answer = pbx.list(&token, "recording/download?id=1&").await.json();
    let path = answer["download_resource_url"].as_str().unwrap();
    assert_eq!(pbx.file(path, &token).await.body, wav::music(3));
}

#[tokio::test]
async fn a_switch_changes_a_list() {
    let listed = async |switch, query: &str| {
        let (pbx, token) = with_calls(Some(switch)).await;
        pbx.list(&token, query).await.json()
    };
    let all = "recording/list?";
    let json = listed(Switch::ListPageCapped, all).await;
    assert_eq!(
        (ids(&json).len(), &json["total_number"]),
        (37, &CALLS.into())
    );
    let json = listed(Switch::ListTotalMissing, all).await;
    assert!(json.get("total_number").is_none());
    let json = listed(Switch::ListNumbersAsStrings, all).await;
    let row = &json["data"][0];
    for (value, expected) in [
        (&json["total_number"], "250"),
        (&row["id"], "1"),
        (&row["duration"], "30"),
        (&row["size"], "480308"),
    ] {
        assert_eq!(value, expected);
    }
    let json = listed(Switch::ListTime12h, all).await;
    assert_eq!(json["data"][0]["time"], "01/01/2026 01:00:00 AM");
    assert_eq!(json["data"][240]["time"], "01/01/2026 05:00:00 AM");
    let json = listed(Switch::ListSizeZero, all).await;
    assert_eq!(json["data"][0]["size"], 0);
    let json = listed(Switch::ListDurationZero, all).await;
    assert_eq!(json["data"][0]["duration"], 0);
    let json = listed(Switch::OldListFields, all).await;
    let row = json["data"][0].as_object().unwrap();
    assert!(row.keys().all(|key| !key.starts_with("call_from_")));
    assert!(row.contains_key("call_to") && !row.contains_key("call_to_name"));
    let json = listed(Switch::SearchIgnoresFilters, "recording/search?caller=1&").await;
    assert_eq!(ids(&json).len(), 250);
    for call in ["recording/list?", "recording/search?"] {
        let json = listed(Switch::ListDenied10005, call).await;
        assert_eq!(json["errcode"], 10_005);
    }
}

#[tokio::test]
async fn noon_and_midnight_are_written_as_twelve() {
    let (pbx, token) = with_calls(Some(Switch::ListTime12h)).await;
    let midnight = 1_767_225_600 - 3_600;
    for started in [midnight, midnight + 12 * 3_600, midnight + 13 * 3_600] {
        let call = CallRecord::numbered(1, 3_600);
        pbx.add_call(CallRecord { started, ..call });
    }
    let json = pbx
        .list(&token, "recording/search?ids=252,253,254&")
        .await
        .json();
    for (row, expected) in ["12:00:00 AM", "12:00:00 PM", "01:00:00 PM"]
        .iter()
        .enumerate()
    {
        assert_eq!(json["data"][row]["time"], format!("01/01/2026 {expected}"));
    }
}
