//! Sessions.

use std::time::Duration;

use etcd_http::{
    recipes::{Mutex, RecipeError, Session},
    transport::Transport,
    v3::Put,
};
use futures::future::join;
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            keys_of_a_session_end_with_it,
            a_session_whose_handles_are_dropped_is_revoked_by_its_driver,
            a_lease_that_is_kept_outlives_its_ttl,
            a_revoked_lease_is_a_lost_session_which_gets_another_lease,
            a_session_that_is_closed_does_nothing_more,
        }
    }
}

async fn keys_of_a_session_end_with_it<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let here = namespace(&etcd);
    let kv = here.kv();
    let work = async {
        let put = Put::new("here", "").lease(session.lease());
        here.send(put).await.unwrap();
        assert!(session.is_alive());
    };
    session.run(driver, work).await;
    assert_eq!(kv.get("here").await.unwrap(), None);
    assert!(!session.is_alive());
    assert!(session.lost().await.is_revoked());
}

async fn a_session_whose_handles_are_dropped_is_revoked_by_its_driver<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let lease = session.lease();
    let clone = session.clone();
    let work = async move {
        drop(session);
        etcd.sleep(300).await;
        let leases = etcd.v3().leases();
        assert!(leases.get_time_to_live(lease).await.unwrap().is_some());
        // A guard is a handle.
        let held = Mutex::new(&clone, "lock").lock().await.unwrap();
        drop(clone);
        etcd.sleep(300).await;
        assert!(leases.get_time_to_live(lease).await.unwrap().is_some());
        drop(held);
        etcd
    };
    // The driver ends.
    let (etcd, ()) = join(work, driver).await;
    let leases = etcd.v3().leases();
    assert_eq!(leases.get_time_to_live(lease).await.unwrap(), None);
}

async fn a_lease_that_is_kept_outlives_its_ttl<T: Transport>(etcd: Etcd<T>) {
    let ttl = Duration::from_secs(5);
    let (session, driver) = Session::open(namespace(&etcd), ttl).await.unwrap();
    let work = async {
        etcd.sleep(8_000).await;
        assert!(session.is_alive());
        let left = etcd.v3().leases().get_time_to_live(session.lease()).await;
        assert!(left.unwrap().is_some());
    };
    session.run(driver, work).await;
}

async fn a_revoked_lease_is_a_lost_session_which_gets_another_lease<T: Transport>(etcd: Etcd<T>) {
    let ttl = Duration::from_secs(6);
    let (session, driver) = Session::open(namespace(&etcd), ttl).await.unwrap();
    let work = async {
        let mutex = Mutex::new(&session, "lock");
        let held = mutex.lock().await.unwrap();
        let first = session.lease();
        etcd.v3().leases().revoke(first).await.unwrap();
        // The response to the lock may be the first that says so.
        let other = Mutex::new(&session, "other").lock().await.unwrap_err();
        assert!(matches!(other, RecipeError::SessionLost(_)), "{other}");
        let loss = session.lost().await;
        assert!(loss.is_expired(), "{loss}");
        let error = mutex.lock().await.unwrap_err();
        assert!(matches!(error, RecipeError::SessionLost(_)), "{error}");

        let (one, other) = join(session.reestablish(), session.reestablish()).await;
        one.and(other).unwrap();
        assert!(session.is_alive() && session.lease() != first);
        // What was held is lost for good.
        assert!(!held.is_held());
        let again = mutex.lock().await.unwrap();
        assert!(again.fencing_token() > held.fencing_token());
        held.release().await.unwrap();
        assert_eq!(mutex.holder().await.unwrap().unwrap().key, again.key());
    };
    session.run(driver, work).await;
}

async fn a_session_that_is_closed_does_nothing_more<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        session.close().await.unwrap();
        session.close().await.unwrap();
        let error = Mutex::new(&session, "lock").lock().await.unwrap_err();
        assert!(error.is_session_over(), "{error}");
        let error = session.reestablish().await.unwrap_err();
        assert!(matches!(error, RecipeError::SessionClosed), "{error}");
    };
    session.run(driver, work).await;
}
