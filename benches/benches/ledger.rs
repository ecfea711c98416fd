//! This client and the bare HTTP stack in one table: the ratio of their times, and the allocations of each.
//!
//! `cargo bench -p etcd-http-benches --bench ledger`
//!
//! Both run by turns, a few operations each, and the ratio is the median of all turns: other load on the machine
//! affects both equally.

use std::{
    alloc::System,
    env,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, hyper::HyperTransport, isahc::IsahcTransport, reqwest::ReqwestTransport, server,
};
use etcd_http_benches::{
    BareHyper, BareIsahc, BareReqwest, Canned, Contender, NoRuntime, Run, tokio,
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
    println!("                     bare        ours   ratio   allocations: bare  ours");
    for (server, url) in [("canned", canned.url()), ("etcd", etcd.client_url())] {
        let runtime = tokio();
        let ours = Client::<HyperTransport>::connect([&url]).expect("a client");
        let bare = runtime.run(BareHyper::new(&url));
        rows(&format!("hyper {server}"), turns, &runtime, &bare, &ours);

        let ours = Client::<ReqwestTransport>::connect([&url]).expect("a client");
        let bare = BareReqwest::new(&url);
        rows(&format!("reqwest {server}"), turns, &runtime, &bare, &ours);

        let ours = Client::<IsahcTransport>::connect([&url]).expect("a client");
        let bare = BareIsahc::new(&url);
        rows(&format!("isahc {server}"), turns, &NoRuntime, &bare, &ours);
    }
}

fn rows(
    name: &str,
    turns: usize,
    runtime: &impl Run,
    bare: &impl Contender,
    ours: &impl Contender,
) {
    let set = (|| runtime.run(bare.set()), || runtime.run(ours.set()));
    row(&format!("{name} set"), turns, &set.0, &set.1);
    let get = (|| runtime.run(bare.get()), || runtime.run(ours.get()));
    row(&format!("{name} get"), turns, &get.0, &get.1);
}

fn row(name: &str, turns: usize, bare: &impl Fn(), ours: &impl Fn()) {
    // Warms up connections and caches.
    times(bare);
    times(ours);
    let mut bares = Vec::new();
    let mut ourses = Vec::new();
    let mut ratios = Vec::new();
    for turn in 0..turns {
        // The first contender changes the state of the machine for the second, so they take turns to be first.
        let (bare, ours) = if turn % 2 == 0 {
            let bare = times(bare);
            (bare, times(ours))
        } else {
            let ours = times(ours);
            (times(bare), ours)
        };
        bares.push(bare.as_secs_f64());
        ourses.push(ours.as_secs_f64());
        ratios.push(ours.as_secs_f64() / bare.as_secs_f64());
    }
    let micros = |all| median(all) * 1e6 / f64::from(IN_A_ROW);
    println!(
        "{name:18} {:7.1} µs  {:7.1} µs  {:6.3}   {:17.1} {:5.1}",
        micros(bares),
        micros(ourses),
        median(ratios),
        allocations(bare),
        allocations(ours)
    );
}

fn times(operation: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..IN_A_ROW).for_each(|_| operation());
    start.elapsed()
}

/// Allocations and reallocations of one operation, on all threads of this process.
fn allocations(operation: impl Fn()) -> f64 {
    let region = Region::new(ALLOCATOR);
    times(operation);
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(IN_A_ROW)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
