//! A place that is given up is free for the next, whenever it is given up.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

type PendingPlace = Pin<Box<dyn Future<Output = FairQueuePlace> + Send>>;

fn pending(queue: &Arc<FairQueue>, name: &str) -> PendingPlace {
    let queue = Arc::clone(queue);
    let who = PrincipalId::new("https://idp.example", name);
    Box::pin(async move { queue.take(&who).await })
}

/// The place, if its turn has come.
fn poll(pending: &mut PendingPlace) -> Option<FairQueuePlace> {
    match pending
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(place) => Some(place),
        Poll::Pending => None,
    }
}

/// A download, if one is free without waiting.
fn take(queue: &Arc<FairQueue>) -> Option<FairQueuePlace> {
    poll(&mut pending(queue, "alice"))
}

/// True if any principal waits.
fn has_waiting(queue: &Arc<FairQueue>) -> bool {
    queue.has_waiting_beside(&PrincipalId::new("https://idp.example", "nobody"))
}

#[test]
fn leaving_the_queue_gives_up_the_place() {
    let queue = FairQueue::new(1);
    let first = take(&queue).unwrap();
    let (mut next, mut last) = (pending(&queue, "bob"), pending(&queue, "carol"));
    assert!(poll(&mut next).is_none() && poll(&mut last).is_none());
    assert!(has_waiting(&queue));
    drop(next);
    drop(first);
    assert!(poll(&mut last).is_some());
    assert!(!has_waiting(&queue));
}

#[test]
fn a_download_for_a_task_that_just_left_goes_to_the_next() {
    let queue = FairQueue::new(1);
    let first = take(&queue).unwrap();
    let (mut next, mut last) = (pending(&queue, "bob"), pending(&queue, "carol"));
    assert!(poll(&mut next).is_none() && poll(&mut last).is_none());
    drop(first);
    // The download is Bob's now, but his task has not run yet.
    assert!(poll(&mut last).is_none());
    drop(next);
    assert!(poll(&mut last).is_some());
}

#[test]
fn a_smaller_total_counts_running_downloads() {
    let queue = FairQueue::new(3);
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
fn a_larger_total_serves_waiting_tasks_at_once() {
    let queue = FairQueue::new(1);
    let _first = take(&queue).unwrap();
    let mut waiting = [pending(&queue, "bob"), pending(&queue, "bob")];
    assert!(waiting.iter_mut().all(|pending| poll(pending).is_none()));
    queue.resize(3);
    let running = waiting.each_mut().map(poll);
    assert!(running.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_download_is_lost_when_many_come_and_leave() {
    let queue = FairQueue::new(3);
    let mut callers = JoinSet::new();
    for number in 0..2_000_u64 {
        let pending = pending(&queue, &(number % 5).to_string());
        // Some time out in the moment in which they are called.
        let patience = Duration::from_millis(number % 3);
        callers.spawn(async move {
            let place = timeout(patience, pending).await;
            tokio::task::yield_now().await;
            drop(place);
        });
    }
    callers.join_all().await;
    assert!(!has_waiting(&queue));
    let all: Vec<_> = (0..4).map(|_| take(&queue)).collect();
    assert!(all[..3].iter().all(Option::is_some) && all[3].is_none());
}
