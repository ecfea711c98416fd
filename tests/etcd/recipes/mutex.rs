//! Mutexes.

use std::{cell::Cell, pin::pin, time::Duration};

use etcd_http::{
    recipes::{Mutex, RecipeError},
    transport::Transport,
    v3::{KeyRange, Put, Txn},
};
use futures::future::{Either, join, join_all, select};
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            v3_102_a_mutex_is_a_key_of_name_and_lease,
            a_mutex_has_one_holder_at_a_time_and_tokens_rise,
            tasks_of_one_session_exclude_one_another,
            a_mutex_that_is_not_free_is_not_waited_for,
            a_wait_with_a_limit_leaves_the_queue,
            a_wait_that_is_dropped_leaves_the_queue,
            v3_107_a_transaction_tells_whether_the_mutex_is_held,
            work_under_a_mutex_ends_when_another_client_deletes_its_key,
            etcds_own_lock_with_the_same_name_excludes_the_mutex,
        }
        Three {
            a_wait_survives_the_death_of_the_leader,
        }
    }
}

async fn v3_102_a_mutex_is_a_key_of_name_and_lease<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        let key = format!("lock/{:x}", session.lease().get());
        assert_eq!(held.key(), &key);
        let kv = namespace(&etcd).kv().get(&key).await.unwrap().unwrap();
        assert_eq!(
            (kv.lease, kv.create_revision),
            (session.lease(), held.fencing_token())
        );
        assert!(kv.value.is_empty());
        held.release().await.unwrap();
        assert_eq!(namespace(&etcd).kv().get(&key).await.unwrap(), None);
    };
    session.run(driver, work).await;
}

async fn a_mutex_has_one_holder_at_a_time_and_tokens_rise<T: Transport>(etcd: Etcd<T>) {
    let holders = Cell::new(0);
    let last_token = Cell::new(0);
    let rounds = Cell::new(0);
    let worker = async || {
        let (session, driver) = session(&etcd).await;
        let work = async {
            for _ in 0..3 {
                let held = Mutex::new(&session, "lock").lock().await.unwrap();
                holders.set(holders.get() + 1);
                assert_eq!(holders.get(), 1);
                assert!(held.fencing_token() > last_token.get());
                last_token.set(held.fencing_token());
                etcd.sleep(5).await;
                holders.set(holders.get() - 1);
                rounds.set(rounds.get() + 1);
                held.release().await.unwrap();
            }
        };
        session.run(driver, work).await;
    };
    join_all((0..4).map(|_| worker())).await;
    assert_eq!(rounds.get(), 12);
}

async fn tasks_of_one_session_exclude_one_another<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let holders = Cell::new(0);
    let task = async || {
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        holders.set(holders.get() + 1);
        assert_eq!(holders.get(), 1);
        etcd.sleep(20).await;
        holders.set(0);
        let token = held.fencing_token();
        // The driver gives it up.
        drop(held);
        token
    };
    let work = async {
        let mut tokens = join_all((0..3).map(|_| task())).await;
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), 3);
    };
    session.run(driver, work).await;
}

async fn a_mutex_that_is_not_free_is_not_waited_for<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let (mine, theirs) = (Mutex::new(&first, "lock"), Mutex::new(&second, "lock"));
        let held = mine.try_lock().await.unwrap().unwrap();
        assert!(theirs.try_lock().await.unwrap().is_none());
        assert!(mine.try_lock().await.unwrap().is_none());
        // It has left no trace.
        let queue = KeyRange::prefix("lock/");
        assert_eq!(namespace(&etcd).kv().count(queue).await.unwrap(), 1);
        let token = held.fencing_token();
        held.release().await.unwrap();
        let held = theirs.try_lock().await.unwrap().unwrap();
        assert!(held.fencing_token() > token);
    };
    first.run(driver, second.run(other, work)).await;
}

async fn a_wait_with_a_limit_leaves_the_queue<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let held = Mutex::new(&first, "lock").lock().await.unwrap();
        let limit = Duration::from_millis(300);
        let late = Mutex::new(&second, "lock").lock_within(limit).await;
        let error = late.unwrap_err();
        assert!(error.is_timed_out(), "{error}");
        until_queued(&etcd, 1).await;
        held.release().await.unwrap();
        let mutex = Mutex::new(&second, "lock");
        mutex.lock_within(Duration::from_secs(60)).await.unwrap();
    };
    first.run(driver, second.run(other, work)).await;
}

