//! Random requests to the v3 API of the fake and of real servers, as JSON: the responses must be the same, byte for
//! byte.
//!
//! The ids of cluster and member are translated, the remaining time of a lease may differ by a second, and what etcd
//! promises no order of (the keys of a lease, leases that end at the same time) is sorted.
//!
//! - `ETCD_BIN_3_4`, `ETCD_BIN_3_5`, `ETCD_BIN`: the servers.
//! - `ETCD_FAKE_REQUESTS`: how many requests for each of them. Defaults to 20,000.
//! - `ETCD_FAKE_SEED`: where to begin. Defaults to 1.
//!
//! A divergence is reported with its seed and with the shortest history that still shows it.

#[path = "../support/mod.rs"]
mod support;

mod compare;
mod generate;
mod run;

use std::{path::Path, time::Instant};

use support::{number, real::binaries, shrink::shrink};

use self::{
    generate::{Generator, Step},
    run::{Divergence, Pair},
};

/// Steps in one history. The data are removed after each.
const EPISODE: usize = 300;

/// After how many requests a long run reports its progress.
const PROGRESS: u64 = 50_000;

#[test]
fn random_v3_requests_are_answered_as_the_real_servers_do() {
    let requests = number("ETCD_FAKE_REQUESTS", 20_000);
    let seed = number("ETCD_FAKE_SEED", 1);
    for binary in binaries() {
        compare_with(&binary, requests, seed);
    }
}

fn compare_with(binary: &Path, requests: u64, first_seed: u64) {
    let begin = Instant::now();
    let mut pair = Pair::start(binary);
    let mut told = 0;
    let mut seed = first_seed;
    let mut before: Vec<Step> = Vec::new();
    while pair.requests() < requests {
        if pair.requests() >= told + PROGRESS {
            told = pair.requests();
            println!("{}: {told} requests so far, at seed {seed}", pair.name());
        }
        let steps = Generator::new(seed).episode(EPISODE);
        if let Err((at, divergence)) = pair.run(&steps) {
            report(binary, seed, before, &steps[..=at], &divergence);
        }
        before = steps;
        seed += 1;
    }
    println!(
        "{}: {} requests, {} events of watches in {:.1} s, seeds {first_seed} to {}, no divergence",
        pair.name(),
        pair.requests(),
        pair.events(),
        begin.elapsed().as_secs_f64(),
        seed - 1,
    );
}

/// Fails with the shortest history that can be found: of this episode, or else of the one `before` and this.
fn report(
    binary: &Path,
    seed: u64,
    before: Vec<Step>,
    steps: &[Step],
    divergence: &Divergence,
) -> ! {
    let run = |steps: &[Step]| Pair::start(binary).run(steps).err();
    let mut history = steps.to_vec();
    if run(&history).is_none() {
        history = before;
        history.extend_from_slice(steps);
    }
    let mut note = "";
    if run(&history).is_some() {
        history = shrink(history, |steps| run(steps).is_some());
    } else {
        note = "\n(on a new server these steps do not diverge)";
        let skipped = history.len().saturating_sub(20);
        history.drain(..skipped);
    }
    let lines: String = history.iter().map(|step| format!("  {step:?}\n")).collect();
    let last = run(&history).map_or(String::new(), |(_, last)| format!("\nthere:\n{last}"));
    panic!("seed {seed}: the fake differs{note}\n{divergence}\nhistory:\n{lines}{last}");
}
