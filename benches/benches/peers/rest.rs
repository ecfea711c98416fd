//! What is kept open and does nothing: memory and wake-ups of idle watches, kept leases and a cache, for each client in a process
//! of its own.

use std::{
    collections::BTreeMap,
    env,
    pin::pin,
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use etcd_client as tonic;
use etcd_http::{
    Client,
    hyper::HyperTransport,
    recipes::Cache,
    v3::{KeyRange, LeaseKeeper, NonAtomicBatch, Put, Watch, WatchSet},
};
use futures::{StreamExt, future::poll_fn, stream};
use tokio::{runtime::Runtime, time::sleep};

use crate::{VALUE, memory, table::cpu_time};

/// How many of each there are, and for how long they are observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    watches: usize,
    leases: usize,
    keys: usize,
    time: Duration,
}

impl Size {
    /// The sizes of the figures.
    pub(crate) fn large() -> Self {
        Self {
            watches: 10_000,
            leases: 10_000,
            keys: 1_000_000,
            time: Duration::from_secs(60),
        }
    }

    /// To show that the program works.
    pub(crate) fn small() -> Self {
        Self {
            watches: 20,
            leases: 20,
            keys: 300,
            time: Duration::from_millis(300),
        }
    }

    fn of(self, kind: &str) -> usize {
        match kind {
            "watches" => self.watches,
            "leases" => self.leases,
            "keys" => self.keys,
            _ => 1,
        }
    }
}

/// What a process keeps: of what kind, and by which client.
const CASES: [(&str, &str); 10] = [
    ("nothing", "a process without a client"),
    ("watches", "etcd-http, a Watch each"),
    ("watches", "etcd-http, one WatchSet"),
    ("watches", "etcd-client, a stream each"),
    ("watches", "etcd-client, one stream"),
    ("leases", "etcd-http, a LeaseKeeper"),
    ("leases", "etcd-client, a stream and a task each"),
    ("keys", "etcd-http, a Cache"),
    ("keys", "etcd-http, a Mirror"),
    ("keys", "etcd-client, pages in a BTreeMap, and a watch"),
];

/// Runs each case whose kind or client has this name, and prints the table.
pub(crate) fn measure(runtime: &Runtime, url: &str, size: Size, is_chosen: impl Fn(&str) -> bool) {
    println!(
        "\nat rest for {:?}: {} watches, {} leases with a TTL of {TTL:?}, {} keys of {} bytes",
        size.time,
        size.watches,
        size.leases,
        size.keys,
        VALUE.len()
    );
    println!(
        "  {:56} {:>9} {:>9} {:>10} {:>10} {:>10} {:>10}",
        "", "MiB", "peak", "polls/s", "switches/s", "CPU ms/s", "requests/s"
    );
    if is_chosen("keys") {
        let client = Client::<HyperTransport>::connect([url]).expect("a client");
        let puts = (0..size.keys).map(|number| Put::new(format!("{KEYS}{number:08}"), VALUE));
        let written = runtime.block_on(NonAtomicBatch::new(puts).send(&client));
        written.expect("all keys are written");
    }
    let mut nothing = 0;
    for (index, (kind, client)) in CASES.into_iter().enumerate() {
        if index > 0 && !is_chosen(kind) {
            continue;
        }
        let figures = run(index, url, size);
        if index == 0 {
            nothing = figures[0];
        }
        let [now, peak] =
            [figures[0], figures[1]].map(|it| it.saturating_sub(nothing) as f64 / 1024.0);
        let seconds = size.time.as_secs_f64();
        let rates = [2, 3, 4, 5].map(|at| figures[at] as f64 / seconds);
        let [polls, switches, micros, requests] = rates;
        println!(
            "  {:56} {now:>9.1} {peak:>9.1} {polls:>10.1} {switches:>10.1} {:>10.2} {requests:>10.1}",
            format!("{kind}: {client}"),
            micros / 1000.0
        );
    }
}

