//! A program without async code: isahc needs no runtime, `block_on` executes a future on the thread that calls it, and a
//! thread drives a cache that the others read like a map.
//!
//! `cargo run --example sync_code --features isahc,server [-- --endpoint URL]`

mod common;

use std::{error::Error, thread};

use etcd_http::{
    Client, Result,
    isahc::IsahcTransport,
    recipes::Cache,
    v3::{KeyRange, Put},
};
use futures::executor::{block_on, block_on_stream};

/// The calls that this program needs, as plain functions.
struct Store {
    client: Client<IsahcTransport>,
}

impl Store {
    fn connect(url: &str) -> Result<Self> {
        let client = Client::<IsahcTransport>::connect([url])?;
        Ok(Self { client })
    }

    /// Returns the revision of the write.
    fn put(&self, key: &str, value: u32) -> Result<i64> {
        let put = Put::new(key, value.to_string());
        Ok(block_on(self.client.send(put))?.header.revision)
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        let found = block_on(self.client.v3().kv().get(key))?;
        Ok(found.map(|kv| String::from_utf8_lossy(&kv.value).into_owned()))
    }

    fn delete_all(&self, prefix: &str) -> Result<i64> {
        let deleted = block_on(self.client.v3().kv().delete(KeyRange::prefix(prefix)))?;
        Ok(deleted.deleted)
    }
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let store = Store::connect(&etcd.url)?;
    store.put("stock/apples", 12)?;
    println!("apples: {:?}", store.get("stock/apples")?);

    let (stock, driver) = Cache::<u32>::json(store.client.v3(), KeyRange::prefix("stock/"));
    // It ends when the last handle and the last stream of the cache are dropped.
    let driving = thread::spawn(|| block_on(driver));
    let mut changes = block_on_stream(stock.changes());
    // The first item is what is there.
    changes.next().ok_or("the cache has ended")?;

    let revision = store.put("stock/pears", 7)?;
    let snapshot = block_on(stock.wait_until(revision))?;
    for entry in snapshot.iter() {
        println!("{} = {}", entry.kv.key_str()?, entry.value);
    }
    let total: u32 = snapshot.iter().map(|entry| entry.value).sum();
    println!("{total} in all");
    assert_eq!(
        snapshot.get("stock/pears").map(|entry| entry.value),
        Some(7)
    );

    // Other threads read the same copy, each without a request.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let stock = stock.clone();
            thread::spawn(move || stock.get("stock/pears").map(|entry| entry.value))
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.join().map_err(|_| "a reader panicked")?, Some(7));
    }

    store.delete_all("stock/")?;
    while !stock.snapshot().is_empty() {
        changes.next().ok_or("the cache has ended")?;
    }
    drop((stock, changes));
    driving.join().map_err(|_| "the driver panicked")?;
    Ok(())
}
