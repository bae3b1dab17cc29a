//! The division of the memory: the recordings of one principal take no more than a quarter, the
//! longest idle one is evicted first, and a recording that gets no more room continues with what it
//! has.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::task::JoinSet;
use wavegate::simulator::{Simulator, Switch};

use super::{CACHE_BYTES, Watch, pbx, recording, recordings, until_held};
use crate::harness::admin::number;
use crate::harness::listener::Listener;
use crate::harness::wire::Wire;
use crate::harness::{self, Gateway, gateway, jwt, soon};

const BLOCK: u64 = 64 * 1024;
const ALICE: &str = "alice";

/// A gateway that keeps this many blocks, and cuts no caller for being slow.
fn roomy(pbx: &Simulator, blocks: u64) -> harness::Builder {
    gateway(pbx)
        .cache()
        .set("cache.max_bytes", blocks * BLOCK)
        .set("relay.max_reads_per_minute", 100000)
        .set("relay.idle_timeout_ms", 600000)
        .set("pbx.max_downloads", 100)
}

async fn get(gateway: &Gateway, who: &str, name: &str) -> Bytes {
    let answer = gateway.get(name).bearer(&jwt(who)).send().await;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("whole")
}

/// A caller who has taken a little, and pauses.
async fn paused(addr: SocketAddr, who: &str, name: &str, bytes: &Bytes) -> Listener {
    let mut listener = Listener::begin(addr, who, name, bytes).await;
    assert!(listener.next().await.unwrap());
    listener
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_principal_alone_holds_a_quarter_and_gets_everything() {
    const BLOCKS: u64 = 128;
    const PAUSED: usize = 10;
    let recordings = recordings(40, 1_000_000);
    for lengths in [&[][..], &[Switch::DownloadWithLength]] {
        let pbx = pbx(&recordings, lengths).await;
        let gateway = roomy(&pbx, BLOCKS).start().await;
        let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
        let watch = Watch::start(admin);
        let mut waiting = Vec::new();
        for (name, bytes) in &recordings[..PAUSED] {
            waiting.push(paused(addr, ALICE, name, bytes).await);
        }
        until_held(admin, |held| held >= BLOCKS / 5 * BLOCK).await;
        let mut others = JoinSet::new();
        for (name, bytes) in &recordings[PAUSED..] {
            let (name, bytes) = (name.clone(), bytes.clone());
            others.spawn(async move {
                let listener = Listener::begin(addr, ALICE, &name, &bytes).await;
                listener.finish().await;
            });
        }
        while let Some(finished) = others.join_next().await {
            finished.unwrap();
        }
        for listener in waiting {
            listener.finish().await;
        }
        let (most, looks) = watch.end();
        println!("{most} bytes held at most, {looks} looks");
        assert!(
            most <= BLOCKS / 4 * BLOCK && looks > 20,
            "{most} in {looks} looks"
        );
    }
}

#[tokio::test]
async fn the_longest_idle_recording_goes_first() {
    // A quarter has room for four of the recordings and one block more, since a block that is being
    // sent is not written to, and its bytes move to another.
    const FIVE: [&str; 5] = ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"];
    let recordings = FIVE
        .iter()
        .enumerate()
        .map(|(number, name)| ((*name).to_owned(), recording(number, 250_000)))
        .collect::<Vec<_>>();
    let pbx = pbx(&recordings, &[]).await;
    let gateway = roomy(&pbx, 4 * 18).start().await;
    let order = || pbx.seen().ticket_recordings.concat().replace(".wav", "");
    for name in &FIVE[..4] {
        get(&gateway, ALICE, name).await;
    }
    // This recording was used last, so it will be evicted last.
    get(&gateway, "bob", FIVE[0]).await;
    assert_eq!(order(), "abcd");

    get(&gateway, ALICE, FIVE[4]).await;
    for name in ["a.wav", "c.wav", "d.wav", "e.wav"] {
        get(&gateway, ALICE, name).await;
    }
    assert_eq!(order(), "abcde");
    let again = get(&gateway, ALICE, FIVE[1]).await;
    assert_eq!(order(), "abcdeb");
    assert!(again == recordings[1].1);
}

#[tokio::test]
async fn another_principal_takes_no_room_from_one_within_a_quarter() {
    let own = recordings(4, 250_000);
    let many = (10..30)
        .map(|number| (format!("{number}.wav"), recording(number, 250_000)))
        .collect::<Vec<_>>();
    let pbx = pbx(&[&own[..], &many].concat(), &[]).await;
    let gateway = roomy(&pbx, 4 * 18).start().await;
    for (name, _) in &own {
        get(&gateway, ALICE, name).await;
    }
    for (name, _) in &many {
        get(&gateway, "bob", name).await;
    }
    let tickets = pbx.seen().tickets_issued;
    assert_eq!(tickets, 24);
    for (name, bytes) in &own {
        assert!(get(&gateway, ALICE, name).await == *bytes);
    }
    assert_eq!(pbx.seen().tickets_issued, tickets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_gets_no_more_room_still_gets_every_byte() {
    // A quarter has room for one of the short recordings and one block more: a block that is being
    // sent is not written to, and its bytes move to another one. Without that block the recording
    // would become a window, and be read again for its second listener.
    const BLOCKS: u64 = 20;
    let short = recordings(4, 250_000);
    let long = (10..12)
        .map(|number| (format!("{number}.wav"), recording(number, 2_000_000)))
        .collect::<Vec<_>>();
    let pbx = pbx(&[&short[..], &long].concat(), &[]).await;
    let wire = Wire::to(&pbx).await;
    let gateway = roomy(&pbx, BLOCKS).pbx_url(wire.url()).start().await;
    let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
    // Four fifths are taken by whole recordings whose listeners pause.
    let mut waiting = Vec::new();
    for (who, (name, bytes)) in ["a", "b", "c", "f"].into_iter().zip(&short) {
        get(&gateway, who, name).await;
        waiting.push(paused(addr, who, name, bytes).await);
    }
    until_held(admin, |held| held == 16 * BLOCK).await;

    // Both get a first block, and then little room is left. One of them pauses.
    wire.hold();
    let mut begun = Vec::new();
    for (taken, (who, (name, bytes))) in (17..).zip(["d", "e"].into_iter().zip(long)) {
        begun.push(tokio::spawn(async move {
            paused(addr, who, &name, &bytes).await
        }));
        until_held(admin, |held| held == taken * BLOCK).await;
    }
    wire.release();
    let pauses = begun.pop().unwrap().await.unwrap();
    let goes_on = begun.pop().unwrap().await.unwrap();
    until_held(admin, |held| held >= 19 * BLOCK).await;

    goes_on.finish().await;
    for listener in waiting {
        listener.finish().await;
    }
    pauses.finish().await;
    assert!(number(admin, CACHE_BYTES).await <= BLOCKS * BLOCK);
    let seen = pbx.seen();
    assert_eq!(seen.tickets_issued, 6, "{:?}", seen.ticket_recordings);
}

#[tokio::test]
async fn a_download_continued_by_another_counts_for_the_first() {
    const LONG: &str = "long.wav";
    const BLOCKS: u64 = 4 * 18;
    let own = recordings(5, 250_000);
    let long = (LONG.to_owned(), recording(10, 1_000_000));
    let all = [&own[..], std::slice::from_ref(&long)].concat();
    let pbx = pbx(&all, &[Switch::DownloadWithLength]).await;
    let cache = format!("max_bytes = {}\nlinger_ms = 0", BLOCKS * BLOCK);
    let gateway = roomy(&pbx, BLOCKS)
        .cache()
        .lines("[cache]", &cache)
        .start()
        .await;
    let tickets = || pbx.seen().tickets_issued;
    pbx.hold_downloads(400_000);
    drop(paused(gateway.addr(), ALICE, LONG, &long.1).await);
    soon(pbx.until(|seen| seen.downloads_aborted_by_peer == 1)).await;
    pbx.release_downloads();
    assert!(get(&gateway, "bob", LONG).await == long.1);
    assert_eq!(tickets(), 2);

    // The recording takes nothing of bob's quarter.
    for times in 1..=2 {
        for (name, bytes) in &own[..4] {
            assert!(get(&gateway, "bob", name).await == *bytes, "{times}");
        }
        assert_eq!(tickets(), 6, "{times}");
    }
    get(&gateway, "bob", LONG).await;
    assert_eq!(tickets(), 6);

    // It counts in alice's quarter, and is evicted when she needs the room.
    get(&gateway, ALICE, &own[4].0).await;
    for (name, _) in &own {
        get(&gateway, "bob", name).await;
    }
    assert_eq!(tickets(), 7);
    get(&gateway, "bob", LONG).await;
    assert_eq!(tickets(), 8);
}