fn run(index: usize, url: &str, size: Size) -> Vec<u64> {
    let (kind, _) = CASES[index];
    let count = size.of(kind).to_string();
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["--rest", &index.to_string(), &count])
        .args([&size.time.as_millis().to_string(), url])
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text
        .split_whitespace()
        .map(|it| it.parse().expect("a number"));
    figures.collect()
}

/// The process of a case: `--rest CASE COUNT MILLIS URL`.
pub(crate) fn run_case(arguments: &[&str]) {
    let [index, count, millis, url] = arguments else {
        panic!("{arguments:?}");
    };
    let number = |text: &str| text.parse().expect("a number");
    let (index, count, time) = (
        number(index),
        number(count),
        Duration::from_millis(number(millis) as u64),
    );
    etcd_http_benches::tokio().block_on(async {
        match index {
            0 => {}
            1 => watches(url, count).await,
            2 => watch_set(url, count).await,
            3 => tonic_watches(url, count).await,
            4 => tonic_watch_set(url, count).await,
            5 => leases(url, count).await,
            6 => tonic_leases(url, count).await,
            7 => cache(url, count).await,
            8 => mirror(url, count).await,
            _ => tonic_copy(url, count).await,
        }
        // What begins after the last one is open is over.
        sleep(time.min(Duration::from_secs(5))).await;
        let memory = [memory::resident(), memory::peak()];
        let requests = requests(url).await;
        let before = figures();
        sleep(time).await;
        let after = figures();
        let requests = self::requests(url).await - requests;
        let [polls, switches, micros] = [0, 1, 2].map(|at| after[at] - before[at]);
        let [now, peak] = memory;
        println!("{now} {peak} {polls} {switches} {micros} {requests}");
    });
}

/// Polls of the tasks of this file, context switches of the process, and its CPU time in microseconds.
fn figures() -> [u64; 3] {
    let switches = memory::status("voluntary_ctxt_switches:");
    let micros = u64::try_from(cpu_time().as_micros()).unwrap_or(u64::MAX);
    [POLLS.load(Relaxed), switches, micros]
}

/// The requests by gRPC that this etcd has received.
async fn requests(url: &str) -> u64 {
    let client = Client::<HyperTransport>::connect([url]).expect("a client");
    let metrics = client.metrics().await.expect("metrics");
    let counts = metrics.lines().filter_map(|line| {
        let line = line.strip_prefix("grpc_server_msg_received_total{")?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    });
    counts.sum::<f64>() as u64
}

static POLLS: AtomicU64 = AtomicU64::new(0);

/// Runs a task, and counts how often it is polled.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async {
        let mut task = pin!(task);
        poll_fn(|cx| {
            POLLS.fetch_add(1, Relaxed);
            task.as_mut().poll(cx)
        })
        .await;
        eprintln!("a task has ended");
    });
}

const TTL: Duration = Duration::from_secs(60);
const KEYS: &str = "/rest/";

fn key(number: usize) -> String {
    format!("/idle/{number}")
}

fn connect(url: &str) -> Client<HyperTransport> {
    Client::connect([url]).expect("a client")
}

async fn tonic_client(url: &str) -> tonic::Client {
    tonic::Client::connect([url], None).await.expect("a client")
}

