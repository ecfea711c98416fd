//! What is refused while a lock or an election is entered, waited for or left: V3-101 and V3-103.

use std::time::Duration;

use etcd_http_fake::{FakeEtcd, Profile};
use futures::executor::block_on;
use serde_json::Value;

use crate::{ask, call, poll, reply, send_to, token_of_root};

#[test]
fn v3_101_an_error_during_the_wait_has_no_code_of_its_own() {
    for profile in [Profile::V3_4, Profile::V3_5] {
        for path in ["lock/lock", "election/campaign"] {
            let etcd = FakeEtcd::builder().profile(profile).build();
            call(&etcd, "lease/grant", r#"{"ID":5,"TTL":100}"#);
            let first = call(&etcd, path, r#"{"name":"bA==","lease":5}"#);
            let mut waiter = send_to(&etcd, 0, path, r#"{"name":"bA=="}"#, &[]);
            assert!(poll(&mut waiter).is_pending());
            let root = token_of_root(&etcd);
            let key = first.get("key").unwrap_or(&first["leader"]["key"]);
            let unlock = format!(r#"{{"key":{key}}}"#);
            let unlocked = ask(
                &etcd,
                0,
                "lock/unlock",
                &unlock,
                &[("Authorization", &root)],
            );
            assert_eq!(unlocked.0, 200, "{unlocked:?}");
            let (status, text) = reply(block_on(waiter).unwrap());
            let refused: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (status, &refused["code"]),
                (500, &2.into()),
                "{path}: {text}"
            );
            assert_eq!(refused["message"], "etcdserver: user name is empty");
        }
    }
}

/// The transaction of a lock has two operations in a branch, that of a campaign one.
#[test]
fn v3_101_a_lock_needs_transactions_of_two_operations() {
    let etcd = FakeEtcd::builder().max_txn_ops(1).build();
    let (status, text) = ask(&etcd, 0, "lock/lock", r#"{"name":"bA=="}"#, &[]);
    let refused: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &refused["code"]), (500, &2.into()), "{text}");
    assert_eq!(
        refused["message"],
        "etcdserver: too many operations in txn request"
    );
    call(&etcd, "election/campaign", r#"{"name":"bA=="}"#);
}

/// The server deletes the key as no user.
#[test]
fn v3_103_with_auth_an_abandoned_wait_stays_in_the_queue() {
    for profile in [Profile::V3_4, Profile::V3_5] {
        for path in ["lock/lock", "election/campaign"] {
            let etcd = FakeEtcd::builder().profile(profile).build();
            let root = token_of_root(&etcd);
            let root = [("Authorization", &*root), ("Grpc-Timeout", "1S")];
            let name = r#"{"name":"bA=="}"#;
            assert_eq!(ask(&etcd, 0, path, name, &root).0, 200);
            for is_in_time in [true, false] {
                let mut waiter = send_to(&etcd, 0, path, name, &root);
                assert!(poll(&mut waiter).is_pending());
                if !is_in_time {
                    etcd.advance(Duration::from_secs(1));
                    assert_eq!(reply(block_on(waiter).unwrap()).0, 504);
                }
            }
            let queue = r#"{"key":"bC8=","range_end":"bDA="}"#;
            let (_, text) = ask(&etcd, 0, "kv/range", queue, &root);
            let queue: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(queue["count"], "3", "{path}");
        }
    }
}
