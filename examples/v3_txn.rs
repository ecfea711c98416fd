//! Transactions: concurrent transfers between two accounts, without a lost coin; then one that is applied exactly once.
//!
//! ```text
//! cargo run --example v3_txn --features reqwest,server
//! ```

mod common;

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{Compare, ExactlyOnce, KeyRange, Put, Txn},
};
use futures::future::try_join_all;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    let kv = client.v3();
    let kv = kv.kv();
    kv.put("accounts/a", "100").await?;
    kv.put("accounts/b", "0").await?;

    let tries = try_join_all((0..10).map(|_| transfer(&client, 5))).await?;
    println!(
        "ten transfers of 5 took {} tries",
        tries.iter().sum::<u32>()
    );
    for account in kv.range(KeyRange::prefix("accounts/")).await?.kvs {
        println!("{} has {}", account.key_str()?, account.value_str()?);
    }

    // Sent twice, as after a lost response; applied once. The marker is deleted with its lease.
    let lease = client.v3().leases().grant(Duration::from_secs(600)).await?;
    let order = Txn::new().then(Put::new("orders/17", "three of them"));
    let order = ExactlyOnce::new("done/orders/17", order).lease(lease.id);
    for _ in 0..2 {
        let done = client.send(order.clone()).await?;
        println!(
            "order in at revision {}, earlier: {}",
            done.revision,
            done.is_earlier()
        );
    }
    client.v3().leases().revoke(lease.id).await?;
    Ok(())
}

/// Moves coins from a to b, if there are enough. Returns the number of tries.
async fn transfer(client: &Client<ReqwestTransport>, coins: i64) -> Outcome<u32> {
    for tries in 1.. {
        let a = client
            .v3()
            .kv()
            .get("accounts/a")
            .await?
            .ok_or("no account")?;
        let b = client
            .v3()
            .kv()
            .get("accounts/b")
            .await?
            .ok_or("no account")?;
        let (has_a, has_b): (i64, i64) = (a.value_str()?.parse()?, b.value_str()?.parse()?);
        if has_a < coins {
            return Err("not enough".into());
        }
        // Only if neither was changed since it was read.
        let txn = Txn::new()
            .when(Compare::mod_revision("accounts/a").equal(a.mod_revision))
            .when(Compare::mod_revision("accounts/b").equal(b.mod_revision))
            .then(Put::new("accounts/a", (has_a - coins).to_string()))
            .then(Put::new("accounts/b", (has_b + coins).to_string()));
        if client.send(txn).await?.succeeded {
            return Ok(tries);
        }
    }
    Err("never".into())
}
