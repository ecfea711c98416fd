//! A worker that is registered as long as it is alive, and stops when it may no longer be registered.
//!
//! `cargo run --example lease_keeper --features reqwest,server [-- --endpoint URL]`

mod common;

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{HeldLease, Put},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;

    // One keeper for all leases of the program; its future ends when the last of them is dropped.
    let (keeper, run) = client.v3().leases().keeper();
    let keeping = tokio::spawn(run);

    let lease = keeper.grant(Duration::from_secs(5)).await?;
    let registration = Put::new("lease-keeper/worker-7", "10.0.0.7:80").lease(lease.id());
    client.send(registration).await?;
    println!(
        "registered with lease {}, for {:?} at a time",
        lease.id(),
        lease.ttl()
    );

    // Another client revokes the lease.
    let operator = {
        let (client, id) = (client.clone(), lease.id());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            client.v3().leases().revoke(id).await
        })
    };
    tokio::select! {
        loss = lease.lost() => println!("stopped: {loss}"),
        () = work(&lease) => {}
    }
    operator.await??;
    let registered = client.v3().kv().get("lease-keeper/worker-7").await?;
    println!("still registered: {}", registered.is_some());

    drop((lease, keeper));
    keeping.await?;
    Ok(())
}

async fn work(lease: &HeldLease<ReqwestTransport>) {
    // Checked before each step that only a holder may take.
    while lease.is_alive() {
        println!("registered for at least {:.1?} more", lease.remaining());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
