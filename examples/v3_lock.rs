//! A lock: three workers, one at a time, each write guarded by the lock that allows it.
//!
//! ```text
//! cargo run --example v3_lock --features reqwest,server
//! ```

mod common;

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{Compare, Lock, Put, Txn},
};
use futures::future::try_join_all;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    try_join_all(["Ada", "Brian", "Carol"].map(|name| work(&client, name))).await?;
    let last = client
        .v3()
        .kv()
        .get("example/last")
        .await?
        .ok_or("somebody")?;
    println!("{} was the last of {}", last.value_str()?, last.version);
    Ok(())
}

async fn work(client: &Client<ReqwestTransport>, name: &str) -> Result<(), Box<dyn Error>> {
    // The lock lives as long as the lease. Longer work must keep the lease alive.
    let lease = client.v3().leases().grant(Duration::from_secs(30)).await?;
    let lock = Lock::new("example/lock", lease.id).time_limit(Duration::from_secs(20));
    let held = client.send(lock).await?;
    println!("{name} has the lock");
    tokio::time::sleep(Duration::from_millis(200)).await;

    // A lease may expire unnoticed. Comparing the lock's key checks, in the same step, that the lock is still held.
    let write = Txn::new()
        .when(Compare::exists(&held.key))
        .then(Put::new("example/last", name));
    if !client.send(write).await?.succeeded {
        return Err(format!("{name} lost the lock").into());
    }
    println!("{name} is done");
    client.v3().unlock(held.key).await?;
    client.v3().leases().revoke(lease.id).await?;
    Ok(())
}
