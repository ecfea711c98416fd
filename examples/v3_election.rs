//! An election: two candidates, a leader that proclaims, and one that takes over.
//!
//! ```text
//! cargo run --example v3_election --features reqwest,server
//! ```

mod common;

use std::{error::Error, time::Duration};

use etcd_http::{Client, reqwest::ReqwestTransport};
use futures::future::try_join;

const ELECTION: &str = "example/election";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    println!(
        "before: {:?}",
        client.v3().elections().get_leader(ELECTION).await?
    );
    try_join(lead(&client, "10.0.0.1"), lead(&client, "10.0.0.2")).await?;
    println!(
        "after: {:?}",
        client.v3().elections().get_leader(ELECTION).await?
    );
    Ok(())
}

/// Waits to be elected, leads for a while, and resigns.
async fn lead(client: &Client<ReqwestTransport>, address: &str) -> Result<(), Box<dyn Error>> {
    let v3 = client.v3();
    let lease = v3.leases().grant(Duration::from_secs(30)).await?;
    let won = v3.elections().campaign(ELECTION, lease.id, address).await?;
    println!("{address} leads since revision {}", won.leader.rev);

    // Any client can request the leader, and gets what it proclaims.
    v3.elections()
        .proclaim(won.leader.clone(), format!("{address}, ready"))
        .await?;
    let leader = v3
        .elections()
        .get_leader(ELECTION)
        .await?
        .ok_or("somebody leads")?;
    println!("seen: {}", leader.value_str()?);

    tokio::time::sleep(Duration::from_millis(200)).await;
    v3.elections().resign(won.leader).await?;
    v3.leases().revoke(lease.id).await?;
    Ok(())
}
