//! Waits: every request of one fails in every way, and history is compacted while it lasts.

use std::time::Duration;

use etcd_http::{
    fake::{FakeEtcd, Fault, When},
    recipes::{DoubleBarrier, Election, Mutex, Queue, RwMutex, Semaphore},
    transport::Transport,
};
use futures::future::{join, join3};

use super::session;
use crate::support::{block_on, jumping, millis, misfortunes, seconds};

/// Two sessions take turns.
async fn turns(etcd: &FakeEtcd) {
    let (first, driver) = session(etcd).await;
    let (second, other) = session(etcd).await;
    let work = async {
        let held = Mutex::new(&first, "lock").lock().await.unwrap();
        let wait = async {
            let next = Mutex::new(&second, "lock").lock().await.unwrap();
            assert!(next.fencing_token() > 0);
            assert_eq!(etcd.get_prefix("lock/").len(), 1);
            next.release().await.unwrap();
        };
        let release = async {
            etcd.sleep(millis(200)).await;
            held.release().await.unwrap();
        };
        join(wait, release).await;
        // A late request is over, too.
        etcd.sleep(seconds(20)).await;
        assert!(etcd.get_prefix("lock/").is_empty(), "{}", etcd.log_text());
    };
    first.run(driver, second.run(other, work)).await;
}

/// Each request for keys, in turn, meets each fault. A lease that is not lost meanwhile makes a wait succeed.
#[test]
fn r_2_a_mutex_survives_every_fault_of_every_request() {
    for misfortune in misfortunes() {
        for nth in 1..=8 {
            let etcd = jumping().build();
            etcd.inject(
                When::any().path("/v3/kv/*").nth(nth),
                misfortune.fault.clone(),
            );
            // Late requests and retries take longer than the TTL of a session that is not renewed: these are.
            block_on(turns(&etcd));
        }
        let etcd = jumping().build();
        etcd.inject(
            When::any().path("/v3/watch").once(),
            misfortune.fault.clone(),
        );
        block_on(turns(&etcd));
    }
}

#[test]
fn t_6_a_wait_survives_compaction_and_a_restart() {
    let etcd = jumping().build();
    block_on(async {
        let (first, driver) = session(&etcd).await;
        let (second, other) = session(&etcd).await;
        let work = async {
            let held = Mutex::new(&first, "lock").lock().await.unwrap();
            let wait = async { Mutex::new(&second, "lock").lock().await.unwrap() };
            let trouble = async {
                etcd.sleep(millis(200)).await;
                // The watch is cut, and what it is to resume after is compacted.
                etcd.inject(
                    When::any().path("/v3/watch").once(),
                    Fault::before(FakeEtcd::compact),
                );
                etcd.restart();
                held.release().await.unwrap();
                etcd.compact();
            };
            let (next, ()) = join(wait, trouble).await;
            next.release().await.unwrap();
        };
        first.run(driver, second.run(other, work)).await;
    });
    assert!(etcd.elapsed() < seconds(60), "{:?}", etcd.elapsed());
}

#[test]
fn a_release_wakes_one_waiter() {
    let etcd = jumping().log_capacity(100_000).build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let (others, other) = self::session(&etcd).await;
        let work = async {
            // Each waits with a key of its own.
            let lock = RwMutex::new(&session, "lock");
            let held = lock.write().await.unwrap();
            let wait = async |number: usize| {
                etcd.sleep(millis(number as u64)).await;
                let held = RwMutex::new(&others, "lock").write().await.unwrap();
                held.release().await.unwrap();
            };
            let release = async {
                etcd.sleep(seconds(1)).await;
                etcd.clear_log();
                held.release().await.unwrap();
            };
            join(futures::future::join_all((0..100).map(wait)), release).await;
        };
        session.run(driver, others.run(other, work)).await;
    });
    // For each hand-over: a read, the next one's watch is open already, and a delete.
    let requests = etcd.count(&When::any().path("/v3/kv/*"));
    assert!(requests <= 250, "{requests}");
}

#[test]
fn elections_semaphores_and_barriers_survive_faults_of_every_kind() {
    for misfortune in misfortunes() {
        for nth in 1..=6 {
            let etcd = jumping().build();
            let path = if nth % 2 == 0 {
                "/v3/kv/txn"
            } else {
                "/v3/kv/*"
            };
            etcd.inject(When::any().path(path).nth(nth), misfortune.fault.clone());
            block_on(async {
                let (first, driver) = session(&etcd).await;
                let (second, other) = session(&etcd).await;
                let lead = async |session, name: &'static str| {
                    let election = Election::new(session, "leader");
                    let lead = election.run_while_leader("", async |leadership| {
                        leadership.proclaim(name).await.unwrap();
                        etcd.get_prefix("leader/").iter().any(|kv| kv.value == name)
                    });
                    assert!(lead.await.unwrap());
                };
                let permit = async |session| {
                    let two = 2.try_into().unwrap();
                    let semaphore = Semaphore::new(session, "limit", two);
                    for _ in 0..2 {
                        semaphore.acquire().await.unwrap().release().await.unwrap();
                    }
                };
                let meet = async |session| {
                    let two = 2.try_into().unwrap();
                    let barrier = DoubleBarrier::new(session, "round", two);
                    barrier.enter().await.unwrap().leave().await.unwrap();
                };
                let work = join3(
                    join(lead(&first, "ada"), lead(&second, "brian")),
                    join(permit(&first), permit(&second)),
                    join(meet(&first), meet(&second)),
                );
                first.run(driver, second.run(other, work)).await;
            });
        }
    }
}

