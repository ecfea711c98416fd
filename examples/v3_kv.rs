//! Keys and values of the v3 API: write, read, list, read an old revision, delete.
//!
//! ```text
//! cargo run --example v3_kv --features reqwest,server
//! cargo run --example v3_kv --features reqwest,server -- --endpoint http://127.0.0.1:2379
//! ```

mod common;

use std::error::Error;

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{KeyRange, Put, Range, SortOrder, SortTarget},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    let v3 = client.v3();
    let kv = v3.kv();

    // Every write has a revision, which counts for all keys of the store.
    let first = kv.put("example/color", "red").await?;
    println!("put    red at revision {}", first.header.revision);
    let second = client
        .send(Put::new("example/color", "green").prev_kv(true))
        .await?;
    let before = second.prev_kv.ok_or("there was a value")?;
    println!(
        "put    green at revision {}, was {:?}",
        second.header.revision, before.value
    );

    // A key that does not exist is not an error.
    let color = kv.get("example/color").await?.ok_or("there is one")?;
    println!("get    {}, version {}", color.value_str()?, color.version);
    println!("get    {:?}", kv.get("example/shape").await?);

    // The history stays until it is compacted.
    let then = Range::new("example/color").revision(first.header.revision);
    let then = client
        .send(then)
        .await?
        .into_first()
        .ok_or("there was one")?;
    println!("then   {}", then.value_str()?);

    for (name, size) in [("small", "1"), ("large", "100")] {
        kv.put(format!("example/size/{name}"), size).await?;
    }
    let newest = Range::new(KeyRange::prefix("example/"))
        .sort(SortTarget::Mod, SortOrder::Descend)
        .limit(2);
    let newest = client.send(newest).await?;
    for kv in &newest.kvs {
        println!("list   {} = {}", kv.key_str()?, kv.value_str()?);
    }
    println!("list   {} in all, more: {}", newest.count, newest.more);

    let deleted = kv.delete(KeyRange::prefix("example/")).await?;
    println!("delete {}", deleted.deleted);
    Ok(())
}
