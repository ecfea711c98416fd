//! Locks.

use std::{pin::pin, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::{Transport, http::Method},
    v3::{Compare, LeaseId, Lock, Put, Txn},
};
use futures::future::{Either, join, select};
use harness::{case::Etcd, cases_and_grpc};
use serde_json::json;

use crate::refused;

cases_and_grpc! {
    any {
        Shared {
            v3_102_a_lock_is_a_key_of_name_and_lease,
            v3_102_the_same_lease_gets_the_same_lock_again,
            v3_102_without_a_lease_the_server_makes_one,
            a_lock_is_held_by_one_and_then_by_the_next,
            v3_103_a_dropped_wait_leaves_the_queue,
            v3_101_a_lease_that_is_gone_holds_no_lock,
            v3_104_a_lock_is_given_up_any_number_of_times,
            v3_107_the_key_of_a_lock_guards_writes,
            v3_150_a_waiter_without_its_lease_does_not_hold_the_lock,
            v3_150_a_waiter_whose_key_was_deleted_does_not_hold_the_lock,
            v3_150_the_server_may_report_a_lock_without_its_key,
        }
        Shared {
            a_lock_that_is_not_had_in_time_is_given_up,
            a_wait_for_a_lock_ends_when_its_lease_expires,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A lease that lives longer than a case may take: what leaves a queue does so for another reason.
async fn lease<T: Transport>(etcd: &Etcd<T>) -> LeaseId {
    etcd.v3().leases().grant(10 * MINUTE).await.unwrap().id
}

async fn v3_102_a_lock_is_a_key_of_name_and_lease<T: Transport>(etcd: Etcd<T>) {
    let (name, lease) = (etcd.key("lock"), lease(&etcd).await);
    let held = etcd.v3().lock(&*name, lease).await.unwrap();
    assert_eq!(held.key, format!("{name}/{lease}"));
    let key = etcd.v3().kv().get(held.key).await.unwrap().unwrap();
    assert_eq!(key.lease, lease);
}

async fn v3_102_the_same_lease_gets_the_same_lock_again<T: Transport>(etcd: Etcd<T>) {
    let (name, lease) = (etcd.key("lock"), lease(&etcd).await);
    let first = etcd.v3().lock(&*name, lease).await.unwrap();
    let second = etcd.v3().lock(&*name, lease).await.unwrap();
    assert_eq!(first.key, second.key);
}

async fn v3_102_without_a_lease_the_server_makes_one<T: Transport>(etcd: Etcd<T>) {
    let v3 = etcd.v3();
    let held = v3.lock(etcd.key("lock"), LeaseId::NONE).await.unwrap();
    let key = v3.kv().get(held.key).await.unwrap().unwrap();
    let lease = v3
        .leases()
        .get_time_to_live(key.lease)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lease.granted_ttl, MINUTE);
    v3.leases().revoke(lease.id).await.unwrap();
}

async fn a_lock_is_held_by_one_and_then_by_the_next<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("lock"), lease(&etcd).await, lease(&etcd).await);
    let v3 = etcd.v3();
    let held = v3.lock(&*name, first).await.unwrap();
    let key = held.key.clone();
    let unlock = async {
        // The other one waits: its key exists, and it has no response.
        etcd.until_queued(&name, 2).await;
        v3.unlock(held.key).await.unwrap()
    };
    let (next, unlocked) = join(v3.lock(&*name, second), unlock).await;
    let next = next.unwrap();
    assert!(next.key != key && next.header.revision >= unlocked.revision);
}

async fn a_lock_that_is_not_had_in_time_is_given_up<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("lock"), lease(&etcd).await, lease(&etcd).await);
    etcd.v3().lock(&*name, first).await.unwrap();
    let half = Duration::from_millis(500);
    let late = etcd.send(Lock::new(&*name, second).time_limit(half)).await;
    assert_eq!(refused(late), EtcdErrorKind::RequestTimedOut);
    // It leaves the queue.
    etcd.until_queued(&name, 1).await;
}

async fn v3_103_a_dropped_wait_leaves_the_queue<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("lock"), lease(&etcd).await, lease(&etcd).await);
    etcd.v3().lock(&*name, first).await.unwrap();
    {
        let waiting = Lock::new(&*name, second).time_limit(10 * MINUTE);
        let waiting = pin!(etcd.send(waiting));
        let queued = pin!(etcd.until_queued(&name, 2));
        let waited = select(waiting, queued).await;
        assert!(matches!(waited, Either::Right(_)));
    }
    etcd.until_queued(&name, 1).await;
}