/// All who took part in a round have died, or left without waiting.
#[test]
fn a_barrier_of_participants_that_died_is_not_open_for_those_after_them() {
    let etcd = jumping().build();
    let two = 2.try_into().unwrap();
    block_on(async {
        let (dying, driver) = session(&etcd).await;
        let enter = async || {
            let barrier = DoubleBarrier::new(&dying, "round", two);
            barrier.enter().await.unwrap()
        };
        let (one, other) = dying.run(driver, join(enter(), enter())).await;
        drop((one, other));
        assert_eq!(etcd.get_prefix("round/").len(), 1, "only that it was open");
        let (next, driver) = session(&etcd).await;
        let work = async {
            let barrier = DoubleBarrier::new(&next, "round", two);
            let late = async {
                etcd.sleep(seconds(3)).await;
                barrier.enter().await.unwrap()
            };
            let early = async {
                let entered = barrier.enter().await.unwrap();
                assert!(etcd.elapsed() >= seconds(3), "alone");
                entered
            };
            let (early, late) = join(early, late).await;
            // One that comes while they leave is one too many.
            let leave = async { join(early.leave(), late.leave()).await };
            let third = async { barrier.enter().await.map(drop) };
            let (third, left) = join(third, leave).await;
            assert!(third.is_err());
            left.0.unwrap();
            left.1.unwrap();
        };
        next.run(driver, work).await;
    });
    assert!(etcd.get_prefix("round/").is_empty());
}

/// The state of the queue is read where the event came from. Another member may lag behind, and then all are asked.
#[test]
fn a_wait_does_not_end_by_what_a_member_that_lags_behind_says() {
    let etcd = jumping().members(3).build();
    block_on(async {
        let (first, driver) = session(&etcd).await;
        let (second, other) = session(&etcd).await;
        let work = async {
            let held = Mutex::new(&first, "lock").lock().await.unwrap();
            let wait = async {
                let next = Mutex::new(&second, "lock").lock().await.unwrap();
                assert_eq!(etcd.get_prefix("lock/").len(), 1);
                next.release().await.unwrap();
            };
            let release = async {
                etcd.sleep(millis(200)).await;
                let delete = When::any().path("/v3/kv/txn").once();
                // The read that follows is refused where the event came from.
                let elsewhere = |etcd: &FakeEtcd| {
                    let refused = When::any().path("/v3/kv/txn").endpoint(0).once();
                    etcd.inject(refused, Fault::refuse());
                };
                etcd.endpoint(1).lag();
                etcd.endpoint(2).lag();
                etcd.inject(delete, Fault::after(elsewhere));
                etcd.clear_log();
                held.release().await.unwrap();
                etcd.sleep(seconds(1)).await;
                etcd.endpoint(1).catch_up();
                etcd.endpoint(2).catch_up();
            };
            join(wait, release).await;
        };
        first.run(driver, second.run(other, work)).await;
    });
    let own = |line: &&String| line.contains("serializable");
    let lines = etcd.lines();
    assert_eq!(lines.iter().filter(own).count(), 2, "{}", etcd.log_text());
}

#[test]
fn a_limit_that_no_clock_can_hold_is_none() {
    let etcd = jumping().build();
    block_on(async {
        let (first, driver) = session(&etcd).await;
        let (second, other) = session(&etcd).await;
        let work = async {
            let held = Mutex::new(&first, "lock").lock().await.unwrap();
            let next = Mutex::new(&second, "lock");
            let release = async {
                etcd.sleep(seconds(100)).await;
                held.release().await.unwrap();
            };
            let (next, ()) = join(next.lock_within(Duration::MAX), release).await;
            next.unwrap();
        };
        first.run(driver, second.run(other, work)).await;
    });
}

#[test]
fn names_of_which_one_begins_with_the_other_are_apart() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let two = Mutex::new(&session, "lock2").lock().await.unwrap();
            let one = Mutex::new(&session, "lock").try_lock().await.unwrap();
            assert!(one.is_some());
            two.release().await.unwrap();
        };
        session.run(driver, work).await;
    });
}

/// Its watch cannot go on there, and a read shows what there is.
#[test]
fn a_wait_goes_on_in_a_store_that_is_restored_from_a_backup() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let queue = Queue::new(&session, "jobs");
        let work = async {
            let backup = etcd.fork();
            for number in 1..6 {
                etcd.put("other", number.to_string());
            }
            let restore = async {
                etcd.sleep(seconds(1)).await;
                etcd.restore(&backup);
                etcd.sleep(seconds(10)).await;
                etcd.put("jobs/1", "x");
            };
            let (item, ()) = join(queue.pop(), restore).await;
            assert_eq!(item.unwrap().value, "x");
        };
        session.run(driver, work).await;
    });
}
