//! A long list, walked page by page while calls are added: no gap, no repeat.

use std::collections::HashSet;

use wavegate::simulator::{Api, CallRecord, Simulator, Switch};

use crate::harness::list::{WINDOW, names, page, pbx};
use crate::harness::{Gateway, gateway};

/// Reads all pages, and adds a call before each page.
async fn walk_while_calls_are_added(
    pbx: &Simulator,
    gateway: &Gateway,
    query: &str,
    mut next_number: u32,
) -> Vec<String> {
    let mut all = Vec::new();
    let mut target = format!("/recordings?{query}");
    loop {
        pbx.add_call(CallRecord::numbered(next_number, 0));
        next_number += 1;
        let page = page(gateway, &target).await.unwrap();
        all.extend(names(&page.entries).into_iter().map(str::to_owned));
        match page.next {
            Some(cursor) => target = format!("/recordings?{query}&cursor={cursor}"),
            None => return all,
        }
    }
}

#[track_caller]
fn check(all: &[String], count: u32, order: &str) {
    let mut seen = HashSet::new();
    assert!(all.iter().all(|name| seen.insert(name)), "a repeat");
    let is_there = |number| seen.contains(&CallRecord::numbered(number, 0).recording);
    assert_eq!((0..count).find(|number| !is_there(*number)), None, "a gap");
    // Names sort by time.
    match order {
        "asc" => assert!(all.is_sorted()),
        _ => assert!(all.is_sorted_by(|one, other| one > other)),
    }
}

async fn check_walk(api: Api, count: u32, query: &str, order: &str) {
    let pbx = pbx(api, count).await;
    let gateway = gateway(&pbx).start().await;
    let query = format!("{query}&order={order}");
    let all = walk_while_calls_are_added(&pbx, &gateway, &query, count).await;
    check(&all, count, order);
}

#[tokio::test]
async fn fifty_thousand_rows_of_a_table_are_walked_newest_first() {
    let query = format!("{WINDOW}&page_size=1000");
    check_walk(Api::SSeries200, 50_000, &query, "desc").await;
}

#[tokio::test]
async fn fifty_thousand_rows_of_a_table_are_walked_oldest_first() {
    let query = format!("{WINDOW}&page_size=1000");
    check_walk(Api::SSeries110, 50_000, &query, "asc").await;
}

#[tokio::test]
async fn ten_thousand_entries_in_pages_are_walked_either_way() {
    for order in ["asc", "desc"] {
        check_walk(Api::PSeries, 10_000, "page_size=1000", order).await;
        check_walk(Api::PSeries, 1_000, "page_size=30", order).await;
        let query = format!("{WINDOW}&page_size=170");
        check_walk(Api::PSeries, 1_000, &query, order).await;
    }
}

#[tokio::test]
async fn a_pbx_with_shorter_pages_than_asked_is_walked_too() {
    for order in ["asc", "desc"] {
        for switches in [&[][..], &[Switch::ListTotalMissing]] {
            let calls = (0..500).map(|number| CallRecord::numbered(number, 0));
            let mut builder = Simulator::builder(Api::PSeries).switch(Switch::ListPageCapped);
            for switch in switches {
                builder = builder.switch(*switch);
            }
            let pbx = builder.calls(calls).start().await.unwrap();
            let gateway = gateway(&pbx).start().await;
            let query = format!("page_size=170&order={order}");
            let all = walk_while_calls_are_added(&pbx, &gateway, &query, 500).await;
            check(&all, 500, order);
        }
    }
}