async fn v3_101_a_lease_that_is_gone_holds_no_lock<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v3().lock(etcd.key("lock"), 0x0bad).await.unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert!(
        !error.to_string().contains("attempt"),
        "asked once: {error}"
    );
}

async fn v3_104_a_lock_is_given_up_any_number_of_times<T: Transport>(etcd: Etcd<T>) {
    let (name, lease) = (etcd.key("lock"), lease(&etcd).await);
    let held = etcd.v3().lock(&*name, lease).await.unwrap();
    for _ in 0..2 {
        etcd.v3().unlock(&*held.key).await.unwrap();
    }
}

async fn v3_107_the_key_of_a_lock_guards_writes<T: Transport>(etcd: Etcd<T>) {
    let (v3, lease) = (etcd.v3(), lease(&etcd).await);
    let held = v3.lock(etcd.key("lock"), lease).await.unwrap();
    let guarded = || {
        Txn::new()
            .when(Compare::exists(&held.key))
            .then(Put::new(etcd.key("data"), "x"))
    };
    assert!(etcd.send(guarded()).await.unwrap().succeeded);
    v3.leases().revoke(lease).await.unwrap();
    assert!(!etcd.send(guarded()).await.unwrap().succeeded);
}

/// Waits for a lock that is held, and has this done to its own lease and key before the lock is released.
async fn waited<T, W>(
    etcd: &Etcd<T>,
    wait: impl FnOnce(String, LeaseId) -> W,
    meanwhile: impl AsyncFnOnce(LeaseId, String),
) -> W::Output
where
    T: Transport,
    W: Future,
{
    let (name, first, second) = (etcd.key("lock"), lease(etcd).await, lease(etcd).await);
    let held = etcd.v3().lock(&*name, first).await.unwrap();
    let release = async {
        etcd.until_queued(&name, 2).await;
        meanwhile(second, format!("{name}/{second}")).await;
        etcd.v3().unlock(held.key).await.unwrap();
    };
    join(wait(name.clone(), second), release).await.0
}

async fn v3_150_a_waiter_without_its_lease_does_not_hold_the_lock<T: Transport>(etcd: Etcd<T>) {
    let lock = |name, lease| etcd.v3().lock(name, lease);
    let revoke = async |lease, _| etcd.v3().leases().revoke(lease).await.map(drop).unwrap();
    let error = waited(&etcd, lock, revoke).await.unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
}

async fn v3_150_a_waiter_whose_key_was_deleted_does_not_hold_the_lock<T: Transport>(etcd: Etcd<T>) {
    let lock = |name, lease| etcd.v3().lock(name, lease);
    let delete = async |_, key| etcd.v3().unlock(key).await.map(drop).unwrap();
    let error = waited(&etcd, lock, delete).await.unwrap_err();
    let expected = if etcd.is_3_5() {
        // The server's own check.
        Outcome::Rejected
    } else {
        Outcome::Unknown
    };
    assert_eq!(error.outcome(), expected, "{error}");
}

async fn v3_150_the_server_may_report_a_lock_without_its_key<T: Transport>(etcd: Etcd<T>) {
    let lock = |name: String, lease: LeaseId| {
        let name = BASE64_STANDARD.encode(name);
        let body = json!({"name": name, "lease": lease.get().to_string()});
        let path = "/v3/lock/lock";
        etcd.send(etcd.request(Method::POST, path).json(&body))
    };
    let revoke = async |lease, _| etcd.v3().leases().revoke(lease).await.map(drop).unwrap();
    let locked = waited(&etcd, lock, revoke).await;
    if etcd.is_3_5() {
        let error = locked.unwrap_err();
        let said = error.as_etcd().unwrap();
        assert_eq!(said.message(), "mutex: session is expired");
    } else {
        assert_eq!(locked.unwrap().status, 200);
    }
}

async fn a_wait_for_a_lock_ends_when_its_lease_expires<T: Transport>(etcd: Etcd<T>) {
    let (name, first) = (etcd.key("lock"), lease(&etcd).await);
    etcd.v3().lock(&*name, first).await.unwrap();
    let short = etcd
        .v3()
        .leases()
        .grant(Duration::from_secs(2))
        .await
        .unwrap();
    let second = Duration::from_secs(1);
    let lock = Lock::new(&*name, short.id).silence_limit(second);
    assert_eq!(refused(etcd.send(lock).await), EtcdErrorKind::LeaseNotFound);
}
