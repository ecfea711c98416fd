//! v2 over hyper beside the crate etcd 0.9, in one run on one server: throughput, and the client's CPU time.
//!
//! `cd benches/v2-peer && cargo run --release -- --bench`
//!
//! Both take turns, a few hundred operations each, and each ratio is the median of all turns: other load on the machine affects
//! them equally. Each runs on one thread, whose CPU time is measured.

use std::{
    env, fs,
    time::{Duration, Instant},
};

use etcd::kv;
use etcd_http::{
    Client,
    hyper::HyperTransport,
    server,
    v2::{CompareAndSwap, Condition, Get, Set},
};
use futures_0_1::future::{Future, Loop, join_all, loop_fn};
use hyper_0_12::client::HttpConnector;
use tokio::{runtime, task::JoinSet};
use tokio_0_1::runtime::current_thread;

const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// Operations in one turn, of all callers together.
const COUNT: usize = 256;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Set,
    Get,
    CompareAndSwap,
}

/// What several callers do at once.
#[derive(Clone, Copy)]
struct Load {
    operation: Operation,
    callers: usize,
}

trait Contender {
    fn run(&mut self, load: Load);
}

fn main() {
    // Without it, each is only shown to run.
    let is_bench = env::args().any(|argument| argument == "--bench");
    let turns = if is_bench { 60 } else { 2 };
    let etcd = server::start().expect("an etcd");
    let (mut ours, mut other) = (
        Ours::new(&etcd.client_url()),
        Other::new(&etcd.client_url()),
    );
    println!(
        "{:34} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6}",
        "", "per second", "etcd 0.9", "CPU µs", "etcd 0.9", "×", "CPU ×"
    );
    for callers in [1, 16, 64] {
        let mut means = [1.0_f64; 2];
        for operation in [Operation::Set, Operation::Get, Operation::CompareAndSwap] {
            let load = Load { operation, callers };
            let ratios = measure(load, turns, &mut ours, &mut other);
            for (mean, ratio) in means.iter_mut().zip(ratios) {
                *mean *= ratio.cbrt();
            }
        }
        let [throughput, cpu] = means;
        println!("geometric means, callers: {callers:<52} {throughput:>6.2} {cpu:>6.2}");
    }
}

/// Prints a row. Returns the ratios of throughput and CPU time.
fn measure(load: Load, turns: usize, ours: &mut Ours, other: &mut Other) -> [f64; 2] {
    let mut samples = Vec::with_capacity(turns);
    // What the first call in a process costs.
    let _ = (turn(ours, load), turn(other, load));
    for number in 0..turns {
        let pair = if number % 2 == 0 {
            let own = turn(ours, load);
            (own, turn(other, load))
        } else {
            let others = turn(other, load);
            (turn(ours, load), others)
        };
        samples.push(pair);
    }
    let of = |part: fn(&(Sample, Sample)) -> f64| median(samples.iter().map(part));
    let ratios = [
        of(|(own, other)| other.elapsed / own.elapsed),
        of(|(own, other)| own.cpu / other.cpu),
    ];
    println!(
        "{:34} {:>10.0} {:>10.0} {:>10.1} {:>10.1} {:>6.2} {:>6.2}",
        format!("{:?}, callers: {}", load.operation, load.callers),
        1.0 / of(|(own, _)| own.elapsed),
        1.0 / of(|(_, other)| other.elapsed),
        of(|(own, _)| own.cpu * 1e6),
        of(|(_, other)| other.cpu * 1e6),
        ratios[0],
        ratios[1],
    );
    ratios
}

/// What one operation took, in seconds.
struct Sample {
    elapsed: f64,
    cpu: f64,
}

fn turn(contender: &mut dyn Contender, load: Load) -> Sample {
    let (cpu, start) = (cpu_time(), Instant::now());
    contender.run(load);
    let (elapsed, cpu) = (start.elapsed(), cpu_time() - cpu);
    Sample {
        elapsed: elapsed.as_secs_f64() / COUNT as f64,
        cpu: cpu.as_secs_f64() / COUNT as f64,
    }
}

struct Ours {
    runtime: runtime::Runtime,
    client: Client<HyperTransport>,
}

impl Ours {
    fn new(url: &str) -> Self {
        let mut runtime = runtime::Builder::new_current_thread();
        Self {
            runtime: runtime.enable_all().build().expect("a runtime"),
            client: Client::connect([url]).expect("a client"),
        }
    }
}

impl Contender for Ours {
    fn run(&mut self, load: Load) {
        let mut callers = JoinSet::new();
        for caller in 0..load.callers {
            let (client, key) = (self.client.clone(), key(caller));
            let calls = async move {
                for _ in 0..COUNT / load.callers {
                    let response = match load.operation {
                        Operation::Set => client.send(Set::new(&key, VALUE)).await,
                        Operation::Get => client.send(Get::new(&key)).await,
                        Operation::CompareAndSwap => {
                            let is = Condition::value_is(VALUE);
                            client.send(CompareAndSwap::new(&key, VALUE, is)).await
                        }
                    };
                    let node = response.expect("a response").node;
                    assert_eq!(node.value.as_deref(), Some(VALUE));
                }
            };
            callers.spawn_on(calls, self.runtime.handle());
        }
        self.runtime.block_on(callers.join_all());
    }
}

type Hyper = etcd::Client<HttpConnector>;

struct Other {
    runtime: current_thread::Runtime,
    client: Hyper,
}

impl Other {
    fn new(url: &str) -> Self {
        Self {
            runtime: current_thread::Runtime::new().expect("a runtime"),
            client: etcd::Client::new(&[url], None).expect("a client"),
        }
    }
}

impl Contender for Other {
    fn run(&mut self, load: Load) {
        let callers = (0..load.callers).map(|caller| {
            let (client, key) = (self.client.clone(), key(caller));
            loop_fn(COUNT / load.callers, move |left| {
                call(&client, &key, load.operation).map(move |response| {
                    assert_eq!(response.data.node.value.as_deref(), Some(VALUE));
                    if left == 1 {
                        Loop::Break(())
                    } else {
                        Loop::Continue(left - 1)
                    }
                })
            })
        });
        let all = self.runtime.block_on(join_all(callers));
        all.expect("responses");
    }
}

type Response = etcd::Response<kv::KeyValueInfo>;

fn call(
    client: &Hyper,
    key: &str,
    operation: Operation,
) -> Box<dyn Future<Item = Response, Error = Vec<etcd::Error>>> {
    match operation {
        Operation::Set => Box::new(kv::set(client, key, VALUE, None)),
        Operation::Get => Box::new(kv::get(client, key, kv::GetOptions::default())),
        Operation::CompareAndSwap => Box::new(kv::compare_and_swap(
            client,
            key,
            VALUE,
            None,
            Some(VALUE),
            None,
        )),
    }
}

fn key(caller: usize) -> String {
    format!("/bench/{caller}")
}

/// The CPU time of this thread. Zero where the system does not tell it.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
