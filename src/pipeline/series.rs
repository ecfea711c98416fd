use std::time::{Duration, Instant};

use etcd_transport::Transport;

use crate::{
    error::{Error, Outcome, Result},
    pipeline::{Pipeline, call::Repeat, retry::Failed},
};

/// Calls that together settle one write: the write, reads that look for it, and the write again.
///
/// The [`RetryPolicy`](crate::RetryPolicy) decides how many rounds there are, how long to pause between them, and after which time
/// none begins, as it does for the attempts of one call. Each call has the limits of its own.
pub(crate) struct Series<'a, T> {
    pipeline: &'a Pipeline<T>,
    started: Instant,
    rounds: u32,
    /// The failure of the first write that may have been applied.
    doubt: Option<Error>,
}

impl<'a, T: Transport> Series<'a, T> {
    pub(crate) fn begin(pipeline: &'a Pipeline<T>) -> Self {
        Self {
            pipeline,
            started: pipeline.transport.now(),
            rounds: 0,
            doubt: None,
        }
    }

    /// Takes the failure of a write. Returns the error that stands until it is known whether it was applied: that of an earlier
    /// one in doubt, which may be the reason for this failure if it was applied.
    ///
    /// # Errors
    /// This error if no write was applied.
    pub(crate) fn doubt_after(&mut self, error: Error) -> Result<Error> {
        match self.doubt.take() {
            Some(first) => Ok(first),
            None if error.outcome() == Outcome::Unknown => Ok(error),
            None => Err(error),
        }
    }

    /// The next write comes with an earlier one in doubt.
    pub(crate) fn stays_in_doubt(&mut self, doubt: Error) {
        self.doubt = Some(doubt);
    }

    /// Pauses before the next round, with this error in doubt.
    ///
    /// # Errors
    /// The same error if no round is left.
    pub(crate) async fn next_round(&mut self, doubt: Error) -> Result<Error> {
        self.rounds += 1;
        let transport = &self.pipeline.transport;
        let pause = self.pipeline.retry.decide(&Failed {
            attempt: self.rounds,
            // Each call asks all endpoints by itself.
            endpoints: 1,
            unsent: false,
            repeat: Repeat::Always,
            retry_after: Duration::ZERO,
            elapsed: transport.now().saturating_duration_since(self.started),
            jitter: fastrand::f64(),
        });
        let Some(pause) = pause else {
            return Err(doubt);
        };
        transport.sleep(pause).await;
        Ok(doubt)
    }
}
