//! Items of queues that are claimed: none is lost when its consumer dies, and each is acknowledged once.

use std::cell::{Cell, RefCell};

use etcd_http::{
    fake::{FakeEtcd, Fault, When},
    recipes::{Claim, PriorityQueue, Queue, RecipeError, Session},
    transport::Transport,
};
use futures::future::{Either, join, join_all, select};

use super::{TTL, safety::explore, session};
use crate::support::{block_on, client, jumping, millis, misfortunes, seconds};

fn text(claim: &Claim<FakeEtcd>) -> String {
    String::from_utf8_lossy(claim.value()).into_owned()
}

#[test]
fn an_item_whose_consumer_dies_is_claimed_again_before_those_after_it() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let (other, dies) = super::session(&etcd).await;
        let work = async {
            let (queue, others) = (Queue::new(&session, "jobs"), Queue::new(&other, "jobs"));
            queue.push("a").await.unwrap();
            queue.push("b").await.unwrap();
            let claimed = others.claim().await.unwrap();
            assert_eq!((text(&claimed).as_str(), claimed.attempts()), ("a", 1));
            // No other consumer gets it.
            let next = queue.claim().await.unwrap();
            assert_eq!(text(&next), "b");
            next.release().await.unwrap();
            let next = queue.claim().await.unwrap();
            assert_eq!((text(&next).as_str(), next.attempts()), ("b", 2));
            assert!(queue.try_claim().await.unwrap().is_none());
            // Its lease is no longer renewed.
            drop(dies);
            let began = etcd.elapsed();
            let again = queue.claim().await.unwrap();
            assert!(etcd.elapsed() - began > seconds(5));
            assert_eq!((text(&again).as_str(), again.attempts()), ("a", 2));
            assert!(again.fencing_token() > claimed.fencing_token());
            // The one who was thought dead cannot acknowledge it.
            let late = claimed.ack().await.unwrap_err();
            assert!(matches!(late, RecipeError::SessionLost(_)), "{late}");
            again.ack().await.unwrap();
            next.ack().await.unwrap();
            assert!(etcd.get_prefix("__claim").is_empty());
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_claim_that_is_dropped_or_deleted_is_given_to_another() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let queue = PriorityQueue::new(&session, "jobs");
        let work = async {
            queue.push("late", 9).await.unwrap();
            queue.push("soon", 1).await.unwrap();
            let soon = queue.claim().await.unwrap();
            assert_eq!(text(&soon), "soon");
            // It has the key that the first one had.
            queue.push("sooner", 1).await.unwrap();
            let second = queue.claim().await.unwrap();
            assert_eq!(text(&second), "sooner");
            drop(soon);
            etcd.sleep(seconds(1)).await;
            // By priority, and not by who was claimed first.
            let again = queue.claim().await.unwrap();
            assert_eq!((text(&again).as_str(), again.attempts()), ("soon", 2));
            // Another client deletes the claim.
            let claims = client(&etcd);
            let key = again.key().clone();
            claims.v3().kv().delete(&key).await.unwrap();
            let refused = again.ack().await.unwrap_err();
            assert!(
                matches!(refused, RecipeError::KeyDeleted { .. }),
                "{refused}"
            );
            for expected in ["soon", "late"] {
                let claim = queue.claim().await.unwrap();
                assert_eq!(text(&claim), expected);
                claim.ack().await.unwrap();
            }
            second.ack().await.unwrap();
            assert!(queue.try_claim().await.unwrap().is_none());
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_claim_in_doubt_that_is_given_up_leaves_the_next_one_of_its_session_alone() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let queue = Queue::new(&session, "jobs");
            queue.push("a").await.unwrap();
            // The read comes first, then the transaction that takes the item.
            let when = When::any().path("/v3/kv/txn").nth(2);
            etcd.inject(when, Fault::break_after());
            drop(queue.claim().await.unwrap());
            etcd.sleep(seconds(1)).await;
            let again = queue.claim().await.unwrap();
            assert_eq!(again.attempts(), 2);
            // By then a late put of the first one has been deleted.
            etcd.sleep(seconds(20)).await;
            assert!(queue.try_claim().await.unwrap().is_none());
            again.ack().await.unwrap();
        };
        session.run(driver, work).await;
    });
}

