//! A set of watches that changes with its events: the instances of a service, and the settings of each as long as it
//! exists.
//!
//! `cargo run --example v3_watch_set --features reqwest,server [-- --endpoint URL]`

mod common;

use std::{collections::HashMap, error::Error, time::Duration};

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{KeyRange, Watch, WatchSet},
};
use futures::StreamExt;

const INSTANCES: &str = "v3-watch-set/instances/";
const SETTINGS: &str = "v3-watch-set/settings/";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    let others = tokio::spawn(others(client.clone()));

    let instances = Watch::new(KeyRange::prefix(INSTANCES)).from_revision(1);
    let (set, control) = WatchSet::new([instances]).controlled();
    let mut items = client.open(set);
    // The names by the watch of their settings, and the other way round.
    let mut names = HashMap::new();
    let mut watches = HashMap::new();
    while let Some(item) = items.next().await {
        let item = item?;
        let changes = item.changes?;
        for event in &changes.events {
            if item.watch != 0 {
                if !event.is_delete() {
                    println!("{}: {:?}", names[&item.watch], event.kv.value_str()?);
                }
                continue;
            }
            let name = event.kv.key_str()?.trim_start_matches(INSTANCES).to_owned();
            if event.is_create() {
                println!("{name} is here");
                // Its settings from this revision on, so that no change is missed.
                let settings = Watch::new(format!("{SETTINGS}{name}"));
                let watch = control.add(settings.from_revision(changes.revision))?;
                names.insert(watch, name.clone());
                watches.insert(name, watch);
            } else if event.is_delete()
                && let Some(watch) = watches.remove(&name)
            {
                println!("{name} is gone");
                control.cancel(watch);
            }
        }
        if !names.is_empty() && watches.is_empty() {
            break;
        }
    }
    others.await??;
    Ok(())
}

/// Two instances that register, change their settings, and leave.
async fn others(client: Client<ReqwestTransport>) -> etcd_http::Result<()> {
    let kv = client.v3().kv();
    for name in ["one", "two"] {
        kv.put(format!("{INSTANCES}{name}"), "").await?;
    }
    for value in ["slow", "fast"] {
        for name in ["one", "two"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            kv.put(format!("{SETTINGS}{name}"), value).await?;
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    kv.delete(KeyRange::prefix(SETTINGS)).await?;
    kv.delete(KeyRange::prefix(INSTANCES)).await?;
    Ok(())
}
