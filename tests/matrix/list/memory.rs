//! A page of a long table takes no more memory than a page of a short table.

use std::net::SocketAddr;

use http::Method;
use serde_json::Value;
use wavegate::simulator::Api;

use crate::harness::list::{WINDOW, pbx};
use crate::harness::programs::serve;
use crate::harness::{Call, gateway, jwt};

async fn listed(addr: SocketAddr, window: &str) -> Value {
    let call = Call::new(
        addr,
        Method::GET,
        &format!("/recordings?{window}&page_size=1000"),
    );
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), 200);
    let body = answer.bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn entries(addr: SocketAddr, window: &str) -> usize {
    let document = listed(addr, window).await;
    document["recordings"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_rows_take_no_more_memory_than_some_thousand() {
    let pbx = pbx(Api::SSeries200, 50_000).await;
    let builder = gateway(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    // The gateway asks the PBX for one day more: some 2,500 rows.
    let short = "from=2026-01-01&to=2026-01-01T17:00:00";
    for _ in 0..3 {
        assert_eq!(entries(addr, short).await, 1_000);
    }
    let (before, rows) = (running.memory_kib("VmHWM"), pbx.seen().cdr_rows_sent);
    assert!(rows < 3 * 3_000, "{rows}");
    for _ in 0..2 {
        assert_eq!(entries(addr, WINDOW).await, 1_000);
    }
    assert!(pbx.seen().cdr_rows_sent >= rows + 100_000);
    let grown = running.memory_kib("VmHWM") - before;
    println!(
        "{before} KiB, and {grown} KiB more after two tables of {} bytes",
        pbx.seen().cdr_bytes_sent
    );
    assert!(grown < 3 * 1024, "{grown} KiB more");
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_listed_entries_need_little_more_memory() {
    let pbx = pbx(Api::PSeries, 10_000).await;
    let builder = gateway(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    // The last thousand calls, one per minute.
    let short = "from=2026-01-07T06:00:00Z";
    for _ in 0..3 {
        assert!(entries(addr, short).await > 500);
    }
    let before = running.memory_kib("VmHWM");
    let mut all = 0;
    let mut query = String::from("order=asc");
    loop {
        let document = listed(addr, &query).await;
        all += document["recordings"].as_array().unwrap().len();
        match document["next"].as_str() {
            Some(next) => query = format!("order=asc&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(all, 10_000);
    let grown = running.memory_kib("VmHWM") - before;
    println!("{before} KiB, and {grown} KiB more after ten thousand entries");
    assert!(grown < 3 * 1024, "{grown} KiB more");
    assert_eq!(running.stop().await.code, Some(0));
}
