//! Tokens of v3 while responses take their time.

use etcd_http::{
    Client, EtcdErrorKind, Outcome, Protocol, RetryPolicy,
    fake::{FakeEtcd, Fault, When},
};
use futures::future::join_all;

use crate::support::{block_on, client, jumping, seconds};

fn with_auth() -> FakeEtcd {
    let etcd = jumping().build();
    let admin = client(&etcd);
    block_on(async {
        let auth = admin.v3().auth();
        auth.add_user("root", "r").await.unwrap();
        auth.add_role("root").await.unwrap();
        auth.grant_role("root", "root").await.unwrap();
        auth.enable().await.unwrap();
    });
    etcd
}

/// What may have been done is the request for a token.
#[test]
fn a_write_without_a_token_was_not_sent() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        for fault in [
            Fault::refuse(),
            Fault::silence(),
            Fault::break_after(),
            Fault::html(503),
            Fault::html(404),
        ] {
            let etcd = with_auth();
            etcd.inject(When::any().path("/v3/auth/authenticate"), fault);
            for retry in [RetryPolicy::never(), RetryPolicy::default()] {
                let user = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
                let user = user.v3_auth("root", "r").retry(retry);
                let user = user.protocol(protocol).build().unwrap();
                let error = block_on(user.v3().kv().put("a", "1")).unwrap_err();
                assert_ne!(error.outcome(), Outcome::Unknown, "{error}");
                let text = error.to_string();
                assert!(text.starts_with("v3.auth.authenticate at "), "{text}");
                assert!(!text.contains("applied"), "{text}");
            }
            etcd.assert_count(&When::any().path("/v3/kv/put"), 0);
        }
    }
}

/// Without the delay, no caller waits: the fake responds at once, before the next caller sends its request.
#[test]
fn t_13_a_wrong_password_is_found_out_once_for_all_who_wait() {
    for (protocol, path) in [
        (Protocol::Gateway, "/v3/auth/authenticate"),
        (Protocol::Grpc, "/etcdserverpb.Auth/Authenticate"),
    ] {
        let etcd = with_auth();
        let authenticate = When::any().path(path);
        etcd.inject(authenticate.clone(), Fault::delay_response(seconds(1)));
        let user = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let user = user.v3_auth("root", "wrong");
        let user = user.protocol(protocol).build().unwrap();
        let kv = user.v3().kv();
        for round in 1..3 {
            let puts = (0..100).map(|n| kv.put(format!("{n}"), "x"));
            for put in block_on(join_all(puts)) {
                let kind = put.unwrap_err().etcd_kind();
                assert_eq!(kind, Some(EtcdErrorKind::AuthenticationFailed));
            }
            etcd.assert_count(&authenticate, round);
        }
    }
}
