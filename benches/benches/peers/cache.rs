//! A cache of many keys: its memory, the time until it is complete, and what its readers and its updates take.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    hyper::HyperTransport,
    recipes::Cache,
    v3::{KeyRange, NonAtomicBatch, Put},
};
use futures::{StreamExt, stream};
use stats_alloc::Region;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::ALLOCATOR;

const PREFIX: &str = "/cache/";

/// How many puts are under way at a time.
const PUTS: usize = 64;

#[derive(serde::Deserialize)]
struct Route {
    host: String,
    port: u16,
}

type Routes = Cache<Route>;

pub(crate) fn run(runtime: &Runtime, url: &str, keys: usize, reading: Duration) {
    let client = Client::<HyperTransport>::connect([url]).expect("a client");
    runtime.block_on(fill(&client, keys));
    println!(
        "\ncache of {keys} keys with JSON values of {} bytes",
        value(0).len()
    );

    let region = Region::new(ALLOCATOR);
    let start = Instant::now();
    let (cache, driver) = runtime.block_on(ready(&client));
    row("first consistent state", format!("{:.0?}", start.elapsed()));
    let now = region.change();
    let bytes = now.bytes_allocated.saturating_sub(now.bytes_deallocated);
    row(
        "memory of a key, all included",
        format!("{} bytes", bytes / keys),
    );

    let events = keys / 2;
    let elapsed = runtime.block_on(update(&client, &cache, events));
    row("events, as fast as they are written", rate(events, elapsed));
    driver.abort();
    let elapsed = runtime.block_on(catch_up(&client, events));
    row("events, that wait for a cache", rate(events, elapsed));

    for readers in [1, 2, 4] {
        let reads = read(&cache, keys, readers, reading);
        row(&format!("reads, {readers} threads"), rate(reads, reading));
    }
}

async fn fill(client: &Client<HyperTransport>, keys: usize) {
    let puts = (0..keys).map(|number| Put::new(key(number), value(number)));
    let written = NonAtomicBatch::new(puts).send(client).await;
    written.expect("all keys are written");
}

async fn ready(client: &Client<HyperTransport>) -> (Routes, JoinHandle<()>) {
    let (cache, driver) = Cache::json(client.v3(), KeyRange::prefix(PREFIX));
    let driver = tokio::spawn(driver);
    cache.ready().await.expect("a listing");
    (cache, driver)
}

/// Writes keys, one each revision, and waits until the cache has all.
async fn update(client: &Client<HyperTransport>, cache: &Routes, events: usize) -> Duration {
    let start = Instant::now();
    let revision = write(client, events).await;
    cache.wait_until(revision).await.expect("the revision");
    start.elapsed()
}

/// Writes keys while the cache's driver does not run, and measures how long it takes to be up to date.
async fn catch_up(client: &Client<HyperTransport>, events: usize) -> Duration {
    let (cache, mut driver) = Cache::<Route>::json(client.v3(), KeyRange::prefix(PREFIX));
    let is_ready = async { cache.ready().await.map(drop) };
    cache.run(&mut driver, is_ready).await.expect("a listing");
    let revision = write(client, events).await;
    let start = Instant::now();
    let reached = async {
        let mut changes = cache.changes();
        while cache.revision() < revision {
            changes.next().await.expect("an update");
        }
    };
    cache.run(driver, reached).await;
    start.elapsed()
}

/// Returns the last revision.
async fn write(client: &Client<HyperTransport>, events: usize) -> i64 {
    let kv = client.v3().kv();
    let puts = stream::iter(0..events).map(|number| kv.put(key(number), value(number + 1)));
    let revisions = puts
        .buffer_unordered(PUTS)
        .map(|put| put.expect("a response").header.revision);
    revisions.fold(0, async |last, it| it.max(last)).await
}

/// Returns how many reads so many threads make in this time.
fn read(cache: &Routes, keys: usize, readers: usize, time: Duration) -> usize {
    let (is_over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for reader in 0..readers {
            let (is_over, reads) = (&is_over, &reads);
            scope.spawn(move || {
                let names: Vec<_> = (0..1000)
                    .map(|it| key((it * 7919 + reader) % keys))
                    .collect();
                let mut count = 0;
                while !is_over.load(Relaxed) {
                    for name in &names {
                        let entry = cache.get(name).expect("the key");
                        assert!(entry.value.port > 0 && !entry.value.host.is_empty());
                    }
                    count += names.len();
                }
                reads.fetch_add(count, Relaxed);
            });
        }
        thread::sleep(time);
        is_over.store(true, Relaxed);
    });
    reads.into_inner()
}

fn key(number: usize) -> String {
    format!("{PREFIX}{number:08}")
}

fn value(number: usize) -> String {
    format!(
        r#"{{"host":"10.0.0.{}","port":{}}}"#,
        number % 256,
        1024 + number % 1000
    )
}

fn rate(count: usize, time: Duration) -> String {
    format!("{:.0} per second", count as f64 / time.as_secs_f64())
}

fn row(name: &str, figure: String) {
    println!("  {name:36} {figure:>20}");
}
