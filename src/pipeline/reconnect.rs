use std::time::{Duration, Instant};

use etcd_transport::Transport;

use crate::{
    base::trace,
    error::{Error, Result},
    pipeline::Pipeline,
};

/// A connection that lasted this long was good. After shorter ones, the pauses grow.
const STABLE: Duration = Duration::from_secs(1);

/// How long a stream has been without a response, and how long to pause before the next attempt.
#[derive(Debug)]
pub(crate) struct Reconnect {
    limit: Duration,
    /// When the current series of failed attempts began.
    since: Option<Instant>,
    /// Attempts since the last complete response, or the last connection that lasted.
    failures: u32,
    /// How many of the last failures in a row were servers with a certificate that is not accepted.
    untrusted: u32,
    /// When the current connection first received a good response.
    up: Option<Instant>,
    /// A good response has arrived before.
    has_worked: bool,
}

impl Reconnect {
    /// Starts without an outage. An outage that lasts `limit` ends the stream.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            failures: 0,
            untrusted: 0,
            up: None,
            has_worked: false,
        }
    }

    /// What the stream goes on from has worked.
    pub(crate) fn worked(&mut self) {
        self.has_worked = true;
    }

    /// Forgets the outage: nothing is wanted from the server.
    pub(crate) fn rest(&mut self) {
        self.since = None;
        self.failures = 0;
        self.up = None;
    }

    /// Records a complete response: an outage is over.
    pub(crate) fn answered(&mut self) {
        self.rest();
        self.has_worked = true;
    }

    /// Records the beginning of a response: an outage is over. Whether the connection is good depends on how long it
    /// lasts.
    pub(crate) fn over(&mut self, now: Instant) {
        if let Some(since) = self.since.take()
            && self.has_worked
        {
            trace::stream_resumed(now.saturating_duration_since(since));
        }
        self.up.get_or_insert(now);
        self.has_worked = true;
    }

    /// Whether an attempt has failed since the last response.
    pub(crate) fn is_outage(&self) -> bool {
        self.since.is_some()
    }

    /// Returns whether another attempt may help. A stale response comes from a member that lags behind, and will catch up.
    /// Once the stream has worked, a response that is not etcd's comes from a proxy without servers or under maintenance: an
    /// outage like any other.
    pub(crate) fn survives(&self, error: &Error) -> bool {
        error.is_retryable() || error.is_stale_read() || self.has_worked && error.is_foreign()
    }

    /// Waits before the next attempt if it may succeed. Otherwise, and if the outage has lasted too long, returns the
    /// error.
    pub(crate) async fn survive<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        error: Error,
    ) -> Result<()> {
        if self.survives(&error) {
            self.pause(pipeline, error).await
        } else {
            Err(error)
        }
    }

    /// Waits before the next call, which asks every endpoint by itself, or returns this error when the outage has lasted too
    /// long. The call that has failed began at `asked`.
    pub(crate) async fn pause_after_call<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        asked: Instant,
        error: Error,
    ) -> Result<()> {
        self.since.get_or_insert(asked);
        let endpoints = endpoints(pipeline);
        let rounds = self.failures / endpoints;
        // The next failure completes a round.
        self.failures = rounds
            .saturating_mul(endpoints)
            .saturating_add(endpoints - 1);
        // Its error is of this kind if no endpoint failed otherwise.
        self.untrusted = endpoints;
        self.pause(pipeline, error).await
    }

    /// Waits before the next attempt, or returns this error when the outage has lasted too long.
    pub(crate) async fn pause<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        error: Error,
    ) -> Result<()> {
        let pause = self.next_pause(pipeline, error)?;
        if !pause.is_zero() {
            pipeline.transport.sleep(pause).await;
        }
        Ok(())
    }

    /// Returns how long to wait before the next attempt, or this error if the outage has lasted too long. Every
    /// endpoint is tried before the first pause.
    pub(crate) fn next_pause<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        error: Error,
    ) -> Result<Duration> {
        let now = pipeline.transport.now();
        if self
            .up
            .take()
            .is_some_and(|up| now.saturating_duration_since(up) >= STABLE)
        {
            self.failures = 0;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.limit {
            return Err(error);
        }
        self.failures = self.failures.saturating_add(1);
        let endpoints = endpoints(pipeline);
        self.untrusted = if error.is_untrusted() {
            self.untrusted.saturating_add(1)
        } else {
            0
        };
        // While a stream goes on, a certificate may be replaced a moment too late.
        if self.untrusted >= endpoints && !self.has_worked {
            return Err(error);
        }
        let pause = if self.failures.is_multiple_of(endpoints) {
            pipeline
                .retry
                .pause(self.failures / endpoints, fastrand::f64())
        } else {
            Duration::ZERO
        };
        trace::stream_interrupted(error.reason(), pause);
        Ok(pause)
    }
}

/// How many there are; at least one.
fn endpoints<T>(pipeline: &Pipeline<T>) -> u32 {
    u32::try_from(pipeline.endpoints.current().len()).map_or(u32::MAX, |count| count.max(1))
}
