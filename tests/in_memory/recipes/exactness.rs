//! Pushes, pops, additions and transactions are applied exactly once, whatever fails.

use etcd_http::{
    fake::{FakeEtcd, When},
    recipes::{Counter, PriorityQueue, Queue, Stm},
    transport::Transport,
};

use super::session;
use crate::support::{Misfortune, block_on, jumping, misfortunes, seconds};

fn each_fault_of_each_request(requests: u64, test: impl AsyncFn(&FakeEtcd)) {
    for misfortune in misfortunes() {
        for nth in 1..=requests {
            let etcd = jumping().build();
            let when = When::any().path("/v3/kv/*").nth(nth);
            etcd.inject(when, misfortune.fault.clone());
            println!("{}, request {nth}", misfortune.name);
            block_on(test(&etcd));
        }
    }
}

#[test]
fn r_6_items_are_neither_lost_nor_doubled() {
    each_fault_of_each_request(8, async |etcd| {
        let (session, driver) = session(etcd).await;
        let queue = Queue::new(&session, "queue");
        let work = async {
            for item in ["a", "b"] {
                queue.push(item).await.unwrap();
            }
            for item in ["a", "b"] {
                assert_eq!(queue.pop().await.unwrap().value, item);
            }
            queue.push("c").await.unwrap();
            // Late requests have arrived.
            etcd.sleep(seconds(60)).await;
            assert_eq!(queue.pop().await.unwrap().value, "c");
            assert_eq!(queue.try_pop().await.unwrap(), None);
        };
        session.run(driver, work).await;
    });
}

#[test]
fn r_6_items_with_priorities_are_neither_lost_nor_doubled() {
    each_fault_of_each_request(8, async |etcd| {
        let (session, driver) = session(etcd).await;
        let queue = PriorityQueue::new(&session, "queue");
        let work = async {
            queue.push("b", 2).await.unwrap();
            queue.push("a", 1).await.unwrap();
            etcd.sleep(seconds(60)).await;
            for item in ["a", "b"] {
                assert_eq!(queue.pop().await.unwrap().value, item);
            }
            etcd.sleep(seconds(60)).await;
            assert_eq!(queue.try_pop().await.unwrap(), None);
        };
        session.run(driver, work).await;
    });
}

#[test]
fn r_6_numbers_are_added_once() {
    each_fault_of_each_request(6, async |etcd| {
        let (session, driver) = session(etcd).await;
        let counter = Counter::new(&session, "ids");
        let work = async {
            for expected in 1..=3 {
                assert_eq!(counter.add(1).await.unwrap(), expected);
            }
            etcd.sleep(seconds(60)).await;
            assert_eq!(counter.get().await.unwrap(), 3);
        };
        session.run(driver, work).await;
    });
}

/// The transaction deletes what it compares: only a receipt tells a second request that the first one was applied.
#[test]
fn r_6_transactions_with_a_session_are_applied_once() {
    each_fault_of_each_request(6, async |etcd| {
        let (session, driver) = session(etcd).await;
        let stm = Stm::new(session.namespace()).exactly_once(&session);
        let work = async {
            for expected in 1..=3_i64 {
                let moved = stm.run(async |txn| {
                    let count: i64 = txn.get_parsed("count").await?.unwrap_or(0);
                    txn.put("count", (count + 1).to_string());
                    txn.delete(format!("done/{count}"));
                    txn.put(format!("done/{}", count + 1), "");
                    Ok(count + 1)
                });
                let done = moved.await.unwrap();
                assert_eq!(done.output, expected);
                let count = etcd.get("count").unwrap();
                assert_eq!(count.mod_revision, done.revision);
            }
            etcd.sleep(seconds(60)).await;
            assert_eq!(etcd.get("count").unwrap().value, "3");
            assert_eq!(etcd.get_prefix("done/").len(), 1);
        };
        session.run(driver, work).await;
    });
}

/// Without a session, a lost response is an error, and nothing is sent again.
#[test]
fn r_2_a_transaction_without_a_session_is_sent_once_when_in_doubt() {
    for Misfortune { name, fault, .. } in misfortunes() {
        let etcd = jumping().build();
        let client = crate::support::client(&etcd);
        etcd.inject(When::any().path("/v3/kv/txn").once(), fault);
        let done = block_on(Stm::new(client.v3()).run(async |txn| {
            let count: i64 = txn.get_parsed("count").await?.unwrap_or(0);
            txn.put("count", (count + 1).to_string());
            Ok(())
        }));
        block_on(etcd.sleep(seconds(60)));
        let stored = etcd.get("count").map(|kv| kv.value);
        match done {
            Ok(_) => assert_eq!(stored.unwrap(), "1", "{name}"),
            Err(error) => {
                let etcd_http::recipes::RecipeError::Client(error) = error else {
                    panic!("{name}: {error}");
                };
                assert_eq!(
                    error.outcome(),
                    etcd_http::Outcome::Unknown,
                    "{name}: {error}"
                );
                assert!(stored.is_none_or(|stored| stored == "1"), "{name}");
            }
        }
    }
}
