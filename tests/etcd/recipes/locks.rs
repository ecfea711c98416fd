//! Locks for readers and writers, and semaphores.

use std::{cell::Cell, time::Duration};

use etcd_http::{
    recipes::{RwMutex, Semaphore},
    transport::Transport,
    v3::KeyRange,
};
use futures::future::join_all;
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            readers_share_a_lock_and_a_writer_is_alone,
            a_waiting_writer_is_not_starved_by_readers,
            the_keys_of_readers_and_writers_are_those_of_go,
            a_semaphore_has_as_many_holders_as_permits,
            a_permit_that_is_given_up_goes_to_the_next_in_the_queue,
        }
    }
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

async fn readers_share_a_lock_and_a_writer_is_alone<T: Transport>(etcd: Etcd<T>) {
    let (readers, writers) = (Cell::new(0), Cell::new(0));
    let most_readers = Cell::new(0);
    let worker = async |number: usize| {
        let (session, driver) = session(&etcd).await;
        let lock = RwMutex::new(&session, "lock");
        let work = async {
            for round in 0..3 {
                if (number + round).is_multiple_of(3) {
                    let held = lock.write().await.unwrap();
                    writers.set(writers.get() + 1);
                    assert_eq!((readers.get(), writers.get()), (0, 1));
                    etcd.sleep(10).await;
                    writers.set(0);
                    held.release().await.unwrap();
                } else {
                    let held = lock.read().await.unwrap();
                    readers.set(readers.get() + 1);
                    most_readers.set(readers.get().max(most_readers.get()));
                    assert_eq!(writers.get(), 0);
                    etcd.sleep(10).await;
                    readers.set(readers.get() - 1);
                    held.release().await.unwrap();
                }
            }
        };
        session.run(driver, work).await;
    };
    join_all((0..4).map(worker)).await;
    assert!(most_readers.get() >= 1);
}

async fn a_waiting_writer_is_not_starved_by_readers<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let lock = RwMutex::new(&session, "lock");
    let kv = namespace(&etcd);
    let until_queued = async |prefix: &str, count| {
        let queue = KeyRange::prefix(prefix);
        etcd.until(async || kv.kv().count(&queue).await.unwrap() == count)
            .await;
    };
    let work = async {
        let first = lock.read().await.unwrap();
        let second = lock.read_within(LONG).await.unwrap();
        let order = std::cell::RefCell::new(Vec::new());
        let write = async {
            let held = lock.write().await.unwrap();
            order.borrow_mut().push("writer");
            held.release().await.unwrap();
        };
        let read = async {
            until_queued("lock/write/", 1).await;
            let held = lock.read().await.unwrap();
            order.borrow_mut().push("reader");
            held.release().await.unwrap();
        };
        let release = async {
            until_queued("lock/read/", 3).await;
            assert!(order.borrow().is_empty());
            first.release().await.unwrap();
            second.release().await.unwrap();
        };
        futures::join!(write, read, release);
        assert_eq!(*order.borrow(), ["writer", "reader"]);
    };
    session.run(driver, work).await;
}

async fn the_keys_of_readers_and_writers_are_those_of_go<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let lock = RwMutex::new(&session, "lock");
    let kv = namespace(&etcd);
    let work = async {
        for (held, prefix) in [
            (lock.read().await.unwrap(), "lock/read/"),
            (
                RwMutex::new(&session, "other").write().await.unwrap(),
                "other/write/",
            ),
        ] {
            assert!(held.key().starts_with(prefix.as_bytes()), "{held:?}");
            let found = kv.kv().range(KeyRange::prefix(prefix)).await.unwrap();
            assert_eq!(found.count, 1);
            assert_eq!(found.kvs[0].lease, session.lease());
        }
    };
    session.run(driver, work).await;
}

async fn a_semaphore_has_as_many_holders_as_permits<T: Transport>(etcd: Etcd<T>) {
    let (holders, most) = (Cell::new(0), Cell::new(0));
    let worker = async |_| {
        let (session, driver) = session(&etcd).await;
        let semaphore = Semaphore::new(&session, "limit", 2.try_into().unwrap());
        let work = async {
            for _ in 0..3 {
                let permit = semaphore.acquire().await.unwrap();
                holders.set(holders.get() + 1);
                most.set(holders.get().max(most.get()));
                assert!(holders.get() <= 2);
                etcd.sleep(20).await;
                // The first has the company of another.
                etcd.until(async || most.get() == 2).await;
                holders.set(holders.get() - 1);
                permit.release().await.unwrap();
            }
        };
        session.run(driver, work).await;
    };
    join_all((0..4).map(worker)).await;
    assert_eq!(most.get(), 2);
}

async fn a_permit_that_is_given_up_goes_to_the_next_in_the_queue<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let semaphore = Semaphore::new(&session, "limit", 2.try_into().unwrap());
    let work = async {
        let _first = semaphore.acquire().await.unwrap();
        let second = semaphore.acquire().await.unwrap();
        let error = semaphore.acquire_within(SHORT).await.unwrap_err();
        assert!(error.is_timed_out(), "{error}");
        drop(second);
        semaphore.acquire_within(LONG).await.unwrap();
    };
    session.run(driver, work).await;
}
