//! Counts of calls and of failures.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use etcd_http::{Error, Outcome, Result, recipes::RecipeError};

/// Calls by operation, and failures by kind.
#[derive(Debug)]
pub(crate) struct Tally {
    /// By operation: the number of calls, and of successes.
    operations: BTreeMap<&'static str, (usize, usize)>,
    /// By outcome, operation and kind.
    failures: BTreeMap<(&'static str, &'static str, String), usize>,
    last_success: Instant,
    longest_gap: Duration,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            operations: BTreeMap::new(),
            failures: BTreeMap::new(),
            last_success: Instant::now(),
            longest_gap: Duration::ZERO,
        }
    }

    /// Records the end of an operation.
    pub(crate) fn count<O>(&mut self, operation: &'static str, result: &Result<O>) {
        self.record(operation, result.as_ref().err().map(described));
    }

    /// Records the end of a recipe's operation.
    pub(crate) fn count_recipe<O>(
        &mut self,
        operation: &'static str,
        result: &Result<O, RecipeError>,
    ) {
        let failure = result.as_ref().err().map(|error| match error {
            RecipeError::Client(error) => described(error),
            error => {
                let text = error.to_string();
                let kind = text.split([':', '"']).next().unwrap_or_default();
                ("by the recipe", kind.trim().to_owned())
            }
        });
        self.record(operation, failure);
    }

    /// Records the end of an operation, and how it has failed.
    fn record(&mut self, operation: &'static str, failure: Option<(&'static str, String)>) {
        let counts = self.operations.entry(operation).or_default();
        counts.0 += 1;
        match failure {
            None => {
                counts.1 += 1;
                self.longest_gap = self.longest_gap.max(self.last_success.elapsed());
                self.last_success = Instant::now();
            }
            Some((outcome, kind)) => {
                let failure = (outcome, operation, kind);
                *self.failures.entry(failure).or_default() += 1;
            }
        }
    }
}

/// Prints operations, failures by outcome and kind, and the longest time without a success.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.operations.values().map(|counts| counts.0).sum();
        let done: usize = self.operations.values().map(|counts| counts.1).sum();
        let gap = self.longest_gap;
        writeln!(
            f,
            "  {all} operations, {done} succeeded; longest time without a success {gap:.1?}"
        )?;
        for (operation, (all, done)) in &self.operations {
            writeln!(f, "    {operation}: {done} of {all}")?;
        }
        for ((outcome, operation, kind), count) in &self.failures {
            writeln!(f, "    {outcome}: {count} x {operation}: {kind}")?;
        }
        Ok(())
    }
}

/// Returns the outcome and the kind of a failure.
fn described(error: &Error) -> (&'static str, String) {
    let outcome = match error.outcome() {
        Outcome::NotSent => "not sent",
        Outcome::Rejected => "rejected",
        _ => "unknown",
    };
    (outcome, kind(error))
}

/// Returns the kind of a failure, without the details that differ from one to the next.
fn kind(error: &Error) -> String {
    match error {
        Error::Etcd(error) => {
            let cause = if error.code().map(|code| code.number()) == Some(300) {
                error.cause()
            } else {
                ""
            };
            format!(
                "code {}, {} {cause}",
                error.code().map(|code| code.number()).unwrap_or(0),
                error.message()
            )
        }
        Error::Timeout(_) => "no response within the time".to_owned(),
        Error::Transport(_) => {
            let text = error.to_string();
            text.rsplit(": ").next().unwrap_or_default().to_owned()
        }
        Error::Http(_) | Error::Unexpected(_) | Error::Unsupported(_) => {
            "a response of a proxy".to_owned()
        }
        other => other.to_string(),
    }
}
