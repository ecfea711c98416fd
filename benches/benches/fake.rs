//! The client on the fake: encoding, an etcd in memory, decoding. Measures operations per second on one core, the
//! memory of a key, and the cost of a new fake.
//!
//! `cargo bench -p etcd-http-benches --bench fake`. The crate `benches/madsim` runs the same beside another etcd in memory.

use std::{
    env, fs,
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Protocol,
    fake::FakeEtcd,
    v2::Set,
    v3::{Compare, KeyRange, Put, Txn},
};
use futures::{FutureExt, StreamExt, stream::BoxStream};

/// The number of operations that are timed together.
pub(crate) const IN_A_ROW: u32 = 1000;

/// The value of every key.
pub(crate) const VALUE: &str = "postgres://user@db.example.com:5432/app";

/// How many keys a large etcd has, and how many requests a log.
const MANY: usize = 1_000_000;
const LOG: usize = 10_000;

/// The argument that precedes the words of a case.
const CASE: &str = "--case";

pub(crate) fn main() {
    let turns = turns();
    match words().as_slice() {
        [] => {
            println!("                              time      per second");
            in_own_process(&["new"]);
            let (many, log) = (size(MANY).to_string(), LOG.to_string());
            for api in ["v2", "v3"] {
                in_own_process(&[api, &many, "0", "0"]);
                in_own_process(&[api, "1000", "0", "0"]);
                in_own_process(&[api, "1000", &log, "0"]);
                in_own_process(&[api, "1000", "0", "10000"]);
            }
        }
        [api, sizes @ ..] if sizes.len() == 3 => {
            let size = |index: usize| sizes[index].parse().expect("a number");
            let [keys, log, watches] = [0, 1, 2].map(size);
            match api.as_str() {
                "v2" => V2::new(keys, log).measure(turns, watches),
                _ => V3::new(keys, log).measure(turns, watches),
            }
        }
        _ => row("new FakeEtcd", turns, || drop(black_box(FakeEtcd::new()))),
    }
}

/// Runs a case in a process of its own: what was measured before leaves the memory in pieces.
pub(crate) fn in_own_process(words: &[&str]) {
    let mut process = Command::new(env::current_exe().expect("this program"));
    process.args(is_bench().then_some("--bench"));
    let status = process.arg(CASE).args(words).status();
    assert!(status.expect("a process").success());
}

/// The words of the case that this process is for.
pub(crate) fn words() -> Vec<String> {
    env::args().skip_while(|it| it != CASE).skip(1).collect()
}

/// `cargo test` only checks that it runs; `cargo bench` measures.
fn is_bench() -> bool {
    env::args().any(|argument| argument == "--bench")
}

pub(crate) fn turns() -> usize {
    if is_bench() { 300 } else { 1 }
}

/// This size, or one that is enough to see that it runs.
pub(crate) fn size(keys: usize) -> usize {
    if is_bench() { keys } else { 1000 }
}

/// An etcd with keys of the v2 API, a thousand in each directory.
struct V2 {
    etcd: FakeEtcd,
    client: Client<FakeEtcd>,
    keys: usize,
}

impl V2 {
    fn new(keys: usize, log: usize) -> Self {
        let before = resident_bytes();
        let etcd = FakeEtcd::builder().log_capacity(log).build();
        let client = Client::new(etcd.clone(), etcd.endpoints()).expect("a client");
        for key in 0..keys {
            now(client.send(Set::new(name(key), VALUE).without_value())).expect("a response");
        }
        title("v2", keys, before, log);
        Self { etcd, client, keys }
    }

    fn measure(&self, turns: usize, watches: usize) {
        let watches = self.watch(watches);
        let mut key = Keys::new(self.keys);
        row("get", turns, || {
            let event = now(self.client.v2().get(key.next())).expect("a response");
            assert_eq!(event.node.value.as_deref(), Some(VALUE));
        });
        row("set", turns, || {
            let event = now(self.client.v2().set(key.next(), VALUE)).expect("a response");
            assert!(event.prev_node.is_some());
        });
        drop(watches);
    }

    /// Opens this many pending watches of other keys.
    fn watch(&self, count: usize) -> Vec<impl Sized> {
        let from = self.etcd.index() + 1;
        let watches = (0..count).map(|number| {
            let watch = etcd_http::v2::Watch::new(format!("/watched/{number}"));
            let mut events: BoxStream<_> = self.client.open(watch.from_index(from));
            assert!(events.next().now_or_never().is_none());
            events
        });
        let watches = watches.collect();
        assert_eq!(self.etcd.open_watches(), count);
        show_watches(count);
        watches
    }
}

