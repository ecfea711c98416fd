//! A program that moves the keys of an old service from v2 to v3, with a progress bar: it copies them while the service runs, is
//! interrupted, goes on, and takes over what has changed meanwhile.
//!
//! ```text
//! cargo run --example migrate_v2_to_v3 --features fake
//! ```

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd, Fault, When},
    recipes::{
        RecipeError,
        migration::{Migration, Report},
    },
    v2::{CreateDir, Set},
};
use futures::executor::block_on;
use indicatif::{ProgressBar, ProgressStyle};

const KEYS: usize = 10_000;

/// One run, with a bar.
async fn copy(migration: &Migration<FakeEtcd, FakeEtcd>) -> Result<Report, RecipeError> {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} keys, {per_sec}");
    let bar = ProgressBar::new(0).with_style(style.expect("a valid template"));
    let report = migration
        .run_with(|now| {
            bar.set_length(now.total as u64);
            bar.set_position(now.done as u64);
        })
        .await?;
    bar.finish();
    Ok(report)
}

/// What an old service has in v2.
async fn fill(client: &Client<FakeEtcd>) -> Result<(), etcd_http::Error> {
    let v2 = client.v2();
    for number in 0..KEYS {
        let key = format!("/app/users/{}/{number}", number % 100);
        v2.set(key, format!("user {number}")).await?;
    }
    let registered = Set::new("/app/services/web-7", "http://10.0.0.7");
    client.send(registered.ttl(Duration::from_secs(60))).await?;
    client.send(CreateDir::new("/app/empty")).await?;
    Ok(())
}

async fn run(etcd: &FakeEtcd) -> Result<(), Box<dyn Error>> {
    // The two may be clients of different clusters, over different transports.
    let old = Client::new(etcd.clone(), etcd.endpoints())?;
    let new = Client::new(etcd.clone(), etcd.endpoints())?;
    fill(&old).await?;

    let migration = Migration::new(&old, "/app", new.v3().namespace("app/"))
        .outage_limit(Duration::from_secs(30));
    // No server responds any more, after half of the keys.
    let txn = When::any().path("/v3/kv/txn");
    let half = txn.matching(|_| true).nth(80);
    let halt = Fault::before(|etcd| etcd.inject(When::any(), Fault::silence()));
    etcd.inject(half, halt);
    let interrupted = copy(&migration).await.expect_err("no server responds");
    println!("interrupted: {interrupted}");

    // The program is started again.
    etcd.clear_faults();
    println!("{}", copy(&migration).await?);

    // The service goes on with v2 until it is switched; then what has changed is taken over.
    old.v2().set("/app/users/7/7", "renamed").await?;
    old.v2().delete("/app/users/8/8").await?;
    println!("{}", migration.verify().await?);
    let last = migration.delete_removed(true);
    println!("{}", copy(&last).await?);
    let verified = last.verify().await?;
    println!("{verified}");
    assert!(verified.is_same() && verified.same == KEYS as u64);
    last.forget().await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    block_on(run(&etcd))
}