/// Waits until etcd has so many watches.
async fn until_watched(url: &str, count: usize) {
    let client = connect(url);
    let start = Instant::now();
    loop {
        let metrics = client.metrics().await.expect("metrics");
        let mut lines = metrics.lines();
        let watchers = lines.find_map(|it| it.strip_prefix("etcd_debugging_mvcc_watcher_total "));
        let watchers = watchers.and_then(|it| it.parse().ok()).unwrap_or(0.0);
        if watchers as usize >= count {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{watchers} watches"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

async fn watches(url: &str, count: usize) {
    let client = connect(url);
    for number in 0..count {
        let mut changes = client.open(Watch::new(key(number)));
        spawn(async move { while changes.next().await.is_some() {} });
    }
    until_watched(url, count).await;
}

async fn watch_set(url: &str, count: usize) {
    let set = WatchSet::new((0..count).map(|number| Watch::new(key(number))));
    let mut items = connect(url).open(set);
    spawn(async move { while items.next().await.is_some() {} });
    until_watched(url, count).await;
}

async fn tonic_watches(url: &str, count: usize) {
    let mut client = tonic_client(url).await;
    for number in 0..count {
        let watch = client.watch(key(number), None).await;
        let mut watch = watch.expect("a watch");
        spawn(async move { while let Ok(Some(_)) = watch.message().await {} });
    }
    until_watched(url, count).await;
}

async fn tonic_watch_set(url: &str, count: usize) {
    let mut client = tonic_client(url).await;
    let watch = client.watch(key(0), None).await;
    let (mut sender, mut messages) = watch.expect("a watch").split();
    spawn(async move { while let Ok(Some(_)) = messages.message().await {} });
    for number in 1..count {
        let added = sender.watch(key(number), None).await;
        added.expect("a watch");
    }
    // It ends with its sender.
    spawn(async move {
        std::future::pending::<()>().await;
        drop(sender);
    });
    until_watched(url, count).await;
}

async fn leases(url: &str, count: usize) {
    let (keeper, run) = LeaseKeeper::new(&connect(url));
    spawn(run);
    let grants = stream::iter(0..count)
        .map(|_| keeper.grant(TTL))
        .buffer_unordered(64);
    let held: Vec<_> = grants.map(|lease| lease.expect("a lease")).collect().await;
    spawn(async move {
        let mut lost = held.iter().map(|lease| lease.lost()).collect::<Vec<_>>();
        std::future::pending::<()>().await;
        lost.clear();
    });
}

async fn tonic_leases(url: &str, count: usize) {
    let mut client = tonic_client(url).await;
    for _ in 0..count {
        let granted = client.lease_grant(TTL.as_secs() as i64, None).await;
        let id = granted.expect("a lease").id();
        let (mut keeper, mut renewed) = client.lease_keep_alive(id).await.expect("a stream");
        spawn(async move {
            loop {
                sleep(TTL / 3).await;
                if keeper.keep_alive().await.is_err() || renewed.message().await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn cache(url: &str, count: usize) {
    let range = KeyRange::prefix(KEYS);
    let (cache, driver) = Cache::new(connect(url).v3(), range, |_| Ok::<_, String>(()));
    spawn(driver);
    assert_eq!(cache.ready().await.expect("a listing").len(), count);
    spawn(async move {
        std::future::pending::<()>().await;
        drop(cache);
    });
}

async fn mirror(url: &str, count: usize) {
    let mut mirror = connect(url).v3().mirror(KeyRange::prefix(KEYS));
    mirror.next().await.expect("a listing");
    assert_eq!(mirror.len(), count);
    spawn(async move { while mirror.next().await.is_ok() {} });
}

/// What a careful user writes: pages at one revision, and a watch from the next one.
async fn tonic_copy(url: &str, count: usize) {
    let mut client = tonic_client(url).await;
    let mut copy = BTreeMap::new();
    let end = tonic::GetOptions::new()
        .with_range("/rest0")
        .with_limit(PAGE);
    let (mut from, mut revision) = (KEYS.as_bytes().to_vec(), 0);
    loop {
        let options = end.clone().with_revision(revision);
        let page = client
            .get(from.clone(), Some(options))
            .await
            .expect("a page");
        if revision == 0 {
            revision = page.header().expect("a header").revision();
        }
        for kv in page.kvs() {
            copy.insert(kv.key().to_vec(), kv.value().to_vec());
        }
        match page.kvs().last() {
            Some(last) if page.more() => from = [last.key(), b"\0"].concat(),
            _ => break,
        }
    }
    assert_eq!(copy.len(), count);
    let options = tonic::WatchOptions::new()
        .with_prefix()
        .with_start_revision(revision + 1);
    let mut watch = client.watch(KEYS, Some(options)).await.expect("a watch");
    spawn(async move {
        while let Ok(Some(message)) = watch.message().await {
            for event in message.events() {
                let kv = event.kv().expect("a key");
                copy.insert(kv.key().to_vec(), kv.value().to_vec());
            }
        }
    });
}

const PAGE: i64 = 1000;
