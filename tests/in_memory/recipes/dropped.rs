//! Futures of recipes that are dropped at any moment: nothing is left behind, lost or doubled.

use etcd_http::{
    fake::{FakeEtcd, Fault, When},
    recipes::{
        Counter, DoubleBarrier, Election, Mutex, PriorityQueue, Queue, RwMutex, Semaphore, Session,
    },
    transport::Transport,
};
use futures::future::{Either, join, select};

use super::session;
use crate::support::{block_on, jumping, millis, seconds};

type Own = Session<FakeEtcd>;

/// Each request takes this long: on its way, or until its response arrives.
const LATENCY: u64 = 10;

/// When it is dropped, in milliseconds: before, between and after all requests.
const MOMENTS: std::ops::RangeInclusive<u64> = 0..=9;

/// Starts an operation, drops it at each moment, and checks what is left when late requests have arrived.
fn dropped(
    name: &str,
    before: impl AsyncFn(&Own),
    operation: impl AsyncFn(&Own),
    after: impl AsyncFn(&FakeEtcd, &Own, bool),
) {
    for fault in [
        Fault::delay(millis(LATENCY)),
        Fault::delay_response(millis(LATENCY)),
    ] {
        for moment in MOMENTS {
            let etcd = jumping().build();
            block_on(async {
                let (first, driver) = session(&etcd).await;
                let (second, other) = session(&etcd).await;
                let work = async {
                    before(&first).await;
                    etcd.inject(When::any().path("/v3/kv/*"), fault.clone());
                    let limit = etcd.sleep(millis(moment * LATENCY / 2));
                    let done = {
                        let operation = Box::pin(operation(&first));
                        matches!(select(operation, limit).await, Either::Left(_))
                    };
                    etcd.sleep(seconds(20)).await;
                    etcd.clear_faults();
                    assert!(first.is_alive(), "{name} at {moment}, done: {done}");
                    after(&etcd, &second, done).await;
                };
                first.run(driver, second.run(other, work)).await;
            });
        }
    }
}

/// No key is left.
async fn nothing(etcd: &FakeEtcd, _: &Own, _: bool) {
    let left = etcd.get_prefix("x/");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_wait_that_is_dropped_leaves_no_key() {
    let two = 2.try_into().unwrap();
    let none = async |_: &Own| {};
    dropped(
        "lock",
        none,
        async |it| {
            drop(Mutex::new(it, "x").lock().await.unwrap());
        },
        nothing,
    );
    dropped(
        "try",
        none,
        async |it| {
            drop(Mutex::new(it, "x").try_lock().await.unwrap());
        },
        nothing,
    );
    dropped(
        "release",
        none,
        async |it| {
            let held = Mutex::new(it, "x").lock().await.unwrap();
            held.release().await.unwrap();
        },
        nothing,
    );
    dropped(
        "two of a session",
        none,
        async |it| {
            let mutex = Mutex::new(it, "x");
            let one = async || mutex.lock().await.unwrap().release().await.unwrap();
            join(one(), one()).await;
        },
        nothing,
    );
    dropped(
        "write",
        none,
        async |it| {
            let lock = RwMutex::new(it, "x");
            let read = async { drop(lock.read().await.unwrap()) };
            let write = async { drop(lock.write().await.unwrap()) };
            join(read, write).await;
        },
        nothing,
    );
    dropped(
        "permit",
        none,
        async |it| {
            let semaphore = Semaphore::new(it, "x", two);
            let one = async || drop(semaphore.acquire().await.unwrap());
            join(one(), join(one(), one())).await;
        },
        nothing,
    );
    dropped(
        "lead",
        none,
        async |it| {
            let mut lead = Election::new(it, "x").campaign("a").await.unwrap();
            lead.proclaim("b").await.unwrap();
            lead.resign().await.unwrap();
        },
        nothing,
    );
    dropped(
        "enter",
        none,
        async |it| {
            let barrier = DoubleBarrier::new(it, "x", two);
            let one = async || barrier.enter().await.unwrap().leave().await.unwrap();
            join(one(), one()).await;
        },
        async |etcd, other, _| {
            // That it was open may be left, and is no obstacle.
            let waiters = etcd.get_prefix("x/waiters/");
            assert!(waiters.is_empty(), "{waiters:?}");
            let barrier = DoubleBarrier::new(other, "x", two);
            let one = async || barrier.enter().await.unwrap().leave().await.unwrap();
            join(one(), one()).await;
            nothing(etcd, other, true).await;
        },
    );
}

#[test]
fn an_item_whose_claim_or_acknowledgment_is_dropped_is_neither_lost_nor_doubled() {
    let push = async |it: &Own| {
        Queue::new(it, "x").push("a").await.unwrap();
    };
    let count = async |etcd: &FakeEtcd, other: &Own, done: bool| {
        let queue = Queue::new(other, "x");
        let mut count = 0;
        while let Some(claim) = queue.try_claim().await.unwrap() {
            claim.ack().await.unwrap();
            count += 1;
        }
        assert!(count <= 1, "{count}");
        for prefix in ["x/", "__claim"] {
            assert!(etcd.get_prefix(prefix).is_empty());
        }
        assert!(!done || count == 0);
        count
    };
    dropped(
        "claim",
        push,
        async |it| {
            drop(Queue::new(it, "x").claim().await.unwrap());
            std::future::pending::<()>().await;
        },
        async |etcd, other, done| assert_eq!(count(etcd, other, done).await, 1),
    );
    dropped(
        "acknowledge",
        push,
        async |it| {
            let claim = Queue::new(it, "x").claim().await.unwrap();
            claim.ack().await.unwrap();
        },
        async |etcd, other, done| {
            count(etcd, other, done).await;
        },
    );
}

#[test]
fn what_is_pushed_or_added_and_dropped_is_applied_once_at_most() {
    let none = async |_: &Own| {};
    dropped(
        "push",
        none,
        async |it| {
            Queue::new(it, "x").push("a").await.unwrap();
        },
        async |etcd, _, done| {
            let items = etcd.get_prefix("x/").len();
            assert!(items <= 1 && (!done || items == 1), "{items}");
        },
    );
    dropped(
        "push with a priority",
        none,
        async |it| {
            PriorityQueue::new(it, "x").push("a", 7).await.unwrap();
        },
        async |etcd, _, done| {
            let items = etcd.get_prefix("x/").len();
            assert!(items <= 1 && (!done || items == 1), "{items}");
        },
    );
    dropped(
        "add",
        none,
        async |it| {
            Counter::new(it, "y").add(1).await.unwrap();
        },
        async |_, other, done| {
            let counter = Counter::new(other, "y");
            let number = counter.get().await.unwrap();
            assert!(number <= 1 && (!done || number == 1), "{number}");
            assert_eq!(counter.add(1).await.unwrap(), number + 1);
        },
    );
}
