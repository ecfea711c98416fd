//! Sessions: loss in time, and an end that is bounded.

use std::time::Duration;

use etcd_http::{
    fake::{FakeEtcd, Fault, When},
    recipes::{Mutex, RecipeError, Session},
    transport::Transport,
};
use futures::future::{join, pending};

use super::{TTL, session};
use crate::support::{block_on, client, jumping, millis, seconds};

const LEASES: &str = "/v3/lease/*";

/// A renewal is sent every third of the TTL: the deadline counts from the last one that succeeded.
#[test]
fn r_50_a_session_is_lost_at_its_deadline_while_no_server_responds() {
    let etcd = jumping().build();
    let (lost, reported) = block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            etcd.sleep(seconds(7)).await;
            etcd.inject(When::any(), Fault::silence());
            let loss = session.lost().await;
            assert!(loss.is_deadline(), "{loss}");
            (etcd.elapsed(), session.is_alive())
        };
        session.run(driver, work).await
    });
    assert!(!reported);
    // The last renewal was sent within the seventh second, and the one before at a third of the TTL.
    assert!(lost > seconds(14) && lost <= seconds(17), "{lost:?}");
}

#[test]
fn r_50_a_session_without_its_driver_is_lost_at_its_deadline() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        drop(driver);
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        let ended = held.run(pending::<()>()).await.unwrap_err();
        assert!(matches!(ended, RecipeError::SessionLost(_)), "{ended}");
        assert!(!held.is_held());
    });
    assert!(etcd.elapsed() <= TTL, "{:?}", etcd.elapsed());
}

/// The whole program stands still for longer than the lease lives.
#[test]
fn r_51_a_session_that_was_suspended_is_lost_before_anything_else_is_done() {
    let etcd = FakeEtcd::new();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        etcd.advance(TTL + seconds(1));
        assert!(!held.is_held());
        let ran = held.run(async { panic!("the lock is lost") }).await;
        assert!(matches!(ran, Err(RecipeError::SessionLost(_))));
        drop((held, session));
        driver.await;
    });
}

#[test]
fn closing_is_bounded_while_no_server_responds() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let builder = Session::builder(client.v3())
            .ttl(TTL)
            .close_limit(seconds(3));
        let (session, driver) = builder.open().await.unwrap();
        etcd.inject(When::any(), Fault::silence());
        let close = async {
            let began = etcd.elapsed();
            let error = session.close().await.unwrap_err();
            assert!(matches!(error, RecipeError::TimedOut(_)), "{error}");
            assert_eq!(etcd.elapsed() - began, seconds(3));
            assert!(!session.is_alive());
        };
        session.run(driver, close).await;
    });
    assert!(etcd.elapsed() < seconds(4));
}

#[test]
fn the_driver_ends_within_the_limit_when_all_handles_are_dropped_and_no_server_responds() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        etcd.inject(When::any(), Fault::silence());
        drop(session);
        driver.await;
    });
    assert_eq!(etcd.elapsed(), seconds(5));
}

#[test]
fn the_lease_of_a_closed_session_is_not_renewed() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            etcd.inject(When::any().path("/v3/lease/revoke"), Fault::silence());
            session.close().await.unwrap_err();
            etcd.clear_faults();
            etcd.sleep(TTL + seconds(5)).await;
            assert!(etcd.leases().is_empty(), "{:?}", etcd.leases());
        };
        session.run(driver, work).await;
    });
}

#[test]
fn another_lease_is_tried_for_as_long_as_the_policy_says() {
    for (outage, limit, succeeds) in [(60, 300, true), (600, 100, false), (600, u64::MAX, true)] {
        let etcd = jumping().build();
        let client = client(&etcd);
        block_on(async {
            let builder = Session::builder(client.v3()).ttl(TTL);
            let (session, driver) = builder
                .reestablish_limit(seconds(limit))
                .open()
                .await
                .unwrap();
            let work = async {
                etcd.inject(When::any().path(LEASES), Fault::refuse());
                let end = async {
                    etcd.sleep(seconds(outage)).await;
                    etcd.clear_faults();
                };
                let again = async {
                    session.lost().await;
                    let result = session.reestablish().await;
                    (result, etcd.elapsed())
                };
                let ((result, at), ()) = join(again, end).await;
                assert_eq!(result.is_ok(), succeeds, "{result:?}");
                assert_eq!(session.is_alive(), succeeds);
                let bound = if succeeds { outage + 30 } else { limit + 100 };
                assert!(at < seconds(bound), "{at:?}");
            };
            session.run(driver, work).await;
        });
    }
}

/// Of the leases: nothing but a renewal each third of the TTL.
#[test]
fn an_idle_session_costs_a_request_each_third_of_its_ttl() {
    let etcd = jumping().log_capacity(10_000).build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let hour = Duration::from_secs(3600);
        session.run(driver, etcd.sleep(hour - millis(1))).await;
    });
    // The grant, the renewals, and the end.
    assert_eq!(etcd.count(&When::any()), 1 + 1080 + 1 - 1);
}
