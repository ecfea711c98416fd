use std::{error::Error, fmt, time::Duration};

use super::{run::Run, schedule::ScheduledFault};

/// What was explored without finding a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// How many schedules were run, besides the run without faults.
    pub runs: u64,
    /// How many requests met a fault.
    pub faults: u64,
    /// How many requests were made.
    pub requests: u64,
    /// How much time has passed, by the clocks of the fakes.
    pub elapsed: Duration,
}

impl Explored {
    pub(super) fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.faults += run.faulty;
        self.requests += run.extent.requests;
        self.elapsed += run.elapsed;
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            faults,
            requests,
            elapsed,
        } = self;
        write!(
            f,
            "{runs} runs passed: {requests} requests, {faults} faults, {elapsed:?} of virtual time"
        )
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The test panicked with this message.
    Panicked(String),
    /// The test returned this error.
    Error(String),
    /// The test waits, and nothing is left that could wake it: neither a response, nor an event, nor a timer.
    Hung,
    /// The test has not ended in this time by the fake's clock.
    TimeLimit(Duration),
    /// The test wakes itself all the time and never waits, so that no time passes.
    Busy,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Error(error) => write!(f, "returned an error: {error}"),
            Self::Hung => f.write_str("hung: it waits, and nothing is left that could wake it"),
            Self::TimeLimit(limit) => write!(f, "did not end in {limit:?} of virtual time"),
            Self::Busy => f.write_str("is busy: it wakes itself all the time, and no time passes"),
        }
    }
}

/// A run that failed, with the shortest list of faults that it took.
///
/// `Display` and `Debug` write a report: the cause, the faults, and everything that happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    seed: u64,
    scheduled: usize,
    faults: Vec<ScheduledFault>,
    cause: Cause,
    timeline: Vec<String>,
}

impl Failure {
    pub(super) fn new(seed: u64, scheduled: usize, faults: Vec<ScheduledFault>, run: Run) -> Self {
        Self {
            seed,
            scheduled,
            faults,
            cause: run.cause.unwrap_or(Cause::Hung),
            timeline: run.timeline,
        }
    }

    /// The seed of the run: with it and `runs(1)`, the same [`Explore`](crate::Explore) fails in the same way.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Why the run failed. It is that of the run with the faults that are left.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The shortest list of faults that still fails. Without one or two, it is the shortest there is; of more, none can be left
    /// out. Without any, the test fails by itself.
    pub fn faults(&self) -> &[ScheduledFault] {
        &self.faults
    }

    /// What happened in the run with these faults, in the order of time: requests with the time, the endpoint, the outcome, and
    /// the fault that they met; and what happened to the cluster.
    pub fn timeline(&self) -> &[String] {
        &self.timeline
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "with seed {}, the test {}", self.seed, self.cause)?;
        let (left, scheduled) = (self.faults.len(), self.scheduled);
        if self.faults.is_empty() {
            writeln!(f, "faults that it takes: none")?;
        } else {
            writeln!(f, "faults that it takes, {left} of {scheduled}:")?;
        }
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(f, "what happened:")?;
        for line in &self.timeline {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}
