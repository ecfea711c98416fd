//! Two watches over one request: a switch, and the jobs below a prefix.
//!
//! `cargo run --example v3_watch --features reqwest,server [-- --endpoint URL]`

mod common;

use std::error::Error;

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{DeleteRange, KeyRange, Put, Txn, Watch},
};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;

    // The state and its revision: the watches begin after it, so no change is missed.
    let jobs = KeyRange::prefix("v3-watch/jobs/");
    let read = client.v3().kv().range(&jobs).await?;
    let revision = read.header.revision;
    println!("{} jobs at revision {revision}", read.count);

    // One transaction is one revision, and arrives as one item.
    let txn = Txn::new()
        .then(Put::new("v3-watch/jobs/1", "resize"))
        .then(Put::new("v3-watch/jobs/2", "upload"));
    client.send(txn).await?;
    client.send(DeleteRange::new("v3-watch/jobs/1")).await?;
    client.v3().kv().put("v3-watch/switch", "off").await?;

    let mut items = client.v3().watch_set([
        Watch::new("v3-watch/switch").after_revision(revision),
        Watch::new(jobs).after_revision(revision).prev_kv(true),
    ]);
    let (mut is_off, mut jobs) = (false, read.count);
    while let Some(item) = items.next().await {
        let item = item?;
        let watch = item.watch;
        // This watch alone may have ended: its history was compacted, or the user may not read its range.
        let changes = item.changes?;
        for event in &changes.events {
            let before = event.prev_kv.as_ref().map(|kv| &kv.value);
            println!(
                "revision {}: {:?} {:?}, before {before:?}",
                changes.revision, event.kind, event.kv
            );
            match watch {
                0 => is_off = event.kv.value == "off",
                _ if event.is_create() => jobs += 1,
                _ if event.is_delete() => jobs -= 1,
                _ => {}
            }
        }
        if is_off && jobs == read.count + 1 {
            break; // Dropping the stream ends its request.
        }
    }
    client
        .v3()
        .kv()
        .delete(KeyRange::prefix("v3-watch/"))
        .await?;
    Ok(())
}
