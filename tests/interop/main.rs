//! Recipes beside those of Go's packages `concurrency` and `recipe`, on one server: each excludes, follows and counts the other.
//!
//! The Go side is `peer.go`, built with Debian's packages golang-go and golang-etcd-server-dev, which `.ci/test` installs.
//! Without them these tests fail.

mod go;

use std::time::Duration;

use etcd_http::{
    Client,
    recipes::{
        Barrier, DoubleBarrier, Election, Mutex, PriorityQueue, Queue, RwMutex, Session,
        SessionDriver, Stm,
    },
    reqwest::ReqwestTransport,
};
use futures::future::join;

use go::Go;

type Etcd = Client<ReqwestTransport>;

const ROUNDS: usize = 20;

/// A server, and a session on it.
async fn begin() -> (Go, Etcd, Session<ReqwestTransport>, SessionDriver) {
    let go = Go::start();
    let client = Client::connect([go.url()]).unwrap();
    let ttl = Duration::from_secs(20);
    let (session, driver) = Session::open(client.v3(), ttl).await.unwrap();
    (go, client, session, driver)
}

/// Adds one to a number without any protection.
async fn increment(client: &Etcd, key: &str) {
    let found = client.v3().kv().get(key).await.unwrap();
    let number: usize = found.map_or(0, |kv| kv.value_str().unwrap().parse().unwrap());
    tokio::time::sleep(Duration::from_millis(2)).await;
    let more = (number + 1).to_string();
    client.v3().kv().put(key, more).await.unwrap();
}

async fn number(client: &Etcd, key: &str) -> usize {
    let found = client.v3().kv().get(key).await.unwrap().unwrap();
    found.value_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_mutex_excludes_gos_and_gos_excludes_it() {
    let (go, client, session, driver) = begin().await;
    let ours = async {
        for _ in 0..ROUNDS {
            let held = Mutex::new(&session, "lock").lock().await.unwrap();
            increment(&client, "lock-count").await;
            held.release().await.unwrap();
        }
    };
    let theirs = go.run("mutex", "lock", ROUNDS);
    session.run(driver, join(ours, theirs)).await;
    assert_eq!(number(&client, "lock-count").await, 2 * ROUNDS);
}

#[tokio::test]
async fn a_writer_excludes_gos_and_gos_excludes_it() {
    let (go, client, session, driver) = begin().await;
    let ours = async {
        let lock = RwMutex::new(&session, "rw");
        for _ in 0..ROUNDS {
            let held = lock.write().await.unwrap();
            increment(&client, "rw-count").await;
            held.release().await.unwrap();
            lock.read().await.unwrap().release().await.unwrap();
        }
    };
    let theirs = go.run("rwmutex", "rw", ROUNDS);
    session.run(driver, join(ours, theirs)).await;
    assert_eq!(number(&client, "rw-count").await, 2 * ROUNDS);
}

#[tokio::test]
async fn an_election_with_gos_candidates_has_one_leader() {
    let (go, client, session, driver) = begin().await;
    let ours = async {
        let election = Election::new(&session, "leader");
        for _ in 0..ROUNDS {
            let lead = election.run_while_leader("rust", async |_| {
                let leader = election.leader().await.unwrap().unwrap();
                assert_eq!(leader.value, "rust");
                increment(&client, "leader-count").await;
            });
            lead.await.unwrap();
        }
    };
    let theirs = go.run("election", "leader", ROUNDS);
    session.run(driver, join(ours, theirs)).await;
    assert_eq!(number(&client, "leader-count").await, 2 * ROUNDS);
}

#[tokio::test]
async fn items_of_a_queue_go_both_ways_in_order() {
    let (go, _, session, driver) = begin().await;
    let work = async {
        let queue = Queue::new(&session, "queue");
        go.run("push", "queue", 5).await;
        for item in 0..5 {
            assert_eq!(queue.pop().await.unwrap().value, format!("go-{item}"));
        }
        for item in 0..5 {
            queue.push(format!("rust-{item}")).await.unwrap();
        }
        let expected: Vec<_> = (0..5).map(|item| format!("rust-{item}")).collect();
        assert_eq!(go.run("pop", "queue", 5).await, expected);
        // One waits for the other.
        let pop = go.run("pop", "queue", 1);
        let push = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            queue.push("late").await.unwrap();
        };
        assert_eq!(join(pop, push).await.0, ["late"]);
        let (item, _) = join(queue.pop(), go.run("push", "queue", 1)).await;
        assert_eq!(item.unwrap().value, "go-0");
    };
    session.run(driver, work).await;
}

#[tokio::test]
async fn items_of_a_priority_queue_go_both_ways_in_order() {
    let (go, _, session, driver) = begin().await;
    let work = async {
        let queue = PriorityQueue::new(&session, "queue");
        // Their priorities are 0, 1, 2, 0, 1, 2.
        go.run("push-priority", "queue", 6).await;
        queue.push("ours", 1).await.unwrap();
        for item in ["go-0", "go-3", "go-1", "go-4", "ours", "go-2", "go-5"] {
            assert_eq!(queue.pop().await.unwrap().value, item);
        }
        for (item, priority) in [("c", 300), ("a", 2), ("b", 2)] {
            queue.push(item, priority).await.unwrap();
        }
        assert_eq!(go.run("pop-priority", "queue", 3).await, ["a", "b", "c"]);
    };
    session.run(driver, work).await;
}

#[tokio::test]
async fn a_counter_of_two_transactional_memories_loses_no_increment() {
    let (go, client, session, driver) = begin().await;
    let ours = async {
        let stm = Stm::new(client.v3()).exactly_once(&session).tries(1_000);
        for _ in 0..ROUNDS {
            let done = stm.run(async |txn| {
                let count: usize = txn.get_parsed("count").await?.unwrap_or(0);
                txn.put("count", (count + 1).to_string());
                Ok(())
            });
            done.await.unwrap();
        }
    };
    let theirs = go.run("stm", "count", ROUNDS);
    session.run(driver, join(ours, theirs)).await;
    assert_eq!(number(&client, "count").await, 2 * ROUNDS);
}

#[tokio::test]
async fn barriers_hold_and_release_the_other_side() {
    let (go, _, session, driver) = begin().await;
    let work = async {
        let barrier = Barrier::new(&session, "barrier");
        let pause = || tokio::time::sleep(Duration::from_millis(300));
        go.run("hold", "barrier", 0).await;
        let release = async {
            pause().await;
            go.run("release", "barrier", 0).await;
        };
        join(barrier.wait(), release).await.0.unwrap();

        barrier.hold().await.unwrap();
        // Go's barrier waits for a put, then a delete, from the present revision on: it is there while the barrier is held.
        let release = async {
            pause().await;
            barrier.release().await.unwrap();
        };
        join(go.run("wait", "barrier", 0), release).await;

        let double = DoubleBarrier::new(&session, "round", 2.try_into().unwrap());
        let ours = async { double.enter().await.unwrap().leave().await.unwrap() };
        join(ours, go.run("double-barrier", "round", 2)).await;
    };
    session.run(driver, work).await;
}
