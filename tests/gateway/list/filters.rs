//! The calls in a list, and the queries that the PBX gets for them.

use wavegate::simulator::{Api, CallRecord, Simulator};

use crate::harness::list::{APIS, WINDOW, names, page, pbx, walk};
use crate::harness::{PBX, gateway};

/// The names of the calls with these numbers.
fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    let name = |number| CallRecord::numbered(number, 0).recording;
    numbers.into_iter().map(name).collect()
}

#[tokio::test]
async fn a_window_and_parties_choose_the_same_calls_everywhere() {
    for api in APIS {
        let pbx = pbx(api, 120).await;
        let gateway = gateway(&pbx).start().await;
        // Call 0 begins at midnight, and each later call one minute after the one before.
        for (query, expected) in [
            (
                "from=2026-01-01T00:02:00Z&to=2026-01-01T00:05:00Z",
                numbered([4, 3, 2]),
            ),
            (
                "from=2026-01-01T01:02:00%2B01:00&to=2026-01-01T00:04:30&order=asc",
                numbered([2, 3, 4]),
            ),
            (
                "from=2026-01-01&to=2026-01-02&caller=1007",
                numbered([107, 57, 7]),
            ),
            (
                "from=2026-01-01&to=2026-01-02&caller=1007&callee=2037",
                numbered([107]),
            ),
            ("from=2026-01-01&to=2026-01-02&caller=100", vec![]),
            ("from=2026-01-01&to=2026-01-02&direction=inbound", vec![]),
            ("from=2026-01-02&to=2026-01-03", vec![]),
            ("from=2025-12-31&to=2026-01-01", vec![]),
        ] {
            let list = walk(&gateway, "/recordings", query).await.unwrap();
            assert_eq!(names(&list), expected, "{api} {query}");
        }
    }
}

#[tokio::test]
async fn a_p_series_lists_without_a_window_and_searches_with_one() {
    let pbx = pbx(Api::PSeries, 3).await;
    let gateway = gateway(&pbx).start().await;
    let all = walk(&gateway, "/recordings", "").await.unwrap();
    assert_eq!(names(&all), numbered([2, 1, 0]));
    let some = walk(&gateway, "/recordings", "callee=2001&order=asc").await;
    assert_eq!(names(&some.unwrap()), numbered([1]));
}

#[tokio::test]
async fn where_few_are_wanted_a_page_may_be_short_and_leads_on() {
    // The PBX cannot search for directions, and one request reads at most 20 of its pages.
    let inbound = |number| CallRecord {
        direction: "Inbound".to_owned(),
        ..CallRecord::numbered(number, 0)
    };
    let calls = (0..2_500).map(|number| match number {
        7 => inbound(number),
        _ => CallRecord::numbered(number, 0),
    });
    let pbx = Simulator::builder(Api::PSeries)
        .calls(calls)
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx).start().await;
    let first = page(&gateway, "/recordings?direction=inbound")
        .await
        .unwrap();
    assert!(first.entries.is_empty() && first.next.is_some());
    assert_eq!(pbx.seen().requests.list, 20);
    let list = walk(&gateway, "/recordings", "direction=inbound").await;
    assert_eq!(names(&list.unwrap()), numbered([7]));
}

#[tokio::test]
async fn a_zone_that_is_not_the_pbxs_hides_no_call() {
    // The PBX is ten hours ahead of what the configuration says.
    for api in APIS {
        let offset = 10 * 3_600;
        let calls = (0..60).map(|number| CallRecord::numbered(number, offset));
        let pbx = Simulator::builder(api).utc_offset_s(offset).calls(calls);
        let pbx = pbx.start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        let query = "from=2026-01-01T00:10:00Z&to=2026-01-01T00:12:00Z";
        let list = walk(&gateway, "/recordings", query).await.unwrap();
        let starts: Vec<_> = list
            .iter()
            .map(|entry| entry["started_at"].as_str().unwrap())
            .collect();
        let expected = ["2026-01-01T00:11:00+00:00", "2026-01-01T00:10:00+00:00"];
        assert_eq!(starts, expected, "{api}");
    }
}

#[tokio::test]
async fn a_page_asks_the_pbx_for_no_more_than_it_needs() {
    let pbx = pbx(Api::SSeries110, 10_000).await;
    let gateway = gateway(&pbx)
        .set("pbx.time_zone", "America/New_York")
        .set("pbx.allowed_ip", "192.0.2.1")
        .start()
        .await;
    let query = format!("{WINDOW}&order=asc&page_size=1000");
    let first = page(&gateway, &format!("/recordings?{query}"))
        .await
        .unwrap();
    let second = format!("/recordings?{query}&cursor={}", first.next.unwrap());
    let second = page(&gateway, &second).await.unwrap();
    let seen = pbx.seen();
    let [one, two] = &*seen.cdr_queries else {
        panic!("{:?}", seen.cdr_queries);
    };
    assert_eq!(
        (&*one.extensions, one.allowedip.as_deref()),
        ("all", Some("192.0.2.1"))
    );
    // The window starts and ends at midnight in New York (05:00 and 04:00 UTC), with one day added
    // at both ends.
    assert_eq!(
        (&*one.start, &*one.end),
        ("2025-12-31 00:00:00", "2026-06-02 00:00:00")
    );
    // The second page begins a day before the last call of the first.
    assert_eq!(two.end, one.end);
    let last = first.entries.last().unwrap()["started_at"]
        .as_str()
        .unwrap();
    let first_of_next = second.entries[0]["started_at"].as_str().unwrap();
    assert!(last < first_of_next);
    let slack = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &two.start).unwrap();
    let began: jiff::Timestamp = last.parse().unwrap();
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    assert_eq!(began.to_zoned(zone).datetime().yesterday().unwrap(), slack);
    assert_eq!(PBX, first.entries[0]["pbx"]);
}

#[tokio::test]
async fn a_call_whose_name_and_row_have_another_time_is_in_one_window() {
    // The call begins at 23:59:50 by its name, and at 00:00:05 of the next day by its row.
    for api in APIS {
        let call = CallRecord {
            recording: "20260301235950-1772409590.7-1001-1003-Internal.wav".to_owned(),
            started: 1_772_409_605,
            ..CallRecord::numbered(0, 0)
        };
        let pbx = Simulator::builder(api).calls([call]).start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        for (window, expected) in [
            ("from=2026-03-01&to=2026-03-02", 1),
            ("from=2026-03-02&to=2026-03-03", 0),
        ] {
            let list = walk(&gateway, "/recordings", window).await.unwrap();
            assert_eq!(list.len(), expected, "{api} {window}");
        }
    }
}
