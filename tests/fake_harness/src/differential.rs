//! Takes random histories of requests on a real server and on the fake.

use std::{fmt::Debug, path::Path, time::Instant};

use super::{
    number,
    pair::{Comparison, Divergence, Pair, Same},
    real::binaries,
    shrink::shrink,
};

/// After how many requests a long run reports its progress.
const PROGRESS: u64 = 50_000;

/// How often a history begins again because time decides what a server answers.
const RESTARTS: u64 = 10;

/// The differential test of one API.
pub trait Differential: Sized {
    /// One step of a history.
    type Step: Clone + Debug;
    /// What it means that two responses are the same.
    type Comparison: Comparison;

    /// Starts a real server and a fake.
    fn start(binary: &Path) -> Self;

    /// The server and the fake.
    fn pair(&self) -> &Pair<Self::Comparison>;

    /// The random history of a seed. Its last step removes all that the others have left.
    fn history(seed: u64) -> Vec<Self::Step>;

    /// Takes one step on both.
    fn step(&mut self, step: &Self::Step) -> Same;

    /// After a divergence that time alone may explain, starts other servers and returns `true`: the machine has stalled for longer
    /// than what the history has made is certain to live, or the server answers by what it has not yet written to its file.
    fn restart_if_by_time(&mut self, _: &Divergence) -> bool {
        false
    }

    /// Takes the steps, until the two differ; says at which step they do.
    fn run(&mut self, steps: &[Self::Step]) -> Result<(), (usize, Box<Divergence>)> {
        let (mut at, mut restarts) = (0, 0);
        while let Some(step) = steps.get(at) {
            match self.step(step) {
                Ok(()) => at += 1,
                Err(divergence) if self.restart_if_by_time(&divergence) => {
                    println!("time decides, and the history begins again:\n{divergence}");
                    restarts += 1;
                    assert!(
                        restarts < RESTARTS,
                        "time is said to decide step {at}: {step:?}\n{divergence}"
                    );
                    at = 0;
                }
                Err(divergence) => return Err((at, divergence)),
            }
        }
        Ok(())
    }
}

/// Runs histories on each server, until `ETCD_FAKE_REQUESTS` requests are compared.
///
/// # Panics
/// With the shortest history that can be found, if the fake differs.
pub fn compare_with_each<D: Differential>() {
    let requests = number("ETCD_FAKE_REQUESTS", 20_000);
    let seed = number("ETCD_FAKE_SEED", 1);
    // One server after the other: both at once would disturb the short times to live.
    for binary in binaries() {
        compare_with::<D>(&binary, requests, seed);
    }
}

fn compare_with<D: Differential>(binary: &Path, requests: u64, first_seed: u64) {
    let begin = Instant::now();
    let mut test = D::start(binary);
    let name = test.pair().name();
    let mut reply = 0;
    let mut seed = first_seed;
    let mut before = Vec::new();
    while test.pair().requests() < requests {
        let asked = test.pair().requests();
        if asked >= reply + PROGRESS {
            reply = asked;
            println!("{name}: {reply} requests so far, at seed {seed}");
        }
        let steps = D::history(seed);
        if let Err((at, divergence)) = test.run(&steps) {
            let report = report::<D>(binary, before, &steps[..=at]);
            panic!("{name}, seed {seed}: the fake differs\n{divergence}\n{report}");
        }
        before = steps;
        seed += 1;
    }
    println!(
        "{name}: {} requests, {} events of watches in {:.1} s, seeds {first_seed} to {}, no divergence",
        test.pair().requests(),
        test.pair().events(),
        begin.elapsed().as_secs_f64(),
        seed - 1,
    );
}

/// The shortest history that can be found: of these steps, or else of the history `before` and these.
fn report<D: Differential>(binary: &Path, before: Vec<D::Step>, steps: &[D::Step]) -> String {
    let run = |steps: &[D::Step]| D::start(binary).run(steps).err();
    let mut history = steps.to_vec();
    if run(&history).is_none() {
        history = before;
        history.extend_from_slice(steps);
    }
    let mut note = "";
    if run(&history).is_some() {
        history = shrink(history, |steps| run(steps).is_some());
    } else {
        note = " (on a new server these steps do not diverge)";
        let skipped = history.len().saturating_sub(20);
        history.drain(..skipped);
    }
    let lines: String = history.iter().map(|step| format!("  {step:?}\n")).collect();
    let last = run(&history).map_or(String::new(), |(_, last)| format!("\nthere:\n{last}"));
    format!("history{note}:\n{lines}{last}")
}
