//! Blanks in a query as form encoders write them.
//!
//! The kind: a program builds the query with the form encoder of its language (Python's
//! `urlencode`, JavaScript's `URLSearchParams`, PHP's `http_build_query`, Java's `URLEncoder`),
//! which writes `+` for a blank and `%2B` for a plus. A person types a plus as it is. Only the list
//! has parameters with blanks and pluses: `from`, `to`, `caller` and `callee`, for every API. The
//! other ones (`direction`, `order`, `page_size`, `cursor`) contain neither, so there a plus is
//! refused as a blank is. Paths are not forms: `+` in a recording's name is a plus (`ranges`,
//! `download`).
//!
//! The rule is in `src/list/form.rs`, with its property tests. It must not permit a date with an
//! offset, which would be a guess, or a value that is refused with `%20`.

use http::StatusCode;
use wavegate::simulator::{Api, CallRecord, Simulator};

use crate::harness::list::{APIS, page, walk};
use crate::harness::{Gateway, gateway};

/// Five calls of 2026-10-25 in Berlin, where the clocks are put back at 03:00: at 00:00 and 01:00,
/// of people whose numbers have blanks and pluses.
fn calls() -> Vec<CallRecord> {
    let call = |number: u32, started: i64, caller: &str, callee: &str| CallRecord {
        recording: format!("20261025000000-{started}.{number}-1001-1003-Internal.wav"),
        started,
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        ..CallRecord::numbered(number, 7_200)
    };
    vec![
        call(1, MIDNIGHT, "Jo Doe", "1003"),
        call(2, MIDNIGHT + 60, "+4930123456", "Jo Doe"),
        call(3, MIDNIGHT + 3_600, "+49 30 123456", "+4930123456"),
        call(4, MIDNIGHT + 3_660, "4930123456", "+49 30 123456"),
        call(5, MIDNIGHT + 3_720, "Jo + Doe", "1003"),
    ]
}

/// 2026-10-24T22:00:00Z, midnight in Berlin.
const MIDNIGHT: i64 = 1_792_879_200;
const DAY: &str = "from=2026-10-25&to=2026-10-26";

async fn list(gateway: &Gateway, query: &str) -> Vec<u32> {
    let all = walk(gateway, "/recordings", query).await;
    let entries = all.unwrap_or_else(|slug| panic!("{query}: {slug}"));
    let number = |entry: &serde_json::Value| {
        let id = entry["call_id"].as_str().unwrap();
        id.split_once('.').unwrap().1.parse().unwrap()
    };
    entries.iter().map(number).collect()
}

async fn berlin(api: Api) -> (Simulator, Gateway) {
    let builder = Simulator::builder(api).utc_offset_s(7_200).calls(calls());
    let pbx = builder.start().await.unwrap();
    let zone = "time_zone = \"Europe/Berlin\"";
    let gateway = gateway(&pbx).lines("[pbx]", zone).start().await;
    (pbx, gateway)
}

