use std::time::{Duration, Instant};

use etcd_transport::Transport;

use crate::{
    error::{Error, Result},
    pipeline::execute::Pipeline,
};

/// A link that has lasted this long was a good one; one that breaks sooner, again and again, is not to be hurried.
const STABLE: Duration = Duration::from_secs(1);

/// How long something that is to go on for ever has been without an answer, and what to do about it.
#[derive(Debug)]
pub(crate) struct Reconnect {
    limit: Duration,
    /// Since when every attempt has failed.
    since: Option<Instant>,
    /// Attempts since the last answer that was whole, or the last link that lasted.
    failures: u32,
    /// When the last good answer began a link.
    up: Option<Instant>,
}

impl Reconnect {
    /// None so far; one of `limit` will be too long.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            failures: 0,
            up: None,
        }
    }

    /// An answer came, and is whole: the outage, if there was one, is over.
    pub(crate) fn answered(&mut self) {
        self.since = None;
        self.failures = 0;
        self.up = None;
    }

    /// An answer began: the outage, if there was one, is over. Whether the link is a good one its end will show.
    pub(crate) fn over(&mut self, now: Instant) {
        self.since = None;
        self.up.get_or_insert(now);
    }

    /// An attempt failed. Waits before the next one if that may bring something else; gives up otherwise, and when the
    /// outage has lasted too long.
    pub(crate) async fn survive<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        error: Error,
    ) -> Result<()> {
        if error.is_retryable() {
            self.pause(pipeline, error).await
        } else {
            Err(error)
        }
    }

    /// Waits before the next attempt, or gives up with this error if the outage has lasted too long. Every endpoint is
    /// tried before the first wait.
    pub(crate) async fn pause<T: Transport>(
        &mut self,
        pipeline: &Pipeline<T>,
        error: Error,
    ) -> Result<()> {
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
        let endpoints = u32::try_from(pipeline.endpoints.current().len()).unwrap_or(u32::MAX);
        if self.failures.is_multiple_of(endpoints) {
            let pause = pipeline
                .retry
                .pause(self.failures / endpoints, fastrand::f64());
            pipeline.transport.sleep(pause).await;
        }
        Ok(())
    }
}
