//! Pushes, pops, additions and transactions are applied exactly once, whatever fails.

use std::fmt::Debug;

use etcd_http::{
    EtcdErrorKind, Outcome,
    fake::{FakeEtcd, Fault, When},
    recipes::{self, Counter, PriorityQueue, Queue, RecipeError, Session, Stm},
    transport::{Transport, http::Response},
    v3::KeyRange,
};
use futures::future::join;

use super::session;
use crate::support::{Misfortune, block_on, jumping, millis, misfortunes, seconds};

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
                let RecipeError::Client(error) = error else {
                    panic!("{name}: {error}");
                };
                assert_eq!(error.outcome(), Outcome::Unknown, "{name}: {error}");
                assert!(stored.is_none_or(|stored| stored == "1"), "{name}");
            }
        }
    }
}

/// The response to the first request is lost, and etcd refuses the next one: the first one was applied.
#[test]
fn r_2_a_refusal_after_a_lost_response_does_not_say_that_nothing_was_done() {
    async fn refused<O: Debug>(
        write: impl AsyncFnOnce(&Session<FakeEtcd>) -> Result<O, RecipeError>,
        stored: &str,
    ) {
        let etcd = jumping().build();
        let (session, driver) = session(&etcd).await;
        etcd.inject(When::any().path("/v3/kv/txn").once(), Fault::break_after());
        let refuse = async {
            etcd.sleep(millis(5)).await;
            etcd.exhaust_space();
        };
        let work = join(write(&session), refuse);
        let (done, ()) = session.run(driver, work).await;
        let Err(RecipeError::Client(error)) = done else {
            panic!("{done:?}");
        };
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::NoSpace), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!(etcd.get_prefix(stored).len(), 1);
    }
    block_on(async {
        let push = async |session: &_| Queue::new(session, "queue").push("a").await;
        refused(push, "queue/").await;
        let count = async |session: &_| Counter::new(session, "count").add(1).await;
        refused(count, "count").await;
        let transact = async |session: &Session<FakeEtcd>| {
            let stm = Stm::new(session.namespace()).exactly_once(session);
            let done = stm.run(async |txn| {
                txn.put("key", "");
                Ok(())
            });
            done.await
        };
        refused(transact, "key").await;
    });
}

/// etcd ends a lease before its holder notices, and with it the key that tells what was applied.
#[test]
fn nothing_is_reported_as_applied_in_a_session_whose_lease_has_ended() {
    for by_another_client in [false, true] {
        let etcd = jumping().build();
        block_on(async {
            let (session, driver) = session(&etcd).await;
            let work = async {
                let queue = Queue::new(&session, "queue");
                let counter = Counter::new(&session, "count");
                let stm = Stm::new(session.namespace()).exactly_once(&session);
                let put = async || {
                    let done = stm.run(async |txn| {
                        txn.put("key", "");
                        Ok(())
                    });
                    done.await.map(|done| done.revision)
                };
                queue.push("a").await.unwrap();
                counter.add(1).await.unwrap();
                put().await.unwrap();
                let key = etcd.get("key").unwrap();
                let revision = etcd.revision();
                let leases = crate::support::client(&etcd);
                if by_another_client {
                    let receipts = KeyRange::prefix("__receipts/");
                    leases.v3().kv().delete(receipts).await.unwrap();
                } else {
                    let revoked = leases.v3().leases().revoke(session.lease());
                    revoked.await.unwrap();
                }
                assert_eq!(etcd.revision(), revision + 1);
                let failed = queue.push("b").await.unwrap_err();
                match by_another_client {
                    true => assert!(matches!(failed, RecipeError::KeyDeleted { .. }), "{failed}"),
                    false => assert!(failed.is_session_over(), "{failed}"),
                }
                assert_eq!(etcd.get_prefix("queue/").len(), 1);
                // Once it is known, another lane, or none, is used.
                if !by_another_client {
                    counter.add(1).await.unwrap_err();
                    put().await.unwrap_err();
                    assert_eq!(etcd.get("key").unwrap(), key);
                }
            };
            session.run(driver, work).await;
        });
    }
}

#[test]
fn r_2_a_refusal_over_v2_after_a_lost_response_does_not_say_that_nothing_was_done() {
    let etcd = jumping().build();
    let client = crate::support::client(&etcd);
    let path = "/v2/keys/*";
    etcd.inject(When::any().path(path).once(), Fault::break_after());
    let mut refusal = Response::new(
        br#"{"errorCode":110,"message":"insufficient credentials","cause":"","index":0}"#.to_vec(),
    );
    *refusal.status_mut() = 401.try_into().unwrap();
    etcd.inject(When::any().path(path).nth(2), Fault::respond(refusal));
    let registry = recipes::v2::Registry::new(&client, "/web", seconds(60));
    let error = block_on(registry.register("a", "1")).unwrap_err();
    let RecipeError::Client(error) = error else {
        panic!("{error}");
    };
    assert!(error.as_etcd().is_some(), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(etcd.value("/web/a").unwrap(), b"1");
}
