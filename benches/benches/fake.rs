//! The client on the fake: encoding, an etcd in memory, decoding. Measures operations per second on one core, the
//! memory of a key, and the cost of a new fake.
//!
//! `cargo bench -p etcd-http-benches --bench fake`

use std::{
    env, fs,
    hint::black_box,
    time::{Duration, Instant},
};

use etcd_http::{Client, fake::FakeEtcd, v2::Set};
use futures::{FutureExt, StreamExt, stream::BoxStream};

/// The number of operations that are timed together.
const IN_A_ROW: u32 = 1000;

/// The value of every key.
const VALUE: &str = "postgres://user@db.example.com:5432/app";

fn main() {
    // `cargo test` only checks that it runs; `cargo bench` measures.
    let is_bench = env::args().any(|argument| argument == "--bench");
    let (turns, many) = if is_bench {
        (300, 1_000_000)
    } else {
        (1, 1000)
    };
    println!("                              time      per second");
    row("new FakeEtcd", turns, || drop(black_box(FakeEtcd::new())));
    // The largest first, since memory is not returned to the system.
    for (keys, watches) in [(many, 0), (1000, 0), (1000, 10_000)] {
        let before = resident_bytes();
        let filled = Filled::new(keys);
        let bytes = resident_bytes().saturating_sub(before) / keys;
        let watches = filled.watch(watches);
        println!("{keys} keys, {} watches", watches.len());
        if keys == many {
            println!("  memory               {bytes:>8} bytes a key");
        }
        filled.measure(turns);
    }
}

/// The resident memory of the process.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kibibytes.unwrap_or(0_usize) * 1024
}

/// Returns an etcd with keys, a thousand in each directory.
struct Filled {
    etcd: FakeEtcd,
    client: Client<FakeEtcd>,
    keys: usize,
}

impl Filled {
    fn new(keys: usize) -> Self {
        let etcd = FakeEtcd::builder().log_capacity(0).build();
        let client = Client::new(etcd.clone(), etcd.endpoints()).expect("a client");
        for key in 0..keys {
            now(client.send(Set::new(name(key), VALUE).without_value())).expect("a response");
        }
        Self { etcd, client, keys }
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
        watches
    }

    fn measure(&self, turns: usize) {
        let mut key = 0;
        let mut next = || {
            // Not in the order of their creation.
            key = (key + 7919) % self.keys;
            name(key)
        };
        row("get", turns, || {
            let event = now(self.client.v2().get(next())).expect("a response");
            assert_eq!(event.node.value.as_deref(), Some(VALUE));
        });
        row("set", turns, || {
            let event = now(self.client.v2().set(next(), VALUE)).expect("a response");
            assert!(event.prev_node.is_some());
        });
    }
}

fn name(key: usize) -> String {
    format!("/dir{}/key{key}", key / 1000)
}

/// The fake responds immediately.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing to wait for")
}

/// The median of all turns: other load on the machine affects few of them.
fn row(name: &str, turns: usize, mut operation: impl FnMut()) {
    let mut turn = || {
        let start = Instant::now();
        for _ in 0..IN_A_ROW {
            operation();
        }
        start.elapsed() / IN_A_ROW
    };
    turn();
    let mut times: Vec<Duration> = (0..turns).map(|_| turn()).collect();
    times.sort_unstable();
    let median = times[turns / 2];
    let rate = (1.0 / median.as_secs_f64()) as u64;
    println!("  {name:20} {:>10} {rate:>14}", format!("{median:.2?}"));
}