/// Waits until so many have the lock or wait for it.
async fn until_queued<T: Transport>(etcd: &Etcd<T>, count: i64) {
    let queue = KeyRange::prefix("lock/");
    let kv = namespace(etcd);
    etcd.until(async || kv.kv().count(&queue).await.unwrap() == count)
        .await;
}

async fn a_wait_that_is_dropped_leaves_the_queue<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let _held = Mutex::new(&first, "lock").lock().await.unwrap();
        {
            let mutex = Mutex::new(&second, "lock");
            let (lock, queued) = (pin!(mutex.lock()), pin!(until_queued(&etcd, 2)));
            assert!(matches!(select(lock, queued).await, Either::Right(_)));
        }
        until_queued(&etcd, 1).await;
    };
    first.run(driver, second.run(other, work)).await;
}

async fn v3_107_a_transaction_tells_whether_the_mutex_is_held<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        let write = Txn::new()
            .when(held.is_held_compare())
            .then(Put::new("data", "x"));
        let here = namespace(&etcd);
        assert!(here.send(write.clone()).await.unwrap().succeeded);
        held.release().await.unwrap();
        assert!(!here.send(write.clone()).await.unwrap().succeeded);
        let _again = Mutex::new(&session, "lock").lock().await.unwrap();
        assert!(!here.send(write).await.unwrap().succeeded);
    };
    session.run(driver, work).await;
}

async fn work_under_a_mutex_ends_when_another_client_deletes_its_key<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        assert_eq!(held.run(async { 7 }).await.unwrap(), 7);
        let delete = async {
            etcd.sleep(300).await;
            namespace(&etcd).kv().delete(held.key()).await.unwrap();
        };
        let (ended, ()) = join(held.run(std::future::pending::<()>()), delete).await;
        let error = ended.unwrap_err();
        assert!(matches!(error, RecipeError::KeyDeleted { .. }), "{error}");
    };
    session.run(driver, work).await;
}

async fn etcds_own_lock_with_the_same_name_excludes_the_mutex<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let here = namespace(&etcd);
    let minute = Duration::from_secs(60);
    let lease = etcd.v3().leases().grant(minute).await.unwrap().id;
    let work = async {
        let mutex = Mutex::new(&session, "lock");
        let theirs = here.lock("lock", lease).await.unwrap();
        let limit = Duration::from_millis(300);
        let error = mutex.lock_within(limit).await.unwrap_err();
        assert!(error.is_timed_out(), "{error}");
        here.unlock(&theirs.key).await.unwrap();
        let held = mutex.lock().await.unwrap();
        {
            let (lock, nap) = (pin!(here.lock("lock", lease)), pin!(etcd.sleep(300)));
            assert!(matches!(select(lock, nap).await, Either::Right(_)));
        }
        held.release().await.unwrap();
        here.lock("lock", lease).await.unwrap();
        etcd.v3().leases().revoke(lease).await.unwrap();
    };
    session.run(driver, work).await;
}

/// The lock is handed over, though the leader died while the wait went on, and guarded writes go on.
async fn a_wait_survives_the_death_of_the_leader<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let held = Mutex::new(&first, "lock").lock().await.unwrap();
        let wait = async { Mutex::new(&second, "lock").lock().await.unwrap() };
        let kill = async {
            until_queued(&etcd, 2).await;
            etcd.meanwhile(|host| {
                host.kill(host.leader());
                // The release is not sent twice.
                host.leader()
            })
            .await;
            held.release().await.unwrap();
        };
        let (next, ()) = join(wait, kill).await;
        let here = namespace(&etcd);
        let write = Txn::new().when(next.is_held_compare());
        let write = here.send(write.then(Put::new("data", "x"))).await;
        // In an election, a write may be refused; it never finds that the lock is not held.
        assert!(write.is_err() || write.unwrap().succeeded);
        next.release().await.unwrap();
    };
    first.run(driver, second.run(other, work)).await;
}
