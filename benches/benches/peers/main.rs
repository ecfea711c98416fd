//! v3 by gRPC beside the crate etcd-client, and beside h2 and reqwest by hand, in one run on one server: throughput, the client's CPU time and
//! allocations per operation, the latency of watches, the time to connect, and peak memory. Then two recipes: a lock beside Go's and
//! beside the server's own, and a cache. The program `etcd-fake` beside etcd. An outage, and what is kept open and does nothing.
//!
//! `cargo bench -p etcd-http-benches --bench peers`, and a part of the table by its name: `… --bench peers -- put`. With
//! `--profile release`, in the profile that cargo builds programs with.
//!
//! All clients take turns, a few operations each, and each ratio is the median of all turns: other load on the machine affects
//! them equally. Each runs on one thread, whose CPU time is measured. The server has its data in memory (`/dev/shm`).

mod bare;
mod cache;
mod contender;
mod locks;
mod memory;
mod messages;
mod outage;
mod rest;
mod served;
mod table;
mod watches;

use std::{
    alloc::System,
    env,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    hyper::HyperTransport,
    reqwest::ReqwestTransport,
    server::{self, Server},
    v3::GrantLease,
};
use etcd_http_benches::tokio;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{runtime::Runtime, task::JoinSet};

use self::{
    bare::{Bare, BareReqwest},
    contender::{Call, Contender, Keeper, Operation},
    table::{Column, Sample, Table, cpu_time},
};

#[global_allocator]
pub(crate) static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The value of every key, unless it is [`LARGE`].
pub(crate) const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// A value of 1 KiB.
pub(crate) const LARGE: &str = match str::from_utf8(&[b'v'; 1024]) {
    Ok(value) => value,
    Err(_) => unreachable!(),
};

/// How many keys a batch has.
pub(crate) const BATCH: usize = 16;

/// The prefix of the keys that are listed, and their number.
pub(crate) const LIST: &str = "/list/";
pub(crate) const LISTED: usize = 1000;

