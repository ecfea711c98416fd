//! The v3 API, asked of a real etcd through every backend: one named test for each case and backend.
//!
//! As in the suite `behaviour`, a case is `async fn name<T: Transport>(etcd: Etcd<T>)`, and `v3_44_…` names the rule of
//! etcd's behaviour that it shows. `ETCD_BIN` chooses another etcd; `etcdctl` beside it is the third party that must agree.

#[macro_use]
#[path = "../behaviour/stamp.rs"]
mod stamp;

mod auth;
mod authorization;
mod cluster;
mod election;
mod etcdctl;
mod gateway;
#[path = "../behaviour/harness/mod.rs"]
#[allow(dead_code, unused_imports)] // What only the suite of v2 needs.
mod harness;
mod jwt;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod raw;
#[path = "../behaviour/scripted.rs"]
#[allow(dead_code)] // The harness needs it.
mod scripted;
mod token;
mod trouble;
mod txn;
mod unsupported;

/// The kind of a refusal of etcd's.
#[track_caller]
fn refused<O: std::fmt::Debug>(result: etcd_http::Result<O>) -> etcd_http::EtcdErrorKind {
    let error = result.unwrap_err();
    match error.etcd_kind() {
        Some(kind) => kind,
        None => panic!("not etcd's own error: {error:?}"),
    }
}
