//! The recipes on real servers and on the fake: one test for each case, backend and protocol.

// The futures of whole services in a test are nested more deeply than the compiler lays out by default.
#![recursion_limit = "256"]

mod barriers;
mod cache;
mod config;
mod election;
mod locks;
mod migration;
mod mutex;
mod queues;
mod registry;
mod services;
mod session;
mod stm;
mod v2;

use std::time::Duration;

use etcd_http::{
    recipes::{Session, SessionDriver},
    transport::Transport,
    v3::Namespace,
};
use harness::case::Etcd;

/// The namespace of a case.
fn namespace<T: Transport>(etcd: &Etcd<T>) -> Namespace<T> {
    etcd.v3().namespace(format!("{}/", etcd.root()))
}

/// A session that outlives the case.
async fn session<T: Transport>(etcd: &Etcd<T>) -> (Session<T>, SessionDriver) {
    let minute = Duration::from_secs(60);
    Session::open(namespace(etcd), minute).await.unwrap()
}
