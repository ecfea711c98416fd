//! Controllers that work while they lead.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    fake::FakeEtcd,
    recipes::{
        CacheDriver, Controller, ControllerDriver, Election, Reconciled, Session, SessionDriver,
    },
    transport::Transport,
    v3::{Put, Txn},
};
use futures::future::{join, join3, select};

use super::{
    controller::{Journal, numbers, slow},
    session,
};
use crate::support::{block_on, client, jumping, seconds};

/// A controller that works while it leads.
async fn gated(
    etcd: &FakeEtcd,
    journal: &Journal,
    time: Duration,
) -> (
    Session<FakeEtcd>,
    SessionDriver,
    CacheDriver,
    Controller,
    ControllerDriver,
) {
    let (session, session_driver) = session(etcd).await;
    let client = client(etcd);
    let (cache, cache_driver) = numbers(&client);
    let election = Election::new(&session, "leader");
    let builder = Controller::builder(&client, &cache).elected(&election, "me");
    let (controller, driver) = slow(builder, journal, time);
    (session, session_driver, cache_driver, controller, driver)
}

#[test]
fn a_leader_alone_works_and_its_successor_reconciles_everything_deletions_included() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    let (first, second) = (Journal::new(&etcd), Journal::new(&etcd));
    block_on(async {
        let (session, session_driver, cache_driver, one, driver) =
            gated(&etcd, &first, seconds(1)).await;
        let first_runs = async {
            let drivers = join3(session_driver, cache_driver, driver);
            select(pin!(drivers), etcd.sleep(seconds(20))).await;
        };
        let second_runs = async {
            etcd.sleep(seconds(2)).await;
            let (_session, session_driver, cache_driver, two, driver) =
                gated(&etcd, &second, seconds(1)).await;
            let work = async {
                etcd.sleep(seconds(10)).await;
                assert_eq!(first.take(), ["elected", "begins a=1", "ends a=1"]);
                assert_eq!(second.take(), [""; 0]);
                assert!(one.stats().fencing_token.is_some());
                assert_eq!(two.stats().fencing_token, None);
                client(&etcd).v3().kv().delete("n/a").await.unwrap();
                etcd.put("n/b", "2");
                etcd.sleep(seconds(3)).await;
                // The first one is gone, and its lease after a while. It has deleted "a" half.
                etcd.sleep(seconds(60)).await;
                assert_eq!(
                    second.take(),
                    ["elected", "begins a-", "ends a-", "begins b=2", "ends b=2"]
                );
                assert!(two.stats().fencing_token > one.stats().fencing_token);
            };
            let drivers = join3(session_driver, cache_driver, driver);
            select(pin!(drivers), pin!(work)).await;
        };
        join(first_runs, second_runs).await;
        drop(session);
    });
}

#[test]
fn what_is_under_way_is_dropped_when_leadership_is_lost_and_done_again_in_another_lease() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    let journal = Journal::new(&etcd);
    block_on(async {
        let (session, session_driver, cache_driver, controller, driver) =
            gated(&etcd, &journal, seconds(5)).await;
        let work = async {
            etcd.sleep(seconds(2)).await;
            let lease = session.lease();
            client(&etcd).v3().leases().revoke(lease).await.unwrap();
            etcd.sleep(seconds(60)).await;
            assert_ne!(session.lease(), lease);
            assert_eq!(
                journal.take(),
                [
                    "elected",
                    "begins a=1",
                    "dropped",
                    "lost",
                    "elected",
                    "begins a=1",
                    "ends a=1"
                ]
            );
            assert_eq!(controller.stats().dropped, 1);
            // By another client: the lease is still there.
            etcd.put("n/a", "2");
            etcd.sleep(seconds(1)).await;
            let key = etcd.get_prefix("leader/").remove(0).key;
            client(&etcd).v3().kv().delete(key).await.unwrap();
            etcd.sleep(seconds(60)).await;
            assert_eq!(
                journal.take(),
                [
                    "begins a=2",
                    "dropped",
                    "lost",
                    "elected",
                    "begins a=2",
                    "ends a=2"
                ]
            );
            session.close().await.unwrap();
        };
        // With its session, the controller ends.
        let ended = select(cache_driver, driver);
        select(pin!(session_driver), pin!(join(ended, work))).await;
        assert_eq!(controller.stats().fencing_token, None);
        assert_eq!(journal.take(), ["lost"]);
    });
}

#[test]
fn a_stop_reports_what_is_dropped_because_leadership_is_lost_meanwhile() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    let journal = Journal::new(&etcd);
    block_on(async {
        let (session, session_driver, cache_driver, controller, driver) =
            gated(&etcd, &journal, seconds(5)).await;
        let work = async {
            etcd.sleep(seconds(2)).await;
            let revoke = async {
                etcd.sleep(seconds(1)).await;
                let lease = session.lease();
                client(&etcd).v3().leases().revoke(lease).await.unwrap();
            };
            let (stopped, ()) = join(controller.stop(seconds(20)), revoke).await;
            let error = stopped.unwrap_err();
            assert!(error.is_timed_out(), "{error}");
        };
        let drivers = join(session_driver, cache_driver);
        select(pin!(drivers), pin!(join(driver, work))).await;
        assert_eq!(controller.stats().dropped, 1);
        let expected = ["elected", "begins a=1", "dropped", "lost"];
        assert_eq!(journal.take(), expected);
    });
}

#[test]
fn a_stop_leaves_the_election_and_a_guarded_write_is_refused_after_it() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    block_on(async {
        let (session, session_driver) = session(&etcd).await;
        let client = client(&etcd);
        let (cache, cache_driver) = numbers(&client);
        let election = Election::new(&session, "leader");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, writer) = (requests.clone(), client.clone());
        let builder = Controller::builder(&client, &cache).elected(&election, "me");
        let (controller, driver) = builder.reconcile(move |request| {
            seen.lock().unwrap().push(request.clone());
            let write = request.guard(Txn::new().then(Put::new("done", "1")));
            let writer = writer.clone();
            async move {
                assert!(writer.send(write).await?.succeeded);
                Ok::<_, etcd_http::Error>(Reconciled::AwaitChange)
            }
        });
        let work = async {
            etcd.sleep(seconds(2)).await;
            controller.stop(seconds(5)).await.unwrap();
            etcd.sleep(seconds(1)).await;
            assert!(etcd.get_prefix("leader/").is_empty());
            let request = requests.lock().unwrap().remove(0);
            let own = etcd.get("n/a").unwrap();
            assert_eq!(request.mod_revision(), own.mod_revision);
            let write = request.guard(Txn::new().then(Put::new("done", "2")));
            assert!(!client.send(write).await.unwrap().succeeded);
            session.close().await.unwrap();
        };
        let drivers = join(session_driver, cache_driver);
        select(pin!(drivers), pin!(join(driver, work))).await;
        assert_eq!(etcd.get("done").unwrap().value, "1");
    });
}
