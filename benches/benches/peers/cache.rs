//! A cache of many keys: its memory, the time until it is complete, and what its readers and its updates take.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    hyper::HyperTransport,
    recipes::{Cache, CacheDriver},
    v3::{KeyRange, NonAtomicBatch, Put},
};
use futures::{StreamExt, stream};
use stats_alloc::Region;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{ALLOCATOR, table::cpu_time};

/// How many puts are under way at a time.
const PUTS: usize = 64;

#[derive(serde::Deserialize)]
struct Route {
    host: String,
    port: u16,
}

type Routes = Cache<Route>;

/// The keys of a cache, and the sizes of what is measured with it.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) keys: usize,
    pub(crate) events: usize,
    pub(crate) reading: Duration,
}

pub(crate) fn run(runtime: &Runtime, url: &str, size: Size) {
    let Size { keys, events, .. } = size;
    let keys = &Keys {
        client: Client::<HyperTransport>::connect([url]).expect("a client"),
        prefix: format!("/cache/{keys}/"),
        count: keys,
    };
    runtime.block_on(keys.fill());
    println!(
        "\ncache of {} keys with JSON values of {} bytes {:>30}",
        keys.count,
        value(0).len(),
        "of it CPU of the client"
    );
    let region = Region::new(ALLOCATOR);
    let (cache, driver) = row("first consistent state", keys.count, || {
        runtime.block_on(keys.ready())
    });
    let now = region.change();
    let bytes = now.bytes_allocated.saturating_sub(now.bytes_deallocated);
    println!(
        "  memory {:>44} bytes a key, all included",
        bytes / keys.count
    );
    let live = "puts by 64 callers, until they are read";
    row(live, events, || {
        runtime.block_on(keys.update(&cache, events));
    });
    driver.abort();
    let (late, mut driver, revision) = runtime.block_on(keys.fall_behind(events));
    row("events that wait for the cache", events, || {
        runtime.block_on(catch_up(&late, &mut driver, revision));
    });
    for readers in [1, 2, 4] {
        let reads = keys.read(&cache, readers, size.reading);
        let rate = reads as f64 / size.reading.as_secs_f64();
        println!("  reads by {readers} threads {rate:>34.0} per second");
    }
}

/// The keys of a cache.
struct Keys {
    client: Client<HyperTransport>,
    prefix: String,
    count: usize,
}

impl Keys {
    async fn fill(&self) {
        let puts = (0..self.count).map(|number| Put::new(self.key(number), value(number)));
        let written = NonAtomicBatch::new(puts).send(&self.client).await;
        written.expect("all keys are written");
    }

    fn cache(&self) -> (Routes, CacheDriver) {
        Cache::json(self.client.v3(), KeyRange::prefix(&self.prefix))
    }

    async fn ready(&self) -> (Routes, JoinHandle<()>) {
        let (cache, driver) = self.cache();
        let driver = tokio::spawn(driver);
        cache.ready().await.expect("a listing");
        (cache, driver)
    }

    /// Writes keys, one each revision, and waits until the cache has all.
    async fn update(&self, cache: &Routes, events: usize) {
        let revision = self.write(events).await;
        cache.wait_until(revision).await.expect("the revision");
    }

    /// Writes keys while the driver of a cache does not run. Returns the last revision.
    async fn fall_behind(&self, events: usize) -> (Routes, CacheDriver, i64) {
        let (cache, mut driver) = self.cache();
        let is_ready = async { cache.ready().await.map(drop) };
        cache.run(&mut driver, is_ready).await.expect("a listing");
        let revision = self.write(events).await;
        (cache, driver, revision)
    }

    /// Returns the last revision.
    async fn write(&self, events: usize) -> i64 {
        let kv = self.client.v3().kv();
        let puts = stream::iter(0..events)
            .map(|number| kv.put(self.key(number % self.count), value(number + 1)));
        let revisions = puts
            .buffer_unordered(PUTS)
            .map(|put| put.expect("a response").header.revision);
        revisions.fold(0, async |last, it| it.max(last)).await
    }

    /// Returns how many reads so many threads make in this time.
    fn read(&self, cache: &Routes, readers: usize, time: Duration) -> usize {
        let reads = AtomicUsize::new(0);
        let end = Instant::now() + time;
        thread::scope(|scope| {
            for reader in 0..readers {
                let reads = &reads;
                scope.spawn(move || {
                    let names = (0..1000).map(|it| self.key((it * 7919 + reader) % self.count));
                    let names: Vec<_> = names.collect();
                    let mut count = 0;
                    while Instant::now() < end {
                        for name in &names {
                            let entry = cache.get(name).expect("the key");
                            assert!(entry.value.port > 0 && !entry.value.host.is_empty());
                        }
                        count += names.len();
                    }
                    reads.fetch_add(count, Relaxed);
                });
            }
        });
        reads.into_inner()
    }

    fn key(&self, number: usize) -> String {
        format!("{}{number:08}", self.prefix)
    }
}

async fn catch_up(cache: &Routes, driver: &mut CacheDriver, revision: i64) {
    let reached = async {
        let mut changes = cache.changes();
        while cache.revision() < revision {
            changes.next().await.expect("an update");
        }
    };
    cache.run(driver, reached).await;
}

fn value(number: usize) -> String {
    format!(
        r#"{{"host":"10.0.0.{}","port":{}}}"#,
        number % 256,
        1024 + number % 1000
    )
}

/// Measures what is done so many times.
fn row<O>(name: &str, count: usize, work: impl FnOnce() -> O) -> O {
    let (cpu, start) = (cpu_time(), Instant::now());
    let output = work();
    let (elapsed, cpu) = (start.elapsed(), cpu_time() - cpu);
    let rate = count as f64 / elapsed.as_secs_f64();
    let each = cpu.as_secs_f64() * 1e6 / count as f64;
    println!("  {name:40} {elapsed:>10.0?} {rate:>10.0} per second {each:>8.1} µs each");
    output
}
