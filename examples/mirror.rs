//! A table of services in memory that follows the keys in etcd.
//!
//! `cargo run --example mirror --features reqwest,server [-- --endpoint URL]`

mod common;

use std::error::Error;

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{KeyRange, MirrorChange},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    let kv = client.v3().kv();
    kv.put("mirror/db", "10.0.0.1:5432").await?;
    kv.put("mirror/cache", "10.0.0.2:6379").await?;

    let mut services = client.v3().mirror(KeyRange::prefix("mirror/"));
    let first = services.next().await?;
    println!("{} services at revision {}", services.len(), first.revision);

    kv.put("mirror/db", "10.0.0.9:5432").await?;
    kv.put("mirror/queue", "10.0.0.3:5672").await?;
    kv.delete("mirror/cache").await?;
    while services.get("mirror/cache").is_some() {
        for change in services.next().await?.changes {
            match change {
                MirrorChange::Added(new) => println!("{:?} is new, at {:?}", new.key, new.value),
                MirrorChange::Changed { old, new } => {
                    println!(
                        "{:?} moved from {:?} to {:?}",
                        new.key, old.value, new.value
                    );
                }
                MirrorChange::Removed(old) => println!("{:?} is gone", old.key),
            }
        }
    }
    for service in services.iter() {
        println!("{} = {}", service.key_str()?, service.value_str()?);
    }
    kv.delete(KeyRange::prefix("mirror/")).await?;
    Ok(())
}