/// An etcd with keys of the v3 API, and a client of each wire.
struct V3 {
    etcd: FakeEtcd,
    json: Client<FakeEtcd>,
    grpc: Client<FakeEtcd>,
    keys: usize,
}

impl V3 {
    fn new(keys: usize, log: usize) -> Self {
        let before = resident_bytes();
        let etcd = FakeEtcd::builder().log_capacity(log).build();
        for key in 0..keys {
            etcd.put(name(key), VALUE);
        }
        title("v3", keys, before, log);
        let client = |protocol| {
            let builder = Client::builder(etcd.clone()).protocol(protocol);
            builder
                .endpoints(etcd.endpoints())
                .build()
                .expect("a client")
        };
        let (json, grpc) = (client(Protocol::Gateway), client(Protocol::Grpc));
        Self {
            etcd,
            json,
            grpc,
            keys,
        }
    }

    fn measure(&self, turns: usize, watches: usize) {
        let watches = self.watch(watches);
        let mut key = Keys::new(self.keys);
        for (wire, client) in [("JSON", &self.json), ("gRPC", &self.grpc)] {
            row(&format!("get, {wire}"), turns, || {
                let response = now(client.v3().kv().get(key.next())).expect("a response");
                assert_eq!(response.expect("the key").value, VALUE);
            });
            row(&format!("put, {wire}"), turns, || {
                now(client.v3().kv().put(key.next(), VALUE)).expect("a response");
            });
            row(&format!("compare, swap, {wire}"), turns, || {
                let key = key.next();
                let is_there = Compare::exists(&key);
                let txn = Txn::new().when(is_there).then(Put::new(&key, VALUE));
                assert!(now(client.send(txn)).expect("a response").succeeded);
            });
        }
        row("fork", turns, || drop(black_box(self.etcd.fork())));
        drop(watches);
    }

    /// Opens this many watches of other keys, every second one of a prefix.
    fn watch(&self, count: usize) -> Vec<impl Sized> {
        let watches = (0..count).map(|number| {
            let watched = format!("/watched/{number}");
            let watch = match number % 2 {
                0 => etcd_http::v3::Watch::new(watched),
                _ => etcd_http::v3::Watch::new(KeyRange::prefix(watched)),
            };
            let mut events: BoxStream<_> = self.json.open(watch);
            assert!(events.next().now_or_never().is_none());
            events
        });
        let watches = watches.collect();
        assert_eq!(self.etcd.open_watches(), count);
        show_watches(count);
        watches
    }
}

/// Names of keys, not in the order of their creation.
#[derive(Clone)]
pub(crate) struct Keys {
    number: usize,
    count: usize,
}

impl Keys {
    pub(crate) fn new(count: usize) -> Self {
        Self { number: 0, count }
    }

    pub(crate) fn next(&mut self) -> String {
        self.number = (self.number + 7919) % self.count;
        name(self.number)
    }
}

pub(crate) fn name(key: usize) -> String {
    format!("/dir{}/key{key}", key / 1000)
}

fn title(api: &str, keys: usize, before: usize, log: usize) {
    println!("{api}, {keys} keys, a log of {log} requests");
    if keys > 1000 {
        let bytes = resident_bytes().saturating_sub(before) / keys;
        println!("  memory               {bytes:>8} bytes a key");
    }
}

fn show_watches(count: usize) {
    if count > 0 {
        println!("  {count} watches of other keys");
    }
}

/// The resident memory of the process.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kibibytes.unwrap_or(0_usize) * 1024
}

/// The fake responds immediately.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing to wait for")
}

/// Measures an operation.
fn row(name: &str, turns: usize, mut operation: impl FnMut()) {
    let mut row = Row::new(name, turns);
    while row.turn(|| (0..IN_A_ROW).for_each(|_| operation())) {}
}

/// A line of the table.
pub(crate) struct Row {
    name: String,
    turns: usize,
    times: Vec<Duration>,
}

impl Row {
    pub(crate) fn new(name: &str, turns: usize) -> Self {
        Self {
            name: name.to_owned(),
            turns,
            times: Vec::new(),
        }
    }

    /// Times [`IN_A_ROW`] operations; returns whether that is not enough yet. At the end it prints the median of all turns but the
    /// first: other load on the machine affects few of them.
    pub(crate) fn turn(&mut self, operations: impl FnOnce()) -> bool {
        let start = Instant::now();
        operations();
        self.times.push(start.elapsed() / IN_A_ROW);
        if self.times.len() <= self.turns {
            return true;
        }
        self.times.remove(0);
        self.times.sort_unstable();
        let median = self.times[self.turns / 2];
        let rate = (1.0 / median.as_secs_f64()) as u64;
        let (name, median) = (&self.name, format!("{median:.2?}"));
        println!("  {name:20} {median:>10} {rate:>14}");
        false
    }
}
