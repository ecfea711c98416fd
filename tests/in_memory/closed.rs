//! What is under way when the time of the end is up: nothing is sent for it, and what has no limit ends.

use etcd_http::{
    Client, Error, Outcome, Protocol,
    fake::{Fault, When},
    transport::Transport,
    v3::Lock,
};
use futures::future::join;

use crate::support::{block_on, client, jumping, seconds};

/// Nobody holds what a program acquires that has ended.
#[test]
fn a_wait_for_a_lock_ends_with_the_client() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = jumping().build();
        let other = client(&etcd);
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        block_on(async {
            let leases = other.v3().leases();
            let holder = leases.grant(seconds(3600)).await.unwrap();
            let lease = leases.grant(seconds(3600)).await.unwrap();
            let held = other.v3().lock("x", holder.id).await.unwrap();
            let lock = client.send(Lock::new("x", lease.id));
            let close = async {
                etcd.sleep(seconds(5)).await;
                assert_eq!(client.close(seconds(1)).await.unwrap_err().calls, 1);
                etcd.log().len()
            };
            let (lock, sent) = join(lock, close).await;
            let error = lock.unwrap_err();
            assert!(error.is_closed() && !error.is_retryable(), "{error}");
            // Where its cancellation is lost, it is acquired later.
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(etcd.elapsed(), seconds(6));
            etcd.sleep(seconds(60)).await;
            assert_eq!(etcd.log().len(), sent);
            other.v3().unlock(held.key).await.unwrap();
            assert!(etcd.get_prefix("x").is_empty());
        });
    }
}

#[test]
fn a_silent_read_goes_to_no_other_endpoint_after_the_end() {
    let etcd = jumping().members(2).build();
    let client = client(&etcd);
    block_on(async {
        let kv = client.v3().kv();
        kv.get("warm").await.unwrap();
        etcd.inject(When::any().path("/v3/kv/range"), Fault::silence());
        let close = async {
            assert_eq!(client.close(seconds(1)).await.unwrap_err().calls, 1);
            etcd.log().len()
        };
        let (read, sent) = join(kv.get("a"), close).await;
        // It waits for its response, but asks no other endpoint.
        let error = read.unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        assert_eq!(etcd.log().len(), sent);
    });
}

#[test]
fn a_call_is_not_sent_after_the_end_because_what_it_needed_first_has_come() {
    let etcd = jumping().build();
    block_on(async {
        let admin = client(&etcd);
        let auth = admin.v3().auth();
        auth.add_user("root", "r").await.unwrap();
        auth.add_role("root").await.unwrap();
        auth.grant_role("root", "root").await.unwrap();
        auth.enable().await.unwrap();
        let builder = || Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        for (client, needed) in [
            (
                builder().v3_auth("root", "r").protocol(Protocol::Gateway),
                "/v3/auth/authenticate",
            ),
            (builder(), "/etcdserverpb.Maintenance/Status"),
        ] {
            let client = client.build().unwrap();
            etcd.clear_log();
            etcd.inject(When::any().path(needed).once(), Fault::delay(seconds(3)));
            let kv = client.v3().kv();
            let (put, closed) = join(kv.put("a", "1"), client.close(seconds(1))).await;
            assert_eq!(closed.unwrap_err().calls, 1);
            let error = put.unwrap_err();
            assert!(error.is_closed() && !error.is_retryable(), "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
            assert!(
                error.to_string().contains("the client is closed"),
                "{error}"
            );
            etcd.assert_count(&When::any(), 1);
        }
    });
}