/// A parameter in several spellings, and the calls that match all of them, oldest first.
const SPELLINGS: [(&[&str], &[u32]); 9] = [
    // A blank: as Python, JavaScript, PHP and Java write it, as a person types it, and in the form
    // that was always accepted.
    (
        &[
            "from=2026-10-25+00%3A00%3A30&to=2026-10-25+01%3A00%3A30",
            "from=2026-10-25+00:00:30&to=2026-10-25+01:00:30",
            "from=2026-10-25%2000%3A00%3A30&to=2026-10-25%2001%3A00%3A30",
            "from=2026-10-25T00:00:30&to=2026-10-25T01:00:30",
        ],
        &[2, 3],
    ),
    (
        &[
            "from=2026-10-25+01%3A01&to=2026-10-26+00%3A00",
            "from=2026-10-25%2001:01&to=2026-10-26",
        ],
        &[4, 5],
    ),
    // An offset: a form encoder escapes its plus, a person does not.
    (
        &[
            "from=2026-10-25T00:00:00+01:00&to=2026-10-25T03:00:00+02:00",
            "from=2026-10-25T00%3A00%3A00%2B01%3A00&to=2026-10-25T03%3A00%3A00%2B02%3A00",
            "from=2026-10-25T00%3A00%3A00+01%3A00&to=2026-10-25T03%3A00%3A00+02%3A00",
            "from=2026-10-25+00%3A00%3A00%2B01%3A00&to=2026-10-25+03%3A00%3A00%2B02%3A00",
            "from=2026-10-25+00:00:00+01:00&to=2026-10-25+03:00:00+02:00",
        ],
        &[3, 4, 5],
    ),
    (
        &[
            "from=2026-10-25&to=2026-10-26&caller=Jo+Doe",
            "from=2026-10-25&to=2026-10-26&caller=Jo%20Doe",
            "from=2026-10-25&to=2026-10-26&caller=+Jo+Doe+",
        ],
        &[1],
    ),
    (
        &[
            "from=2026-10-25&to=2026-10-26&caller=Jo+%2B+Doe",
            "from=2026-10-25&to=2026-10-26&caller=Jo%20%2B%20Doe",
        ],
        &[5],
    ),
    // The plus of a number.
    (
        &[
            "from=2026-10-25&to=2026-10-26&caller=+4930123456",
            "from=2026-10-25&to=2026-10-26&caller=%2B4930123456",
        ],
        &[2],
    ),
    (
        &[
            "from=2026-10-25&to=2026-10-26&caller=%2B49+30+123456",
            "from=2026-10-25&to=2026-10-26&caller=+49+30+123456",
            "from=2026-10-25&to=2026-10-26&caller=+49%2030%20123456",
        ],
        &[3],
    ),
    (
        &[
            "from=2026-10-25&to=2026-10-26&callee=Jo+Doe",
            "from=2026-10-25&to=2026-10-26&callee=Jo%20Doe",
        ],
        &[2],
    ),
    (
        &[
            "from=2026-10-25&to=2026-10-26&callee=+4930123456",
            "from=2026-10-25&to=2026-10-26&callee=%2B4930123456",
        ],
        &[3],
    ),
];

#[tokio::test]
async fn a_blank_and_a_plus_mean_the_same_however_they_are_written() {
    for api in APIS {
        let (_pbx, gateway) = berlin(api).await;
        assert_eq!(list(&gateway, DAY).await.len(), calls().len(), "{api}");
        for (spellings, expected) in SPELLINGS {
            for query in spellings {
                let found = list(&gateway, &format!("{query}&order=asc")).await;
                assert_eq!(found, expected, "{api} {query}");
            }
        }
    }
}

#[tokio::test]
async fn a_parameter_keeps_its_blanks_and_pluses_from_page_to_page() {
    for api in APIS {
        let (_pbx, gateway) = berlin(api).await;
        for window in [
            "from=2026-10-25+00%3A00%3A00&to=2026-10-26+00%3A00%3A00",
            "from=2026-10-25T00:00:00+02:00&to=2026-10-26T00:00:00+01:00",
        ] {
            let (mut target, mut found) = (format!("/recordings?{window}&page_size=2"), 0);
            loop {
                let page = page(&gateway, &target).await.unwrap();
                found += page.entries.len();
                match page.link {
                    Some(link) => target = link,
                    None => break,
                }
            }
            assert_eq!(found, calls().len(), "{api} {window}");
        }
    }
}

#[tokio::test]
async fn a_plus_is_refused_where_a_blank_is_refused() {
    for api in [Api::SSeries200, Api::PSeries] {
        let (pbx, gateway) = berlin(api).await;
        for query in [
            // A date with an offset, or a date and a time: the two cannot be told apart.
            "from=2026-10-25+01:00&to=2026-10-26",
            "from=2026-10-25&to=2026-10-26+0100",
            "from=2026-10-25%2B01%3A00&to=2026-10-26",
            "from=2026-10-25T00:00:00++01:00&to=2026-10-26",
            "from=+2026-10-25&to=2026-10-26",
            "from=2026-10-25&to=2026-10-26&caller=+",
            "from=2026-10-25&to=2026-10-26&direction=+inbound",
            "from=2026-10-25&to=2026-10-26&order=asc+",
            "from=2026-10-25&to=2026-10-26&page_size=+1",
            "from=2026-10-25&to=2026-10-26&page_size=1+",
            "from=2026-10-25&to=2026-10-26&cursor=AA+A",
            "from=2026-10-25&to=2026-10-26&cal+ler=1",
        ] {
            let problem = page(&gateway, &format!("/recordings?{query}")).await;
            let problem = problem.err().unwrap_or_else(|| panic!("{query}"));
            let answer = (problem.status, &*problem.slug);
            let expected = (StatusCode::BAD_REQUEST, "list-parameter-invalid");
            assert_eq!(answer, expected, "{api} {query}");
        }
        assert_eq!(pbx.seen().requests.total(), 0, "{api}");
    }
}
