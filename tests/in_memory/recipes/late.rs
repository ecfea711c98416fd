//! Requests that arrive after their senders have given them up, as those that wait in a proxy or in a server do.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    fake::FakeEtcd,
    recipes::{
        Barrier, Counter, Mutex, PriorityQueue, Queue, Registry, RwMutex, Session, SessionDriver,
        Stm,
    },
    transport::{Request, Response, Transport, TransportError, async_trait},
};
use futures::{
    future::{Either, pending, select},
    stream,
};

use super::TTL;
use crate::support::{block_on, jumping, seconds};

/// Longer than a request and its repetition take.
const SHORT: Duration = seconds(60);

/// Keeps back one transaction, or put, until it is delivered.
#[derive(Clone, Debug)]
struct Late {
    etcd: FakeEtcd,
    /// How many of them are sent before it.
    before: Arc<AtomicUsize>,
    held_back: Arc<StdMutex<Option<Request>>>,
}

impl Late {
    fn new(before: usize) -> Self {
        Self {
            etcd: jumping().build(),
            before: Arc::new(before.into()),
            held_back: Arc::default(),
        }
    }

    async fn session(&self) -> (Session<Self>, SessionDriver) {
        let client = Client::new(self.clone(), self.etcd.endpoints()).unwrap();
        Session::open(client.v3(), TTL).await.unwrap()
    }

    /// Lets it arrive.
    async fn deliver(&self) -> bool {
        let held_back = self.held_back.lock().unwrap().take();
        match held_back {
            Some(request) => {
                let response = self.etcd.send(request).await.unwrap();
                assert!(response.status().is_success(), "{response:?}");
                true
            }
            None => false,
        }
    }
}

#[async_trait]
impl Transport for Late {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let operation = request.uri().path().rsplit('/').next();
        if matches!(operation, Some("txn" | "Txn" | "put" | "Put")) {
            let before = self.before.load(Relaxed);
            self.before.store(before.wrapping_sub(1), Relaxed);
            if before == 0 {
                *self.held_back.lock().unwrap() = Some(request);
                return pending().await;
            }
        }
        self.etcd.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.etcd.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.etcd.now()
    }
}

/// Runs a test with each of its transactions and puts late in turn. It delivers that one when it likes.
fn each_transaction(test: impl AsyncFn(&Late, &Session<Late>)) {
    let mut nth = 0;
    loop {
        let late = Late::new(nth);
        let was_late = block_on(async {
            let (session, driver) = late.session().await;
            session.run(driver, test(&late, &session)).await;
            late.before.load(Relaxed) > usize::MAX / 2
        });
        if !was_late {
            break;
        }
        nth += 1;
    }
    assert!(nth > 3, "{nth} transactions");
}

#[test]
fn r_6_a_late_push_or_pop_changes_nothing() {
    each_transaction(async |late, session| {
        let queue = Queue::new(session, "queue");
        for item in ["a", "b"] {
            queue.push(item).await.unwrap();
        }
        for item in ["a", "b"] {
            assert_eq!(queue.pop().await.unwrap().value, item);
        }
        late.deliver().await;
        assert_eq!(queue.try_pop().await.unwrap(), None);
        queue.push("c").await.unwrap();
        assert_eq!(queue.pop().await.unwrap().value, "c");
        late.deliver().await;
        assert_eq!(queue.try_pop().await.unwrap(), None);
    });
}

#[test]
fn r_6_a_late_push_with_a_priority_changes_nothing() {
    each_transaction(async |late, session| {
        let queue = PriorityQueue::new(session, "queue");
        for round in 0..2 {
            queue.push("b", 2).await.unwrap();
            queue.push("a", 1).await.unwrap();
            for item in ["a", "b"] {
                assert_eq!(queue.pop().await.unwrap().value, item);
            }
            late.deliver().await;
            assert_eq!(queue.try_pop().await.unwrap(), None, "{round}");
        }
    });
}

#[test]
fn r_6_a_late_addition_changes_nothing() {
    each_transaction(async |late, session| {
        let counter = Counter::new(session, "ids");
        for expected in 1..=4 {
            assert_eq!(counter.add(1).await.unwrap(), expected);
        }
        late.deliver().await;
        assert_eq!(counter.get().await.unwrap(), 4);
    });
}

/// What the late transaction compares is true again: the key does not exist.
#[test]
fn r_6_a_late_transaction_changes_nothing_even_if_its_comparisons_hold_again() {
    each_transaction(async |late, session| {
        let stm = Stm::new(session.namespace()).exactly_once(session);
        for _ in 0..3 {
            let there = stm.run(async |txn| {
                assert_eq!(txn.get("key").await?, None);
                txn.put("key", "");
                Ok(())
            });
            there.await.unwrap();
            let gone = stm.run(async |txn| {
                assert!(txn.get("key").await?.is_some());
                txn.delete("key");
                Ok(())
            });
            gone.await.unwrap();
        }
        late.deliver().await;
        assert_eq!(late.etcd.get("key"), None);
    });
}

