//! A counter that many tasks increment concurrently, without a lock: read, compare-and-swap, and again if another task
//! was faster.
//!
//! `cargo run --example lock_free_counter --features reqwest,server [-- --endpoint URL]`

mod common;

use std::error::Error;

use etcd_http::{Client, Outcome, Result, reqwest::ReqwestTransport, v2::Condition};

const COUNTER: &str = "/lock-free-counter";
const TASKS: u64 = 8;
const INCREMENTS: u64 = 25;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    client.v2().set(COUNTER, "0").await?;

    // A clone of the client is cheap, and shares its connections.
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| tokio::spawn(raise_often(client.clone())))
        .collect();
    let mut lost_races = 0;
    for task in tasks {
        lost_races += task.await??;
    }

    let sum = client.v2().get(COUNTER).await?.node.value;
    println!("{TASKS} tasks, {INCREMENTS} increments each, {lost_races} races lost: {sum:?}");
    assert_eq!(sum, Some((TASKS * INCREMENTS).to_string()));
    client.v2().delete(COUNTER).await?;
    Ok(())
}

async fn raise_often(client: Client<ReqwestTransport>) -> Result<u64> {
    let mut lost_races = 0;
    for _ in 0..INCREMENTS {
        lost_races += raise(&client).await?;
    }
    Ok(lost_races)
}

/// Adds one. Returns how often another task was faster.
async fn raise(client: &Client<ReqwestTransport>) -> Result<u64> {
    let mut lost_races = 0;
    loop {
        let node = client.v2().get(COUNTER).await?.node;
        let value: u64 = node.value.and_then(|v| v.parse().ok()).unwrap_or(0);
        // Compare the index, not the value: a counter that went up and down again has the same value, but another
        // index.
        let unchanged = Condition::index_is(node.modified_index);
        let next = (value + 1).to_string();
        match client.v2().compare_and_swap(COUNTER, next, unchanged).await {
            Ok(_) => return Ok(lost_races),
            Err(error) if error.is_compare_failed() => lost_races += 1,
            // Nothing reached the server, so trying again is safe.
            Err(error) if error.outcome() == Outcome::NotSent => {}
            // With `Outcome::Unknown` the write may have been applied. A program that counts money would read the key;
            // here it is an error.
            Err(error) => return Err(error),
        }
    }
}
