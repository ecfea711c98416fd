use std::time::Duration;

use etcd_transport::Transport;

use futures::stream::{self, BoxStream};

use super::{
    kept::files,
    queue::{Held, WaitLimit, first, in_turn, is_over, next_event},
};
use crate::{
    client::Client,
    error::Outcome,
    recipes::{error::RecipeError, traits::clone_and_debug, wait::Pauses},
    v2::{CompareAndSwap, Condition, Get, Node},
};

/// An election over the v2 API, in which one client at a time leads, with a value that the others can read.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::v2::Election;
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let election = Election::new(client, "/scheduler", Duration::from_secs(10));
/// election.run_while_leader("10.0.0.7:8080", async |leadership| {
///     println!("leads, with token {}", leadership.fencing_token());
/// }).await
/// # }
/// ```
///
/// # What is promised
///
/// What a [`Mutex`](super::Mutex) promises: one leader at a time, as etcd sees it, and work that ends when leadership is lost.
///
/// # Limits
///
/// Those of [all recipes for v2](super#limits-of-all-of-them). There may be no leader for as long as the time to live of the last
/// one's key.
///
/// # Layout
///
/// An in-order key in the directory `NAME` for each candidate, with a time to live; its value is what it proclaims.
pub struct Election<T> {
    name: String,
    client: Client<T>,
    ttl: Duration,
}

impl<T: Transport> Election<T> {
    /// The election with this name, which is a directory. The time to live is in whole seconds. Nothing is sent.
    pub fn new(client: &Client<T>, name: impl AsRef<str>, ttl: Duration) -> Self {
        Self {
            client: client.clone(),
            name: name.as_ref().to_owned(),
            ttl,
        }
    }

    /// Waits to be elected, does work while it leads, and resigns. Returns what the work returns.
    ///
    /// # Errors
    /// As for [`Mutex::run`](super::Mutex::run).
    pub async fn run_while_leader<O>(
        &self,
        value: impl AsRef<str>,
        work: impl AsyncFnOnce(&Held) -> O,
    ) -> Result<O, RecipeError> {
        let (client, value, ttl) = (&self.client, value.as_ref(), self.ttl);
        let done = in_turn(client, &self.name, value, ttl, WaitLimit::Unlimited, work).await?;
        done.ok_or(RecipeError::TimedOut(Duration::MAX))
    }

    /// Changes the value that a leader proclaims, within the work that it does: applied only while its key exists. Failures that
    /// another attempt may resolve are retried, for as long as the caller waits.
    ///
    /// # Errors
    /// [`RecipeError::KeyExpired`]: it does not lead any more. [`RecipeError::Client`] if etcd refused.
    pub async fn proclaim(&self, held: &Held, value: impl AsRef<str>) -> Result<(), RecipeError> {
        let value = value.as_ref();
        let mut pauses = Pauses::default();
        let mut in_doubt = false;
        loop {
            // A request that arrives late finds another index, and a refresh has another as well.
            let done = async {
                let read = Get::new(&held.key).quorum(true);
                let node = self.client.send(read).await?.node;
                if node.value.as_deref() == Some(value) {
                    return Ok(());
                }
                let same = Condition::index_is(node.modified_index);
                let swap = CompareAndSwap::new(&held.key, value, same).ttl(self.ttl);
                self.client.send(swap).await.map(drop)
            };
            match Box::pin(done).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_key_not_found() => {
                    let key = held.key.clone();
                    return Err(RecipeError::KeyExpired { key });
                }
                Err(error) if !error.is_compare_failed() && pauses.is_final(&error) => {
                    return Err(error.after_doubt(in_doubt).into());
                }
                Err(error) => in_doubt |= error.outcome() == Outcome::Unknown,
            }
            pauses.pause(self.client.transport()).await;
        }
    }

    /// Delivers the key of the present leader, and that of each one after it, and again with each value that it proclaims. It goes on
    /// over outages and lost history; who led only meanwhile is skipped.
    ///
    /// The stream ends after an error: an outage that lasts longer than that of a [`Watch`](crate::v2::Watch).
    pub fn observe(&self) -> BoxStream<'static, Result<Node, RecipeError>> {
        let observer = Observer {
            election: self.clone(),
            state: None,
            last: None,
        };
        let next = |observer: Option<Observer<T>>| async move {
            let mut observer = observer?;
            let leader = observer.next().await;
            let more = leader.is_ok().then_some(observer);
            Some((leader, more))
        };
        Box::pin(stream::unfold(Some(observer), next))
    }

    /// Returns the key of the present leader, with its value, or `None`.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn leader(&self) -> Result<Option<Node>, RecipeError> {
        first(&self.client, &self.name).await
    }
}

struct Observer<T> {
    election: Election<T>,
    /// The index at which the candidates were read last.
    state: Option<Option<u64>>,
    /// The key and the value of the leader that was delivered last.
    last: Option<(String, Option<String>)>,
}

impl<T: Transport> Observer<T> {
    async fn next(&mut self) -> Result<Node, RecipeError> {
        let Election { name, client, .. } = &self.election;
        let mut pauses = Pauses::default();
        loop {
            let changed = async {
                if let Some(index) = self.state {
                    next_event(client, name, index).await?;
                }
                files(client, name).await
            };
            match Box::pin(changed).await {
                Ok((candidates, index)) => {
                    self.state = Some(index);
                    let Some(leader) = candidates.into_iter().next() else {
                        continue;
                    };
                    let this = (leader.key.clone(), leader.value.clone());
                    if self.last.as_ref() != Some(&this) {
                        self.last = Some(this);
                        return Ok(leader);
                    }
                }
                Err(error) if is_over(&pauses, &error) => return Err(error.into()),
                Err(_) => {
                    // Without history, or after an outage, what is there is read.
                    self.state = None;
                    pauses.pause(client.transport()).await;
                }
            }
        }
    }
}

clone_and_debug!(Election { name, client, ttl });