/// Another client makes the comparisons fail, and then hold again, before the late transaction arrives.
#[test]
fn r_6_a_transaction_that_was_refused_is_not_applied_later() {
    let late = Late::new(0);
    block_on(async {
        let (session, driver) = late.session().await;
        let barrier = Barrier::new(&session, "barrier");
        let other = Client::new(late.etcd.clone(), late.etcd.endpoints()).unwrap();
        let work = async {
            let theirs = async {
                late.etcd.sleep(seconds(1)).await;
                other.v3().kv().put("barrier", "theirs").await.unwrap();
            };
            let (held, ()) = futures::join!(barrier.hold(), theirs);
            held.unwrap_err();
            other.v3().kv().delete("barrier").await.unwrap();
            assert!(late.deliver().await);
            assert_eq!(late.etcd.get("barrier"), None);
            barrier.hold().await.unwrap();
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_barrier_is_neither_held_nor_released_by_a_late_request() {
    each_transaction(async |late, session| {
        let barrier = Barrier::new(session, "barrier");
        for _ in 0..2 {
            barrier.hold().await.unwrap();
            late.deliver().await;
            assert!(late.etcd.get("barrier").is_some());
            barrier.release().await.unwrap();
            late.deliver().await;
            assert_eq!(late.etcd.get("barrier"), None);
        }
        barrier.hold().await.unwrap();
        late.deliver().await;
        assert!(late.etcd.get("barrier").is_some());
    });
}

/// The key that a late request puts is deleted within 15 s, and what the session holds meanwhile is not.
#[test]
fn a_late_wait_does_not_keep_others_waiting() {
    each_transaction(async |late, session| {
        for name in ["lock", "other"] {
            let mutex = Mutex::new(session, name);
            mutex
                .lock_within(SHORT)
                .await
                .unwrap()
                .release()
                .await
                .unwrap();
            let held = mutex.try_lock().await.unwrap().unwrap();
            late.deliver().await;
            late.etcd.sleep(seconds(20)).await;
            assert!(held.is_held() && late.etcd.get(held.key()).is_some());
            held.release().await.unwrap();
            late.etcd.sleep(seconds(20)).await;
            assert!(late.etcd.get_prefix(name).is_empty());
        }
    });
    each_transaction(async |late, session| {
        let lock = RwMutex::new(session, "lock");
        for _ in 0..2 {
            lock.read_within(SHORT)
                .await
                .unwrap()
                .release()
                .await
                .unwrap();
            let held = lock.write_within(SHORT).await.unwrap();
            late.deliver().await;
            late.etcd.sleep(seconds(20)).await;
            assert!(late.etcd.get(held.key()).is_some());
            held.release().await.unwrap();
        }
        late.etcd.sleep(seconds(20)).await;
        assert!(late.etcd.get_prefix("lock/").is_empty());
    });
}

#[test]
fn a_wait_that_is_dropped_with_its_request_leaves_nothing_behind() {
    let late = Late::new(0);
    block_on(async {
        let (session, driver) = late.session().await;
        let work = async {
            let mutex = Mutex::new(&session, "lock");
            {
                let (lock, limit) = (pin!(mutex.lock()), pin!(late.etcd.sleep(seconds(2))));
                assert!(matches!(select(lock, limit).await, Either::Right(_)));
            }
            // The session can use the key at once.
            let again = mutex.lock_within(seconds(5)).await.unwrap();
            again.release().await.unwrap();
            assert!(late.deliver().await);
            assert_eq!(late.etcd.get_prefix("lock/").len(), 1);
            late.etcd.sleep(seconds(16)).await;
            assert!(late.etcd.get_prefix("lock/").is_empty());
        };
        session.run(driver, work).await;
    });
}

/// Work that ends while the put is under way, and after its repetition.
#[test]
fn an_instance_that_has_left_is_not_listed_by_a_late_request() {
    each_transaction(async |late, session| {
        let registry = Registry::new(session, "web");
        for work in [seconds(2), seconds(30)] {
            let work = late.etcd.sleep(work);
            registry.run_registered("a", "data", work).await.unwrap();
            late.deliver().await;
            late.etcd.sleep(seconds(20)).await;
            assert_eq!(late.etcd.get("web/a"), None);
        }
    });
}

#[test]
fn a_late_put_of_an_instance_does_not_delete_the_one_that_follows() {
    let late = Late::new(0);
    block_on(async {
        let (session, driver) = late.session().await;
        let registry = Registry::new(&session, "web");
        let created = || late.etcd.get("web/a").unwrap().create_revision;
        let work = async {
            let first = late.etcd.sleep(seconds(12));
            registry.run_registered("a", "1", first).await.unwrap();
            let second = async {
                late.etcd.sleep(seconds(1)).await;
                let before = created();
                assert!(late.deliver().await);
                late.etcd.sleep(seconds(30)).await;
                assert_eq!(
                    (created(), late.etcd.get("web/a").unwrap().value),
                    (before, "2".into())
                );
            };
            registry.run_registered("a", "2", second).await.unwrap();
            assert_eq!(late.etcd.get("web/a"), None);
        };
        session.run(driver, work).await;
    });
}

#[test]
fn an_instance_that_is_unhealthy_is_not_listed_by_a_late_put() {
    let late = Late::new(0);
    block_on(async {
        let (session, driver) = late.session().await;
        let registry = Registry::new(&session, "web");
        let work = async {
            let states = stream::iter([Some("data"), None]);
            let registered = Box::pin(registry.register_changing("a", states));
            let limit = pin!(late.etcd.sleep(seconds(12)));
            assert!(matches!(select(registered, limit).await, Either::Right(_)));
            assert!(late.deliver().await);
            late.etcd.sleep(seconds(20)).await;
            assert_eq!(late.etcd.get("web/a"), None);
        };
        session.run(driver, work).await;
    });
}
