//! Tokens of v3 while responses take their time.

use etcd_http::{
    Client, EtcdErrorKind, Protocol,
    fake::{Fault, When},
};
use futures::future::join_all;

use crate::support::{block_on, client, jumping, seconds};

/// Without the delay, no caller waits: the fake responds at once, before the next caller sends its request.
#[test]
fn t_13_a_wrong_password_is_found_out_once_for_all_who_wait() {
    for (protocol, path) in [
        (Protocol::Gateway, "/v3/auth/authenticate"),
        (Protocol::Grpc, "/etcdserverpb.Auth/Authenticate"),
    ] {
        let etcd = jumping().build();
        let admin = client(&etcd);
        block_on(async {
            let auth = admin.v3().auth();
            auth.add_user("root", "r").await.unwrap();
            auth.add_role("root").await.unwrap();
            auth.grant_role("root", "root").await.unwrap();
            auth.enable().await.unwrap();
        });
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
