//! Random requests to the fake and to real servers: the responses must be the same, byte for byte.
//!
//! What cannot be the same is translated first: times (compared with a tolerance of one second), the ids, the Raft
//! index, and the order of what etcd does not sort.
//!
//! - `ETCD_BIN_3_4`, `ETCD_BIN_3_5`, `ETCD_BIN`: the servers.
//! - `ETCD_FAKE_REQUESTS`: how many requests for each of them. Defaults to 20,000.
//! - `ETCD_FAKE_SEED`: the first seed. Defaults to 1.
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

/// Requests in one history; the data are removed after each.
const EPISODE: usize = 400;

/// After how many requests a long run reports its progress.
const PROGRESS: u64 = 50_000;

#[test]
fn random_requests_are_answered_as_the_real_servers_do() {
    let requests = number("ETCD_FAKE_REQUESTS", 20_000);
    let seed = number("ETCD_FAKE_SEED", 1);
    // One server after the other: both at once would disturb the short times to live.
    for binary in binaries() {
        compare_with(&binary, requests, seed);
    }
}

fn compare_with(binary: &Path, requests: u64, first_seed: u64) {
    let begin = Instant::now();
    let mut pair = Pair::start(binary);
    let mut asked = 0;
    let mut seed = first_seed;
    let mut told = 0;
    while asked < requests {
        if asked >= told + PROGRESS {
            told = asked;
            println!("{}: {asked} requests so far, at seed {seed}", pair.name());
        }
        let steps = Generator::new(seed).episode(EPISODE);
        if let Err((at, divergence)) = pair.run(&steps) {
            report(binary, &mut pair, seed, &steps[..=at], &divergence);
        }
        asked += steps.iter().map(Step::requests).sum::<u64>();
        asked += pair.clean_up().unwrap_or_else(|divergence| {
            panic!("seed {seed}: cleaning up diverges\n{divergence}");
        });
        seed += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{}: {asked} requests in {seconds:.1} s, seeds {first_seed} to {}, no divergence",
        pair.name(),
        seed - 1,
    );
}

/// Fails with the shortest history that can be found.
fn report(binary: &Path, pair: &mut Pair, seed: u64, steps: &[Step], divergence: &Divergence) -> ! {
    let name = pair.name();
    let fails = |steps: &[Step]| Pair::start(binary).run(steps).is_err();
    let mut shortest = steps.to_vec();
    let mut note = String::new();
    if fails(&shortest) {
        shortest = shrink(shortest, fails);
    } else {
        note = format!(
            "\n(on a new server these {} steps do not diverge)",
            shortest.len()
        );
        let skipped = shortest.len().saturating_sub(20);
        shortest.drain(..skipped);
    }
    let history: String = shortest
        .iter()
        .map(|step| format!("  {step:?}\n"))
        .collect();
    let last = Pair::start(binary).run(&shortest);
    let last = last
        .err()
        .map_or(String::new(), |(_, last)| format!("\nthere:\n{last}"));
    panic!("{name}, seed {seed}: the fake differs{note}\n{divergence}\nhistory:\n{history}{last}");
}
