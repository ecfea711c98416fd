//! This client and the bare HTTP stack in one table: the ratios of their times and of their CPU times, and the allocations of each.
//!
//! `cargo bench -p etcd-http-benches --bench ledger`
//!
//! Both run by turns, a few operations each, and the ratio is the median of all turns: other load on the machine
//! affects both equally. The CPU time is that of all threads of the client. `--profile release` builds in the profile that
//! cargo builds programs with.

use std::{
    alloc::System,
    env, fs,
    time::{Duration, Instant},
};

use etcd_http::{hyper::HyperTransport, isahc::IsahcTransport, reqwest::ReqwestTransport, server};
use etcd_http_benches::{
    BareHyper, BareIsahc, BareReqwest, Canned, Contender, NoRuntime, Operation, Run, client, tokio,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Operations of one contender in a row.
const IN_A_ROW: u32 = 20;

fn main() {
    // `cargo test` only checks that it runs; `cargo bench` measures.
    let turns = if env::args().any(|argument| argument == "--bench") {
        1000
    } else {
        1
    };
    let etcd = server::start().expect("an etcd");
    let canned = Canned::start();
    for (server, url) in [("canned", canned.url()), ("etcd", etcd.client_url())] {
        println!("\n{server:16} bare, µs   ours, µs   ratio    CPU   allocations: bare  ours");
        let runtime = tokio();
        let bare = runtime.run(BareHyper::new(&url));
        rows(
            "hyper",
            turns,
            &runtime,
            &bare,
            &client::<HyperTransport>(&url),
        );
        let bare = BareReqwest::new(&url);
        rows(
            "reqwest",
            turns,
            &runtime,
            &bare,
            &client::<ReqwestTransport>(&url),
        );
        let bare = BareIsahc::new(&url);
        rows(
            "isahc",
            turns,
            &NoRuntime,
            &bare,
            &client::<IsahcTransport>(&url),
        );
    }
}

fn rows(
    name: &str,
    turns: usize,
    runtime: &impl Run,
    bare: &impl Contender,
    ours: &impl Contender,
) {
    let mut means = [0.0; 2];
    for operation in Operation::ALL {
        let ratios = row(
            &format!("{name} {}", operation.name()),
            turns,
            &|| runtime.run(bare.run(operation)),
            &|| runtime.run(ours.run(operation)),
        );
        for (mean, ratio) in means.iter_mut().zip(ratios) {
            *mean += ratio.ln() / Operation::ALL.len() as f64;
        }
    }
    let [time, cpu] = means.map(f64::exp);
    let name = format!("{name}, mean");
    println!("{name:16} {:19} {time:9.3} {cpu:6.3}", "");
}

/// Prints a row, and returns its ratios: of the times, and of the CPU times.
fn row(name: &str, turns: usize, bare: &impl Fn(), ours: &impl Fn()) -> [f64; 2] {
    // Warms up connections and caches.
    sample(bare);
    sample(ours);
    let mut samples = Vec::new();
    for turn in 0..turns {
        // The first contender changes the state of the machine for the second, so they take turns to be first.
        samples.push(if turn % 2 == 0 {
            let bare = sample(bare);
            (bare, sample(ours))
        } else {
            let ours = sample(ours);
            (sample(bare), ours)
        });
    }
    let of = |part: fn(&(Sample, Sample)) -> f64| median(samples.iter().map(part));
    let ratios = [
        of(|(bare, ours)| ours.elapsed / bare.elapsed),
        of(|(bare, ours)| ours.cpu / bare.cpu),
    ];
    let [time, cpu] = ratios;
    println!(
        "{name:16} {:8.1}   {:8.1} {time:9.3} {cpu:6.3}   {:17.1} {:5.1}",
        of(|(bare, _)| bare.elapsed),
        of(|(_, ours)| ours.elapsed),
        allocations(bare),
        allocations(ours)
    );
    ratios
}

/// What one operation took, in microseconds.
struct Sample {
    elapsed: f64,
    cpu: f64,
}

fn sample(operation: impl Fn()) -> Sample {
    // What it takes to ask for the CPU time is subtracted.
    let (first, before) = (cpu_time(), cpu_time());
    let start = Instant::now();
    times(operation);
    let (elapsed, after) = (start.elapsed(), cpu_time());
    let cpu = (after.saturating_sub(before)).saturating_sub(before.saturating_sub(first));
    let of_one = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(IN_A_ROW);
    Sample {
        elapsed: of_one(elapsed),
        cpu: of_one(cpu),
    }
}

/// The CPU time of the client's threads: isahc has one of its own, and the canned server's do not count. Zero where the system
/// does not tell it.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanos = threads.flatten().map(|thread| {
        let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        if read("comm").trim_end() == Canned::THREAD {
            return 0;
        }
        let schedstat = read("schedstat");
        let nanos = schedstat.split(' ').next();
        nanos.and_then(|it| it.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

fn times(operation: impl Fn()) {
    (0..IN_A_ROW).for_each(|_| operation());
}

/// Allocations and reallocations of one operation, on all threads of this process.
fn allocations(operation: impl Fn()) -> f64 {
    let region = Region::new(ALLOCATOR);
    times(operation);
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(IN_A_ROW)
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
