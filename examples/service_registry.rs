//! Service discovery: instances register with a TTL and refresh it. One that dies disappears when its TTL is over.
//!
//! `cargo run --example service_registry --features reqwest,server [-- --endpoint URL]`

mod common;

use std::{collections::BTreeMap, error::Error, time::Duration};

use etcd_http::{
    Client, Result,
    reqwest::ReqwestTransport,
    v2::{Action, Get, Set, Watch},
};
use futures::StreamExt;

const SERVICE: &str = "/service-registry/web";

/// A dead instance disappears after this time, or at most half a second later. The v2 API counts whole seconds.
const TTL: Duration = Duration::from_secs(2);

/// Often enough to tolerate one late refresh.
const REFRESH: Duration = Duration::from_millis(600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    // Removes the keys of an interrupted run.
    let _ = client.v2().delete_tree(SERVICE).await;
    client.v2().set_dir(SERVICE).await?;

    // The clients' side: list the instances, then watch from that index on.
    let read = client.send(Get::new(SERVICE).recursive(true)).await?;
    let from = read.cluster.etcd_index.unwrap_or(0) + 1;
    let watch = Watch::new(SERVICE).recursive(true).from_index(from);
    let mut events = client.open(watch);

    let a = tokio::spawn(instance(client.clone(), "a", "10.0.0.1:80"));
    let b = tokio::spawn(instance(client.clone(), "b", "10.0.0.2:80"));

    let mut instances = BTreeMap::new();
    while let Some(event) = events.next().await {
        let event = event?;
        let name = event.node.name().to_owned();
        match (&event.action, event.node.value) {
            (Action::Expire | Action::Delete, _) => instances.remove(&name),
            (_, Some(address)) => instances.insert(name, address),
            (_, None) => None,
        };
        // Refreshes are not events: the watch delivers only changes.
        println!("{:?} -> {instances:?}", event.action);

        if instances.len() == 2 {
            tokio::time::sleep(2 * TTL).await;
            println!("both have outlived their TTL; b dies silently");
            b.abort();
        }
        if event.action == Action::Expire {
            break;
        }
    }
    assert_eq!(instances.keys().collect::<Vec<_>>(), ["a"]);

    a.abort();
    client.v2().delete_tree("/service-registry").await?;
    Ok(())
}

/// Runs one instance of the service.
async fn instance(client: Client<ReqwestTransport>, name: &str, address: &str) -> Result<()> {
    let key = format!("{SERVICE}/{name}");
    loop {
        client.send(Set::new(&key, address).ttl(TTL)).await?;
        loop {
            tokio::time::sleep(REFRESH).await;
            match client.v2().refresh(&key, TTL).await {
                Ok(_) => {}
                // The instance was away for too long and counts as dead: it registers again.
                Err(error) if error.is_key_not_found() => break,
                Err(error) => return Err(error),
            }
        }
    }
}
