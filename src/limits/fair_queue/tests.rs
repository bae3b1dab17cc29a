//! A place that is given up is nobody's, whenever that happens.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

type Asking = Pin<Box<dyn Future<Output = Place> + Send>>;

fn asking(queue: &Arc<Queue>, name: &str) -> Asking {
    let queue = Arc::clone(queue);
    let who = PrincipalId::new("https://idp.example", name);
    Box::pin(async move { queue.take(&who).await })
}

/// What has come of it by now.
fn poll(asking: &mut Asking) -> Option<Place> {
    match asking
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(place) => Some(place),
        Poll::Pending => None,
    }
}

/// A download, if one is to be had without waiting.
fn take(queue: &Arc<Queue>) -> Option<Place> {
    poll(&mut asking(queue, "alice"))
}

/// Whether anybody waits at all.
fn has_waiting(queue: &Arc<Queue>) -> bool {
    queue.has_waiting_beside(&PrincipalId::new("https://idp.example", "nobody"))
}

#[test]
fn who_leaves_the_queue_gives_up_the_place() {
    let queue = Queue::new(1);
    let first = take(&queue).unwrap();
    let (mut next, mut last) = (asking(&queue, "bob"), asking(&queue, "carol"));
    assert!(poll(&mut next).is_none() && poll(&mut last).is_none());
    assert!(has_waiting(&queue));
    drop(next);
    drop(first);
    assert!(poll(&mut last).is_some());
    assert!(!has_waiting(&queue));
}

#[test]
fn what_was_handed_to_one_who_left_at_that_moment_goes_to_the_next() {
    let queue = Queue::new(1);
    let first = take(&queue).unwrap();
    let (mut next, mut last) = (asking(&queue, "bob"), asking(&queue, "carol"));
    assert!(poll(&mut next).is_none() && poll(&mut last).is_none());
    drop(first);
    // It is Bob's by now, who has not looked yet.
    assert!(poll(&mut last).is_none());
    drop(next);
    assert!(poll(&mut last).is_some());
}

#[test]
fn fewer_downloads_count_those_that_run() {
    let queue = Queue::new(3);
    let mut running: Vec<_> = (0..3).map(|_| take(&queue).unwrap()).collect();
    queue.resize(1);
    running.truncate(1);
    assert!(take(&queue).is_none());
    running.clear();
    let one = take(&queue);
    assert!(one.is_some() && take(&queue).is_none());
    queue.resize(2);
    assert!(take(&queue).is_some());
}

#[test]
fn more_downloads_are_for_those_who_wait_already() {
    let queue = Queue::new(1);
    let _first = take(&queue).unwrap();
    let mut waiting = [asking(&queue, "bob"), asking(&queue, "bob")];
    assert!(waiting.iter_mut().all(|asking| poll(asking).is_none()));
    queue.resize(3);
    let running = waiting.each_mut().map(poll);
    assert!(running.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_many_come_and_leave_at_once() {
    let queue = Queue::new(3);
    let mut callers = JoinSet::new();
    for number in 0..2_000_u64 {
        let asking = asking(&queue, &(number % 5).to_string());
        // The time of some is up while they are called.
        let patience = Duration::from_millis(number % 3);
        callers.spawn(async move {
            let place = timeout(patience, asking).await;
            tokio::task::yield_now().await;
            drop(place);
        });
    }
    callers.join_all().await;
    assert!(!has_waiting(&queue));
    let all: Vec<_> = (0..4).map(|_| take(&queue)).collect();
    assert!(all[..3].iter().all(Option::is_some) && all[3].is_none());
}
