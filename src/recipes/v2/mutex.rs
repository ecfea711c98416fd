use std::time::Duration;

use etcd_transport::Transport;

use super::queue::{Held, WaitLimit, first, in_turn};
use crate::{
    client::Client,
    recipes::{error::RecipeError, traits::clone_and_debug},
    v2::Node,
};

/// A lock over the v2 API that one client at a time holds.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::v2::Mutex;
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let mutex = Mutex::new(client, "/locks/report", Duration::from_secs(30));
/// let report = mutex.run(async |held| {
///     // Dropped at once when the lock is lost.
///     format!("42, with token {}", held.fencing_token())
/// }).await?;
/// # let _ = report;
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - **One holder at a time**, as etcd sees it: the one whose key in the queue was created first. First come, first served; a
///   waiter watches the one key before its own.
/// - Work ends when the lock is lost: see the [limits](super#limits-of-all-of-them). A wait survives lost responses, restarts
///   and outages that are shorter than the time to live.
/// - A holder that dies holds others up for the time to live.
///
/// # Limits
///
/// Those of [all recipes for v2](super#limits-of-all-of-them): guard what the lock protects with a
/// [`fencing_token`](Held::fencing_token).
///
/// # Layout
///
/// An in-order key in the directory `NAME` for each holder and waiter, with a time to live and no value.
pub struct Mutex<T> {
    name: String,
    client: Client<T>,
    ttl: Duration,
}

impl<T: Transport> Mutex<T> {
    /// The mutex with this name, which is a directory. The time to live is in whole seconds. Nothing is sent.
    pub fn new(client: &Client<T>, name: impl AsRef<str>, ttl: Duration) -> Self {
        Self {
            client: client.clone(),
            name: name.as_ref().to_owned(),
            ttl,
        }
    }

    /// Waits for the lock, does work while it is held, and releases it. Returns what the work returns.
    ///
    /// If no server confirms the release, the lock ends after its time to live.
    ///
    /// # Errors
    /// [`RecipeError::KeyExpired`] if the lock was lost: the work was dropped. [`RecipeError::Client`] if etcd refused.
    pub async fn run<O>(&self, work: impl AsyncFnOnce(&Held) -> O) -> Result<O, RecipeError> {
        let done = self.in_turn(WaitLimit::Unlimited, work).await?;
        done.ok_or(RecipeError::TimedOut(Duration::MAX))
    }

    /// As [`run`](Self::run), but waits for the lock at most for this long.
    ///
    /// # Errors
    /// As for [`run`](Self::run); [`RecipeError::TimedOut`] when the limit has passed. Then it leaves the queue: where etcd cannot be
    /// reached, within the time to live.
    pub async fn run_within<O>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&Held) -> O,
    ) -> Result<O, RecipeError> {
        let done = self.in_turn(WaitLimit::AtMost(limit), work).await?;
        done.ok_or(RecipeError::TimedOut(limit))
    }

    /// As [`run`](Self::run) if the lock is free, and nothing waits for it. Otherwise returns `None`.
    ///
    /// The v2 API cannot compare a whole directory: a key is in the queue for the time of two requests, and others that try at this
    /// time may all find that the lock is not free.
    ///
    /// # Errors
    /// As for [`run`](Self::run); [`RecipeError::TimedOut`] if etcd cannot be reached for the time to live.
    pub async fn try_run<O>(
        &self,
        work: impl AsyncFnOnce(&Held) -> O,
    ) -> Result<Option<O>, RecipeError> {
        self.in_turn(WaitLimit::Zero, work).await
    }

    async fn in_turn<O>(
        &self,
        wait_limit: WaitLimit,
        work: impl AsyncFnOnce(&Held) -> O,
    ) -> Result<Option<O>, RecipeError> {
        in_turn(&self.client, &self.name, "", self.ttl, wait_limit, work).await
    }

    /// Returns the key of the present holder, or `None`.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn holder(&self) -> Result<Option<Node>, RecipeError> {
        first(&self.client, &self.name).await
    }
}

clone_and_debug!(Mutex { name, client, ttl });