fn main() {
    // `cargo test` only checks that it runs; `cargo bench` measures.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let only: Vec<_> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let is_chosen = |name: &str| only.is_empty() || only.iter().any(|&part| name.contains(part));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--memory", name, url] => return memory::run(name, url),
        ["--rest", ref case @ ..] => return rest::run_case(case),
        ["--outage", name, ref load @ ..] => return outage::run_load(name, load),
        _ => {}
    }
    let etcd = server::start().expect("an etcd");
    let bench = Bench::new(&etcd, if is_bench { 40 } else { 1 });
    let mut means = Vec::new();
    for (name, operation, value, count) in [
        ("put", Operation::Put, VALUE, 256),
        ("get", Operation::Get, VALUE, 256),
        ("compare and swap", Operation::Cas, VALUE, 256),
        ("serializable get", Operation::SerializableGet, VALUE, 256),
        ("put of 1 KiB", Operation::Put, LARGE, 256),
        ("get of 1 KiB", Operation::Get, LARGE, 256),
        ("batch of 16 puts", Operation::Batch, VALUE, 64),
        ("list of 1,000", Operation::List, VALUE, 64),
    ] {
        if !is_chosen(name) {
            continue;
        }
        for callers in [1, 16, 64] {
            let table = bench.calls(operation, value, callers, count);
            table.print(&format!("{name}, callers: {callers}"));
            if ["put", "get", "compare and swap"].contains(&name) {
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
    if is_chosen("keep-alive") {
        for leases in [1, 64, 512] {
            let table = bench.renewals(leases);
            table.print(&format!("keep-alive, leases: {leases}"));
        }
    }
    if is_chosen("watch") {
        watches::measure(&bench);
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
    if is_chosen("served") {
        served::run(runtime, url, if is_bench { 20 } else { 1 });
    }
    if is_chosen("outage") {
        let phases = if is_bench {
            outage::Phases::long()
        } else {
            outage::Phases::short()
        };
        outage::measure(runtime, url, phases);
    }
    let has_rest = only.iter().any(|name| name.contains("rest"));
    if only.is_empty() || has_rest {
        let size = if is_bench {
            rest::Size::large()
        } else {
            rest::Size::small()
        };
        let kinds = only.iter().filter(|name| !name.contains("rest"));
        let kinds: Vec<_> = kinds.collect();
        let is_chosen = |kind: &str| kinds.is_empty() || kinds.iter().any(|it| kind.contains(**it));
        rest::measure(runtime, url, size, is_chosen);
    }
    if is_chosen("memory") {
        memory::measure(&bench.url);
    }
}

/// The clients, all on one thread.
struct Bench {
    runtime: Runtime,
    url: String,
    turns: usize,
    bare: Bare,
    bare_reqwest: BareReqwest,
    hyper: Client<HyperTransport>,
    reqwest: Client<ReqwestTransport>,
    tonic: etcd_client::Client,
}

/// The contenders that do everything.
const NAMES: [&str; 4] = [
    <Bare as Contender>::NAME,
    <Client<HyperTransport> as Contender>::NAME,
    <Client<ReqwestTransport> as Contender>::NAME,
    <etcd_client::Client as Contender>::NAME,
];

/// A contender's work in a table.
struct Entry<'a> {
    name: &'static str,
    /// The entry of what is written by hand over the same stack, or else over h2.
    by_hand: usize,
    run: &'a dyn Fn(),
}

impl<'a> Entry<'a> {
    fn new<C: Contender>(by_hand: usize, run: &'a dyn Fn()) -> Self {
        Self {
            name: C::NAME,
            by_hand,
            run,
        }
    }

    /// Those of [`NAMES`].
    fn of_all(runs: [&'a dyn Fn(); 4]) -> Vec<Self> {
        let [bare, hyper, reqwest, tonic] = runs;
        vec![
            Self::new::<Bare>(0, bare),
            Self::new::<Client<HyperTransport>>(0, hyper),
            Self::new::<Client<ReqwestTransport>>(0, reqwest),
            Self::new::<etcd_client::Client>(0, tonic),
        ]
    }
}

impl Bench {
    fn new(etcd: &Server, turns: usize) -> Self {
        let (runtime, url) = (tokio(), etcd.client_url());
        let (mut bare, bare_reqwest, hyper, reqwest, tonic) = runtime.block_on(async {
            let bare = Bare::connect(&url).await;
            let bare_reqwest = BareReqwest::connect(&url).await;
            let hyper = <Client<_> as Contender>::connect(&url).await;
            let reqwest = <Client<_> as Contender>::connect(&url).await;
            let tonic = <etcd_client::Client as Contender>::connect(&url).await;
            (bare, bare_reqwest, hyper, reqwest, tonic)
        });
        runtime.block_on(async {
            let mut put = async |key: &str, value| {
                bare.run(Call {
                    operation: Operation::Put,
                    key,
                    value,
                })
                .await;
            };
            for number in 0..LISTED {
                put(&format!("{LIST}{number:04}"), VALUE).await;
            }
            for caller in 0..64 {
                for value in [VALUE, LARGE] {
                    put(&key(caller, value), value).await;
                }
            }
        });
        Self {
            runtime,
            url,
            turns,
            bare,
            bare_reqwest,
            hyper,
            reqwest,
            tonic,
        }
    }

    /// Measures an operation, made `count` times by so many callers at once.
    fn calls(
        &self,
        operation: Operation,
        value: &'static str,
        callers: usize,
        count: usize,
    ) -> Table {
        let load = Load {
            operation,
            value,
            callers,
            each: count / callers,
        };
        let bare = || self.call(&self.bare, load);
        let hyper = || self.call(&self.hyper, load);
        let bare_reqwest = || self.call(&self.bare_reqwest, load);
        let reqwest = || self.call(&self.reqwest, load);
        let tonic = || self.call(&self.tonic, load);
        let entries = [
            Entry::new::<Bare>(0, &bare),
            Entry::new::<Client<HyperTransport>>(0, &hyper),
            Entry::new::<BareReqwest>(2, &bare_reqwest),
            Entry::new::<Client<ReqwestTransport>>(2, &reqwest),
            Entry::new::<etcd_client::Client>(0, &tonic),
        ];
        self.measure(&entries, load.each * callers)
    }

    fn call<C: Contender>(&self, client: &C, load: Load) {
        let mut tasks = JoinSet::new();
        for caller in 0..load.callers {
            let (mut client, key) = (client.clone(), key(caller, load.value));
            let task = async move {
                for _ in 0..load.each {
                    let call = Call {
                        operation: load.operation,
                        key: &key,
                        value: load.value,
                    };
                    client.run(call).await;
                }
            };
            tasks.spawn_on(task, self.runtime.handle());
        }
        self.runtime.block_on(tasks.join_all());
    }

    /// Measures the renewals of so many leases, together.
    fn renewals(&self, leases: usize) -> Table {
        let ids: Vec<i64> = self.runtime.block_on(async {
            let mut ids = Vec::with_capacity(leases);
            for _ in 0..leases {
                let grant = GrantLease::new(Duration::from_secs(3600));
                let granted = self.hyper.send(grant).await.expect("a lease");
                ids.push(granted.id.get());
            }
            ids
        });
        let times = (1024 / leases).max(16);
        let bare = || self.renew(&self.bare, &ids, times);
        let hyper = || self.renew(&self.hyper, &ids, times);
        let reqwest = || self.renew(&self.reqwest, &ids, times);
        let tonic = || self.renew(&self.tonic, &ids, times);
        self.measure(
            &Entry::of_all([&bare, &hyper, &reqwest, &tonic]),
            leases * times,
        )
    }

    fn renew<C: Keeper>(&self, client: &C, leases: &[i64], times: usize) {
        let mut client = client.clone();
        self.runtime.block_on(client.renew(leases, times));
    }

    /// Measures a new client with its first get.
    fn connects(&self) -> Table {
        let bare = || self.connect::<Bare>();
        let hyper = || self.connect::<Client<HyperTransport>>();
        let reqwest = || self.connect::<Client<ReqwestTransport>>();
        let tonic = || self.connect::<etcd_client::Client>();
        self.measure(&Entry::of_all([&bare, &hyper, &reqwest, &tonic]), 1)
    }

    fn connect<C: Contender>(&self) {
        self.runtime.block_on(async {
            let mut client = C::connect(&self.url).await;
            let call = Call {
                operation: Operation::Get,
                key: &key(0, VALUE),
                value: VALUE,
            };
            client.run(call).await;
        });
    }

    /// Measures what makes `count` operations, for each contender.
    fn measure(&self, contenders: &[Entry<'_>], count: usize) -> Table {
        for contender in contenders {
            // Warms up.
            (contender.run)();
        }
        let columns = contenders.iter();
        let columns = columns.map(|it| Column::new(it.name, it.by_hand));
        let mut columns: Vec<_> = columns.collect();
        for turn in 0..self.turns {
            // One contender changes the state of the machine for the next, so they take turns to be first.
            for place in 0..contenders.len() {
                let index = (turn + place) % contenders.len();
                let (cpu, start) = (cpu_time(), Instant::now());
                (contenders[index].run)();
                let sample = Sample {
                    elapsed: start.elapsed().as_secs_f64() / count as f64,
                    cpu: (cpu_time() - cpu).as_secs_f64() / count as f64,
                };
                columns[index].samples.push(sample);
            }
        }
        for (column, contender) in columns.iter_mut().zip(contenders) {
            let region = Region::new(ALLOCATOR);
            (contender.run)();
            let change = region.change();
            let allocations = change.allocations + change.reallocations;
            column.allocations = allocations as f64 / count as f64;
        }
        Table { columns }
    }
}

/// What several callers do at once.
#[derive(Clone, Copy)]
struct Load {
    operation: Operation,
    value: &'static str,
    callers: usize,
    /// How often each caller does it.
    each: usize,
}

/// The key of a caller that writes this value.
pub(crate) fn key(caller: usize, value: &str) -> String {
    format!("/bench/{}/{caller}", value.len())
}
