//! A program that follows its configuration: it reads it once, then applies every change in order.
//!
//! `cargo run --example watch --features reqwest,server [-- --endpoint URL]`

mod common;

use std::{collections::BTreeMap, error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v2::{Get, Node, Watch, WatchUpdate},
};
use futures::StreamExt;

const CONFIG: &str = "/watch-example/config";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    client.v2().set(format!("{CONFIG}/level"), "info").await?;
    client.v2().set(format!("{CONFIG}/workers"), "4").await?;

    // The state, and the index of the store at the read.
    let read = client.send(Get::new(CONFIG).recursive(true)).await?;
    let index = read.cluster.etcd_index.unwrap_or(read.index());
    let mut config = BTreeMap::new();
    fill(&mut config, &read.node);
    println!("at {index}: {config:?}");

    // This change is made between the read and the watch. It is not lost: the watch begins after the index of the read.
    client.v2().set(format!("{CONFIG}/level"), "debug").await?;
    let operator = tokio::spawn(change_the_configuration(client.clone()));

    // etcd keeps 1,000 events. After a longer absence, the watch delivers the complete state.
    let watch = Watch::new(CONFIG).recursive(true).from_index(index + 1);
    let mut updates = client.open(watch.resyncing());
    while let Some(update) = updates.next().await {
        match update? {
            WatchUpdate::Event(event) => {
                let key = event.node.key.clone();
                match &event.node.value {
                    Some(value) => config.insert(key, value.clone()),
                    None => config.remove(&key),
                };
                println!("at {}: {:?} -> {config:?}", event.index(), event.action);
            }
            WatchUpdate::Resync(resync) => {
                config.clear();
                if let Some(node) = &resync.state {
                    fill(&mut config, node);
                }
                println!("at {}: read again -> {config:?}", resync.index);
            }
        }
        if !config.keys().any(|key| key.ends_with("/workers")) {
            break; // Dropping the stream ends its request.
        }
    }
    operator.await??;
    client.v2().delete_tree("/watch-example").await?;
    Ok(())
}

async fn change_the_configuration(client: Client<ReqwestTransport>) -> etcd_http::Result<()> {
    for (name, value) in [("workers", "8"), ("proxy", "none"), ("level", "warn")] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.v2().set(format!("{CONFIG}/{name}"), value).await?;
    }
    client.v2().delete(format!("{CONFIG}/workers")).await?;
    Ok(())
}

/// Returns all files below a directory, by key.
fn fill(config: &mut BTreeMap<String, String>, node: &Node) {
    if let Some(value) = &node.value {
        config.insert(node.key.clone(), value.clone());
    }
    for child in &node.nodes {
        fill(config, child);
    }
}
