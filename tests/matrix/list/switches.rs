//! The entries of a list are the same in every spelling of the PBX.

use serde_json::Value;
use wavegate::simulator::{Api, CallRecord, Simulator, Switch};

use crate::harness::gateway;
use crate::harness::list::{APIS, WINDOW, entry, unsaid, walk};

/// The switches that change the spelling of a list, and the fields that are then missing.
const SWITCHES: [(Switch, &[&str]); 18] = [
    (Switch::CdrWithLength, &[]),
    (Switch::CsvBom, &[]),
    (Switch::CsvQuoted, &[]),
    (Switch::CsvBlanks, &[]),
    (Switch::CsvCrlf, &[]),
    (Switch::CsvColumnsReordered, &[]),
    (Switch::CsvCapitalHeader, &[]),
    (Switch::CsvNewestFirst, &[]),
    (Switch::CsvRowsRepeat, &[]),
    (Switch::CsvExtraColumns, &[]),
    (Switch::CsvNameWithCommaAndQuote, &[]),
    (Switch::ListPageCapped, &[]),
    (Switch::ListTotalMissing, &[]),
    (Switch::ListNumbersAsStrings, &[]),
    (Switch::ListTime12h, &[]),
    (Switch::ListSizeZero, &["size_bytes"]),
    (Switch::ListDurationZero, &["duration_s"]),
    (Switch::OldListFields, &[]),
];

fn calls() -> impl DoubleEndedIterator<Item = CallRecord> {
    (0..5_u32).map(|number| CallRecord::numbered(number, 0))
}

async fn list(api: Api, switches: &[Switch], query: &str) -> Vec<Value> {
    let mut builder = Simulator::builder(api).calls(calls());
    for switch in switches {
        builder = builder.switch(*switch);
    }
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx).start().await;
    walk(&gateway, "/recordings", query).await.unwrap()
}

#[tokio::test]
async fn every_field_is_read_however_a_list_is_written() {
    for api in APIS {
        let of = |(switch, nulls): &(Switch, &'static [&'static str])| {
            let applies = switch.applies_to(api);
            applies.then_some((vec![*switch], *nulls))
        };
        let mut rows: Vec<_> = SWITCHES.iter().filter_map(of).collect();
        let together = [
            Switch::CsvBom,
            Switch::CsvQuoted,
            Switch::CsvBlanks,
            Switch::CsvNameWithCommaAndQuote,
            Switch::CsvRowsRepeat,
            Switch::ListNumbersAsStrings,
            Switch::ListTotalMissing,
        ];
        let together = together.into_iter().filter(|switch| switch.applies_to(api));
        rows.push((together.collect(), &[]));
        for (switches, nulls) in rows {
            for order in ["asc", "desc"] {
                let nulls = [nulls, unsaid(api)].concat();
                let mut expected: Vec<_> = calls().map(|call| entry(&call, &nulls)).collect();
                if order == "desc" {
                    expected.reverse();
                }
                let query = format!("{WINDOW}&page_size=2&order={order}");
                let listed = list(api, &switches, &query).await;
                assert_eq!(listed, expected, "{api} {switches:?} {order}");
            }
        }
    }
}

#[tokio::test]
async fn a_search_that_ignores_filters_gives_the_right_list() {
    let ignores = [Switch::SearchIgnoresFilters];
    let listed = list(Api::PSeries, &ignores, &format!("{WINDOW}&caller=1003")).await;
    let expected: Vec<_> = calls().filter(|call| call.caller == "1003").collect();
    assert_eq!(listed, [entry(&expected[0], &[])]);
}
