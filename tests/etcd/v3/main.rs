//! The v3 API of real servers: one test for each case and backend.
//!
//! A case is `async fn name<T: Transport>(etcd: Etcd<T>)`. The number in `v3_44_…` is that of the rule that the case shows.
//! `ETCD_BIN` chooses another etcd. The `etcdctl` beside it must agree with the client.

mod auth;
mod authorization;
mod check;
mod cluster;
mod election;
mod etcdctl;
mod gateway;
mod jwt;
mod kv;
mod layered;
mod lease;
mod lock;
mod maintenance;
mod member_failures;
mod protocol;
mod token;
mod txn;
mod unsupported;

/// The kind of the error that etcd responded with.
#[track_caller]
fn refused<O: std::fmt::Debug>(result: etcd_http::Result<O>) -> etcd_http::EtcdErrorKind {
    let error = result.unwrap_err();
    match error.etcd_kind() {
        Some(kind) => kind,
        None => panic!("not etcd's own error: {error:?}"),
    }
}
