//! Recipes behind proxies that respond with pages of their own, to all requests or to some.

use std::convert::Infallible;

use etcd_http::{
    fake::{FakeEtcd, Fault, When},
    recipes::{Election, Mutex, RecipeError, Registry, Semaphore, Session, v2},
    transport::Transport,
    v3::Put,
};
use futures::future::{Either, join, pending, select};

use super::{TTL, session};
use crate::support::{block_on, client, jumping, millis, seconds};

/// What proxies respond with instead of etcd: what is not served at this path, not now, not to this client.
const PAGES: [u16; 5] = [404, 429, 403, 502, 301];

/// Shows a page for a time.
async fn show(etcd: &FakeEtcd, when: When, status: u16, time: std::time::Duration) {
    etcd.inject(when, Fault::html(status));
    etcd.sleep(time).await;
    etcd.clear_faults();
}

#[test]
fn waits_and_work_survive_a_page_that_is_shorter_than_the_session_lives() {
    for (status, begin) in PAGES.into_iter().flat_map(|it| [(it, 0), (it, 500)]) {
        let etcd = jumping().build();
        let open = async || {
            let session = Session::builder(client(&etcd).v3()).ttl(seconds(60));
            session.open().await.unwrap()
        };
        block_on(async {
            let (first, driver) = open().await;
            let (second, other) = open().await;
            let work = async {
                let held = Mutex::new(&first, "lock").lock().await.unwrap();
                let page = async {
                    etcd.sleep(millis(begin)).await;
                    // What is open is cut.
                    etcd.restart();
                    show(&etcd, When::any(), status, seconds(30)).await;
                    etcd.sleep(seconds(5)).await;
                };
                let work = async {
                    let done = held.run(page).await;
                    assert!(done.is_ok(), "{status}: {done:?}");
                    held.release().await.unwrap();
                };
                let election = Election::new(&second, "leader");
                let lock = Mutex::new(&second, "lock");
                let waits = join(lock.lock(), election.campaign("here"));
                let ((), (locked, led)) = join(work, waits).await;
                assert!(locked.is_ok(), "{status}: {locked:?}");
                assert!(led.is_ok(), "{status}: {led:?}");
            };
            first.run(driver, second.run(other, work)).await;
        });
    }
}

#[test]
fn another_lease_is_tried_for_whatever_is_in_the_way() {
    for status in PAGES {
        let etcd = jumping().build();
        block_on(async {
            let (session, driver) = session(&etcd).await;
            let work = async {
                let page = show(&etcd, When::any(), status, seconds(60));
                let again = async {
                    session.lost().await;
                    session.reestablish().await
                };
                let (again, ()) = join(again, page).await;
                assert!(again.is_ok(), "{status}: {again:?}");
            };
            session.run(driver, work).await;
        });
    }
}

#[test]
fn waits_whose_watch_is_not_served_pause_between_reads() {
    let etcd = jumping().log_capacity(100_000).build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let two = 2.try_into().unwrap();
            let semaphore = Semaphore::new(&session, "limit", two);
            let both = join(semaphore.acquire(), semaphore.acquire()).await;
            etcd.inject(When::any().path("/v3/watch"), Fault::html(404));
            etcd.clear_log();
            let wait = semaphore.acquire_within(seconds(60));
            let ended = wait.await.unwrap_err();
            let requests = etcd.count(&When::any().path("/v3/kv/*"));
            assert!(requests < 100, "{requests} requests, {ended}");
            drop(both);
        };
        session.run(driver, work).await;
    });
}

#[test]
fn an_instance_stays_registered_whatever_it_has_met_before() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let registry = Registry::new(&session, "web");
        let registered = async {
            let ended: Result<Infallible, RecipeError> = registry.register("a", "data").await;
            ended
        };
        let work = async {
            for _ in 0..20 {
                etcd.sleep(seconds(5)).await;
                // Its key is written again, and the watch that is opened then is not served for a while.
                etcd.inject(When::any().path("/v3/watch"), Fault::html(404));
                let lease = session.lease();
                let touch = Put::new("web/a", "data").lease(lease);
                client(&etcd).send(touch).await.unwrap();
                etcd.sleep(seconds(1)).await;
                etcd.clear_faults();
            }
        };
        let both = async {
            match select(Box::pin(registered), Box::pin(work)).await {
                Either::Left((ended, _)) => panic!("{ended:?}"),
                Either::Right(_) => {}
            }
        };
        session.run(driver, both).await;
    });
}

#[test]
fn a_lock_of_v2_is_held_over_a_page_that_is_shorter_than_its_time_to_live() {
    for status in PAGES {
        let etcd = jumping().build();
        block_on(async {
            let client = client(&etcd);
            let mutex = v2::Mutex::new(&client, "/lock", seconds(60));
            let work = mutex.run(async |_| {
                show(&etcd, When::any(), status, seconds(35)).await;
                etcd.sleep(seconds(60)).await;
            });
            let done = work.await;
            assert!(done.is_ok(), "{status}: {done:?}");
        });
    }
}

#[test]
fn a_session_that_is_closed_holds_nothing_from_then_on() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let held = Mutex::new(&session, "lock").lock().await.unwrap();
            // Applied, as is what is sent after it, and no response arrives.
            etcd.inject(When::any(), Fault::silence_after());
            let guarded = held.run(pending::<()>());
            let (ended, closed) = join(guarded, session.close()).await;
            assert!(closed.is_err() && ended.is_err());
            assert!(etcd.get_prefix("lock/").is_empty());
            assert!(etcd.elapsed() <= seconds(6), "{:?}", etcd.elapsed());
            assert!(!held.is_held());
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_session_that_could_not_be_closed_can_be_closed_again() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = Session::builder(client(&etcd).v3())
            .ttl(TTL * 100)
            .open()
            .await
            .unwrap();
        let work = async {
            etcd.inject(When::any().path("/v3/lease/revoke"), Fault::silence());
            session.close().await.unwrap_err();
            session.close().await.unwrap_err();
            etcd.clear_faults();
            session.close().await.unwrap();
            assert!(etcd.leases().is_empty());
            session.close().await.unwrap();
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_session_is_closed_over_a_page_that_is_shorter_than_the_limit() {
    for status in PAGES {
        let etcd = jumping().build();
        block_on(async {
            let (session, driver) = session(&etcd).await;
            let work = async {
                let page = show(&etcd, When::any(), status, seconds(2));
                let ((), closed) = join(page, session.close()).await;
                assert!(closed.is_ok(), "{status}: {closed:?}");
                assert!(etcd.leases().is_empty());
            };
            session.run(driver, work).await;
        });
    }
}
