//! Recipes under faults, in virtual time.

mod exactness;
mod late;
mod safety;
mod session;
mod waits;

use std::time::Duration;

use etcd_http::{
    Client,
    fake::FakeEtcd,
    recipes::{Session, SessionDriver},
};

use crate::support::seconds;

const TTL: Duration = seconds(10);

/// A session of a client of its own.
async fn session(etcd: &FakeEtcd) -> (Session<FakeEtcd>, SessionDriver) {
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    Session::open(client.v3(), TTL).await.unwrap()
}
