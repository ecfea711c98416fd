//! v3 by gRPC beside the crate etcd-client and beside h2 by hand, in one run on one server: throughput, the client's CPU time and
//! allocations per operation, the latency of watches, and the time to connect. Then two recipes: a lock beside Go's and beside the
//! server's own, and a cache.
//!
//! `cargo bench -p etcd-http-benches --bench peers`, and a part of the table by its name: `… --bench peers -- put`.
//!
//! All clients take turns, a few operations each, and each ratio is the median of all turns: other load on the machine affects
//! them equally. Each runs on one thread, whose CPU time is measured. The server has its data in memory (`/dev/shm`).

mod bare;
mod cache;
mod contender;
mod locks;
mod table;

use std::{
    alloc::System,
    env,
    pin::pin,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    hyper::HyperTransport,
    reqwest::ReqwestTransport,
    server::{self, Server},
};
use etcd_http_benches::tokio;
use futures::{StreamExt, future, stream::BoxStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{runtime::Runtime, task::JoinSet};

use self::{
    bare::Bare,
    contender::{Contender, Operation, Watcher},
    table::{Column, Sample, Table, cpu_time},
};

#[global_allocator]
pub(crate) static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The value of every key.
pub(crate) const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// The prefix of the keys that are listed, and their number.
pub(crate) const LIST: &str = "/list/";
pub(crate) const LISTED: usize = 1000;

fn main() {
    // `cargo test` only checks that it runs; `cargo bench` measures.
    let is_bench = env::args().any(|argument| argument == "--bench");
    let only: Vec<String> = env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let is_chosen = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    let etcd = server::start().expect("an etcd");
    let bench = Bench::new(&etcd, if is_bench { 40 } else { 1 });
    let mut means = Vec::new();
    for (name, operation, count) in [
        ("put", Operation::Put, 256),
        ("get", Operation::Get, 256),
        ("compare and swap", Operation::Cas, 256),
        ("serializable get", Operation::SerializableGet, 256),
        ("list of 1,000", Operation::List, 64),
    ] {
        if !is_chosen(name) {
            continue;
        }
        for callers in [1, 16, 64] {
            let table = bench.calls(operation, callers, count);
            table.print(&format!("{name}, callers: {callers}"));
            if matches!(operation, Operation::Put | Operation::Get | Operation::Cas) {
                means.push((callers, table));
            }
        }
    }
    for callers in [1, 16, 64] {
        let of = means.iter().filter(|(others, _)| *others == callers);
        let tables: Vec<&Table> = of.map(|(_, table)| table).collect();
        if tables.len() == 3 {
            Table::print_means(
                &format!("put, get, compare and swap, callers: {callers}"),
                &tables,
            );
        }
    }
    if is_chosen("watch") {
        bench.watches();
    }
    if is_chosen("connect") {
        let table = bench.connects();
        table.print("connect, and the first get");
    }
    let (runtime, url) = (&bench.runtime, &bench.url);
    if is_chosen("lock") {
        let (waiters, rounds) = if is_bench { (100, 20) } else { (3, 1) };
        locks::run(runtime, url, waiters, rounds, is_bench);
    }
    if is_chosen("cache") {
        let sizes: &[usize] = if is_bench { &[1000, 100_000] } else { &[100] };
        for &keys in sizes {
            let size = cache::Size {
                keys,
                events: if is_bench { 50_000 } else { 100 },
                reading: Duration::from_secs(u64::from(is_bench)),
            };
            cache::run(runtime, url, size);
        }
    }
}

/// The clients, all on one thread.
struct Bench {
    runtime: Runtime,
    url: String,
    turns: usize,
    bare: Bare,
    hyper: Client<HyperTransport>,
    reqwest: Client<ReqwestTransport>,
    tonic: etcd_client::Client,
}

/// The order of the contenders in a table.
const NAMES: [&str; 4] = [
    <Bare as Contender>::NAME,
    <Client<HyperTransport> as Contender>::NAME,
    <Client<ReqwestTransport> as Contender>::NAME,
    <etcd_client::Client as Contender>::NAME,
];

impl Bench {
    fn new(etcd: &Server, turns: usize) -> Self {
        let (runtime, url) = (tokio(), etcd.client_url());
        let (mut bare, hyper, reqwest, tonic) = runtime.block_on(async {
            let bare = Bare::connect(&url).await;
            let hyper = <Client<_> as Contender>::connect(&url).await;
            let reqwest = <Client<_> as Contender>::connect(&url).await;
            let tonic = <etcd_client::Client as Contender>::connect(&url).await;
            (bare, hyper, reqwest, tonic)
        });
        runtime.block_on(async {
            for number in 0..LISTED {
                bare.run(Operation::Put, &format!("{LIST}{number:04}"))
                    .await;
            }
            for caller in 0..64 {
                bare.run(Operation::Put, &key(caller)).await;
            }
        });
        Self {
            runtime,
            url,
            turns,
            bare,
            hyper,
            reqwest,
            tonic,
        }
    }

    /// Measures an operation, made `count` times by so many callers at once.
    fn calls(&self, operation: Operation, callers: usize, count: usize) -> Table {
        let each = count / callers;
        let bare = || self.call(&self.bare, operation, callers, each);
        let hyper = || self.call(&self.hyper, operation, callers, each);
        let reqwest = || self.call(&self.reqwest, operation, callers, each);
        let tonic = || self.call(&self.tonic, operation, callers, each);
        self.measure([&bare, &hyper, &reqwest, &tonic], each * callers)
    }

    fn call<C: Contender>(&self, client: &C, operation: Operation, callers: usize, each: usize) {
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let (mut client, key) = (client.clone(), key(caller));
            let task = async move {
                for _ in 0..each {
                    client.run(operation, &key).await;
                }
            };
            tasks.spawn_on(task, self.runtime.handle());
        }
        self.runtime.block_on(tasks.join_all());
    }

    /// Measures a new client with its first get.
    fn connects(&self) -> Table {
        let bare = || self.connect::<Bare>();
        let hyper = || self.connect::<Client<HyperTransport>>();
        let reqwest = || self.connect::<Client<ReqwestTransport>>();
        let tonic = || self.connect::<etcd_client::Client>();
        self.measure([&bare, &hyper, &reqwest, &tonic], 1)
    }

    fn connect<C: Contender>(&self) {
        self.runtime.block_on(async {
            let mut client = C::connect(&self.url).await;
            client.run(Operation::Get, &key(0)).await;
        });
    }

    /// Measures what makes `count` operations, for each contender.
    fn measure(&self, contenders: [&dyn Fn(); 4], count: usize) -> Table {
        for contender in contenders {
            // Warms up.
            contender();
        }
        let mut columns = NAMES.map(Column::new);
        for turn in 0..self.turns {
            // One contender changes the state of the machine for the next, so they take turns to be first.
            for place in 0..contenders.len() {
                let index = (turn + place) % contenders.len();
                let (cpu, start) = (cpu_time(), Instant::now());
                contenders[index]();
                let sample = Sample {
                    elapsed: start.elapsed().as_secs_f64() / count as f64,
                    cpu: (cpu_time() - cpu).as_secs_f64() / count as f64,
                };
                columns[index].samples.push(sample);
            }
        }
        for (column, contender) in columns.iter_mut().zip(contenders) {
            let region = Region::new(ALLOCATOR);
            contender();
            let change = region.change();
            let allocations = change.allocations + change.reallocations;
            column.allocations = allocations as f64 / count as f64;
        }
        Table { columns }
    }

    /// Measures the time from a put to its event, for the clients that take turns.
    fn watches(&self) {
        let (runtime, puts) = (&self.runtime, self.turns * 25);
        runtime.block_on(async {
            let mut writer = self.bare.clone();
            let mut watches = [
                (
                    NAMES[1],
                    "/watch/hyper",
                    self.hyper.watch("/watch/hyper").await,
                ),
                (
                    NAMES[2],
                    "/watch/reqwest",
                    self.reqwest.watch("/watch/reqwest").await,
                ),
                (
                    NAMES[3],
                    "/watch/tonic",
                    self.tonic.watch("/watch/tonic").await,
                ),
            ];
            let mut latencies = [(); 3].map(|()| Vec::with_capacity(puts));
            for (_, key, events) in &mut watches {
                settle(&mut writer, key, events).await;
            }
            for _ in 0..puts {
                for ((_, key, events), latencies) in watches.iter_mut().zip(&mut latencies) {
                    let start = Instant::now();
                    writer.run(Operation::Put, key).await;
                    events.next().await.expect("an event");
                    latencies.push(start.elapsed());
                }
            }
            println!(
                "\nwatch, from a put by hand to its event {:>9} {:>9}",
                "p50", "p99"
            );
            for ((name, ..), mut latencies) in watches.iter().zip(latencies) {
                latencies.sort_unstable();
                let at = |part: f64| latencies[(latencies.len() as f64 * part) as usize];
                let (p50, p99) = (micros(at(0.5)), micros(at(0.99)));
                println!("  {name:36} {p50:>6.0} µs {p99:>6.0} µs");
            }
        });
    }
}

/// Writes a key until a watch has opened, and then until all its events have arrived.
async fn settle(writer: &mut Bare, key: &str, events: &mut BoxStream<'static, ()>) {
    let writing = pin!(async {
        loop {
            writer.run(Operation::Put, key).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let _: future::Either<_, ((), _)> = future::select(events.next(), writing).await;
    let quiet = Duration::from_millis(200);
    while tokio::time::timeout(quiet, events.next()).await.is_ok() {}
}

fn key(caller: usize) -> String {
    format!("/bench/key{caller}")
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
