//! A test under many schedules of faults, each reproducible by its seed.
//!
//! [`Explore`] runs an asynchronous test many times, each time with a fake of its own and a few faults at moments that
//! a seed chooses: requests and responses that are late or lost, streams that break, leaders that change, members that lag, a
//! history that is compacted, requests that arrive right after a lease has expired. A run takes as long as its requests;
//! the time that it waits for is virtual.
//!
//! A run fails if the test panics, returns an error, or can never go on. Then subsets of its faults are tried until the
//! shortest list is found that still fails, and the [`Failure`] tells it, with the seed and what happened.
//!
//! ```
//! use std::error::Error;
//! use etcd_http_fake::{Explore, FakeEtcd, explore::FaultKind};
//! # use etcd_transport::{Body, Transport, http};
//! # async fn ask(etcd: &FakeEtcd, method: &str, path: &str) -> Result<String, Box<dyn Error>> {
//! #     let uri = format!("{}/v2/keys/{path}", etcd.endpoint(0).url());
//! #     let request = http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
//! #     let body = etcd.send(request).await?.into_body().collect(1 << 20).await?;
//! #     Ok(String::from_utf8(body.to_vec()).unwrap())
//! # }
//!
//! /// Adds one to a number, and forgets that others do so, too.
//! async fn increment(etcd: &FakeEtcd) -> Result<(), Box<dyn Error>> {
//!     let answer = ask(etcd, "GET", "number").await?;
//!     let number = answer.split("\"value\":\"").nth(1).and_then(|rest| rest.split('"').next());
//!     let number: u32 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
//!     ask(etcd, "PUT", &format!("number?value={}", number + 1)).await?;
//!     Ok(())
//! }
//!
//! let explore = Explore::new().seed(1).faults([FaultKind::Delay, FaultKind::DelayResponse]);
//! let failure = explore.run(|etcd| async move {
//!     let (one, other) = futures::join!(increment(&etcd), increment(&etcd));
//!     one.and(other)?;
//!     assert_eq!(etcd.value("/number").unwrap(), b"2");
//!     Ok::<(), Box<dyn Error>>(())
//! });
//! let failure = failure.unwrap_err();
//! // A request that is late is enough.
//! assert_eq!(failure.faults().len(), 1, "{failure}");
//! ```
//!
//! # What a test has to do
//!
//! Everything that it does must be one future, on the fake's time: tasks are joined, not spawned, and pauses are the
//! transport's [`sleep`](etcd_transport::Transport::sleep). A runtime is not needed. A test that an error of a request ends
//! is one that says that no request may fail: what a fault does to a request has to be handled, as in production.
//!
//! A seed reproduces a run if the test chooses nothing at random by itself. What the crate `fastrand` chooses on the thread
//! of the test, such as a client's pauses, follows the seed. Ids of leases that a client takes from the operating system do not;
//! the timeline calls them `L1`, `L2` and so on. Where their order matters, as for leases that end together, set them in the test.

mod report;
mod run;
mod schedule;
mod shrink;
mod timeline;

use std::{fmt, future::Future, time::Duration};

pub use self::{
    report::{Cause, Explored, Failure},
    schedule::{FaultKind, ScheduledFault},
};
use self::{
    run::{Limits, run},
    schedule::Choice,
};
use crate::{control::builder::FakeEtcdBuilder, fake::FakeEtcd};

/// Runs a test under many schedules of faults.
///
/// See the [module](self) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct Explore {
    runs: u64,
    seed: u64,
    budget: usize,
    weights: Vec<(FaultKind, u32)>,
    etcd: FakeEtcdBuilder,
    limits: Limits,
}

impl Explore {
    /// 200 runs from seed 0 on, with faults of every kind, at most 3 in a run, and clusters of three members.
    pub fn new() -> Self {
        Self {
            runs: 200,
            seed: 0,
            budget: 3,
            weights: FaultKind::ALL.map(|kind| (kind, 1)).into(),
            etcd: FakeEtcd::builder().members(3),
            limits: Limits::default(),
        }
    }

    /// How many schedules to try. Before them, the test runs once without any fault.
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = runs;
        self
    }

    /// The seed of the first run. Each run adds one: a run that failed with some seed is the only one with that seed and
    /// `runs(1)`.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many faults a run has at most. With 0, only the run without faults is left to do.
    pub fn budget(mut self, faults: usize) -> Self {
        self.budget = faults;
        self
    }

    /// Only faults of these kinds, all equally often.
    pub fn faults(mut self, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        self.weights = kinds.into_iter().map(|kind| (kind, 1)).collect();
        self
    }

    /// How often faults of this kind are chosen, compared with the others, whose weight defaults to 1. With 0, never.
    pub fn weight(mut self, kind: FaultKind, weight: u32) -> Self {
        self.weights.retain(|(other, _)| *other != kind);
        self.weights.push((kind, weight));
        self
    }

    /// What each run's fake is built from. Its seed and its clock are set by the run.
    pub fn etcd(mut self, builder: FakeEtcdBuilder) -> Self {
        self.etcd = builder;
        self
    }

    /// How long a run may take by the fake's clock. Defaults to an hour. What takes longer never ends.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// Runs the test, with a new fake each time.
    ///
    /// # Errors
    /// [`Failure`] for the first run that fails: the test has panicked, returned an error, or could never go on.
    /// Panics are caught, which takes `panic = "unwind"`; their messages are printed as usual.
    pub fn run<F, E>(&self, test: impl Fn(FakeEtcd) -> F) -> Result<Explored, Failure>
    where
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let run =
            |seed, faults: &[ScheduledFault]| run(&self.etcd, seed, self.limits, faults, &test);
        // Always the same one, so that what a run does depends on its own seed alone.
        let calm = run(0, &[]);
        let choice = Choice {
            weights: &self.weights,
            budget: self.budget,
            extent: calm.extent,
        };
        if calm.cause.is_some() {
            return Err(Failure::new(0, 0, Vec::new(), calm));
        }
        let mut explored = Explored::default();
        for number in 0..self.runs {
            let seed = self.seed.wrapping_add(number);
            let faults = choice.schedule(seed);
            let mut done = run(seed, &faults);
            if done.cause.is_none() {
                explored.add(&done);
                continue;
            }
            let shortest = shrink::shortest(&faults, |fewer| {
                let again = run(seed, fewer);
                let fails = again.cause.is_some();
                if fails {
                    done = again;
                }
                fails
            });
            return Err(Failure::new(seed, faults.len(), shortest, done));
        }
        Ok(explored)
    }
}

impl Default for Explore {
    fn default() -> Self {
        Self::new()
    }
}