#[test]
fn r_6_items_are_claimed_and_acknowledged_once_whatever_fails() {
    for misfortune in misfortunes() {
        for nth in 1..=8 {
            let etcd = jumping().build();
            let when = When::any().path("/v3/kv/*").nth(nth);
            etcd.inject(when, misfortune.fault.clone());
            block_on(async {
                let (session, driver) = session(&etcd).await;
                let queue = Queue::new(&session, "jobs");
                let work = async {
                    for item in ["a", "b"] {
                        queue.push(item).await.unwrap();
                    }
                    for item in ["a", "b"] {
                        let claim = queue.claim().await.unwrap();
                        assert_eq!(text(&claim), item, "{}, {nth}", misfortune.name);
                        claim.ack().await.unwrap();
                    }
                    // Late requests have arrived.
                    etcd.sleep(seconds(60)).await;
                    assert!(queue.try_claim().await.unwrap().is_none());
                    assert!(etcd.get_prefix("__claim").is_empty());
                };
                session.run(driver, work).await;
            });
        }
    }
}

/// Consumers die with an item, or lose their session, and others go on. Each item whose push succeeded is acknowledged once, or at
/// the time when a session was lost.
#[test]
fn no_item_is_lost_with_its_consumer_and_none_is_acknowledged_twice() {
    const ITEMS: usize = 4;
    explore("claims", async |etcd| {
        let (pushed, maybe) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let acked = RefCell::new(Vec::new());
        let unknown = RefCell::new(Vec::new());
        let is_pushed = Cell::new(false);
        let is_empty =
            || etcd.get_prefix("jobs/").is_empty() && etcd.get_prefix("__claim").is_empty();
        let open = async || loop {
            match Session::open(client(&etcd).v3(), TTL).await {
                Ok(opened) => break opened,
                Err(_) => etcd.sleep(seconds(1)).await,
            }
        };
        let produce = async {
            for number in 0..ITEMS {
                let (session, driver) = open().await;
                let queue = Queue::new(&session, "jobs");
                let item = format!("{number}");
                match session.run(driver, queue.push(&item)).await {
                    Ok(_) => pushed.borrow_mut().push(item),
                    Err(_) => maybe.borrow_mut().push(item),
                }
            }
            is_pushed.set(true);
        };
        // One session after the other; each second one dies with an item.
        let consume = async |number: usize| {
            for life in number.. {
                let (session, driver) = open().await;
                let queue = Queue::new(&session, "jobs");
                let dies = life % 2 == 0 && life < 8;
                let work = async {
                    loop {
                        let claim = match queue.try_claim().await {
                            Ok(Some(claim)) => claim,
                            Ok(None) if is_pushed.get() && is_empty() => {
                                // What is late has arrived.
                                etcd.sleep(seconds(20)).await;
                                if is_empty() {
                                    return (true, None);
                                }
                                continue;
                            }
                            Ok(None) => {
                                etcd.sleep(millis(700)).await;
                                continue;
                            }
                            Err(_) => return (false, None),
                        };
                        etcd.sleep(millis(300)).await;
                        if dies {
                            return (false, Some(claim));
                        }
                        let item = text(&claim);
                        match claim.ack().await {
                            Ok(()) => acked.borrow_mut().push(item),
                            Err(RecipeError::KeyDeleted { .. }) => {}
                            Err(_) => unknown.borrow_mut().push(item),
                        }
                    }
                };
                let (is_over, claim, driver) = match select(Box::pin(work), driver).await {
                    Either::Left(((is_over, claim), driver)) => (is_over, claim, Some(driver)),
                    Either::Right(_) => (false, None, None),
                };
                match driver {
                    // The item stays claimed until the lease ends.
                    Some(driver) if dies => drop(driver),
                    Some(driver) => {
                        drop((queue, session));
                        driver.await;
                    }
                    None => {}
                }
                drop(claim);
                if is_over {
                    return;
                }
            }
        };
        join(produce, join_all((0..2).map(consume))).await;
        let (mut acked, unknown) = (acked.into_inner(), unknown.into_inner());
        acked.sort_unstable();
        let all = acked.len();
        acked.dedup();
        if acked.len() != all {
            return Err(format!("acknowledged twice: {acked:?}"));
        }
        let (pushed, maybe) = (pushed.into_inner(), maybe.into_inner());
        let is_done = |item: &&String| acked.contains(item) || unknown.contains(item);
        if let Some(item) = pushed.iter().find(|item| !is_done(item)) {
            return Err(format!("{item} is lost: {acked:?}, {unknown:?} unknown"));
        }
        match acked
            .iter()
            .find(|item| !pushed.contains(item) && !maybe.contains(item))
        {
            Some(item) => Err(format!("{item} was never pushed")),
            None => Ok(()),
        }
    });
}

#[test]
fn a_key_of_others_below_a_priority_does_not_cost_an_item() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let queue = PriorityQueue::new(&session, "jobs");
            etcd.put("jobs/00010/5", "foreign");
            let error = queue.push("a", 10).await.unwrap_err();
            assert!(
                matches!(error, RecipeError::UnexpectedValue { .. }),
                "{error}"
            );
            queue.push("b", 11).await.unwrap();
        };
        session.run(driver, work).await;
    });
}
