//! Keys that are refreshed for as long as their future is polled.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    client::Client,
    error::{Error, EtcdError, InvalidInput, Outcome, Result},
    operation::Operation,
    pipeline::lifecycle::OpenSession,
    recipes::{
        error::RecipeError,
        wait::{Pauses, is_refused},
    },
    v2::{CompareAndDelete, Condition, Event, Get, Node, Refresh},
};

const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// The shortest time that a call gets.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(500);

/// A key with a time to live.
pub(super) struct Kept<T> {
    /// Gives a call a part of the time to live.
    client: Client<T>,
    /// The client is not closed before the key is deleted.
    _open: OpenSession,
    key: String,
    created: u64,
    ttl: Duration,
    /// The key lives until then, by the client's clock.
    until: Option<Instant>,
}

impl<T: Transport> Kept<T> {
    /// Writes a key, again after each failure that another attempt may resolve.
    pub(super) async fn write<O>(
        client: &Client<T>,
        write: &O,
        ttl: Duration,
    ) -> Result<Self, RecipeError>
    where
        O: Operation<Output = Event> + Clone,
    {
        if ttl < SHORTEST_TTL {
            let reason = "the time to live is shorter than a second";
            return Err(Error::Invalid(InvalidInput::new(O::NAME, reason)).into());
        }
        // Counted first: who closes the client meanwhile waits for it.
        let open = client.pipeline().lifecycle.begin_session();
        let client = client.with_timeout((ttl / 4).max(SHORTEST_TIMEOUT));
        let mut pauses = Pauses::default();
        let mut in_doubt = false;
        loop {
            let sent = client.transport().now();
            // On the heap, as all that is large here: futures of recipes are nested deeply.
            match Box::pin(client.send(write.clone())).await {
                Ok(event) => {
                    let Node {
                        key, created_index, ..
                    } = event.node;
                    return Ok(Self {
                        client: client.privileged(),
                        _open: open,
                        key,
                        created: created_index,
                        ttl,
                        until: sent.checked_add(ttl),
                    });
                }
                Err(error) if pauses.is_final(&error) => {
                    return Err(error.after_doubt(in_doubt).into());
                }
                Err(error) => in_doubt |= error.outcome() == Outcome::Unknown,
            }
            pauses.pause(client.transport()).await;
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn created(&self) -> u64 {
        self.created
    }

    /// Refreshes the key until it is lost, or the client is closed, and returns how.
    pub(super) async fn keep(&mut self) -> RecipeError {
        let closing = self.client.pipeline().lifecycle.ended(false);
        match select(pin!(self.keep_refreshed()), pin!(closing)).await {
            Either::Left((lost, _)) => lost,
            Either::Right(_) => Error::closed(Refresh::NAME).into(),
        }
    }

    async fn keep_refreshed(&mut self) -> RecipeError {
        loop {
            let transport = self.client.transport();
            let refresh = async {
                transport.sleep(self.ttl / 3).await;
                self.refresh().await
            };
            let left = self.until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(transport.now())
            });
            let refreshed = match select(pin!(refresh), pin!(transport.sleep(left))).await {
                Either::Left((refreshed, _)) => refreshed,
                Either::Right(_) => Err(self.expired()),
            };
            match refreshed {
                Ok(sent) => self.until = sent.checked_add(self.ttl),
                Err(lost) => return lost,
            }
        }
    }

    /// Deletes the key, unless another client has written it since. After its time to live it has expired.
    pub(super) async fn delete(&self) {
        let transport = self.client.transport();
        let delete = async {
            let mut pauses = Pauses::default();
            loop {
                match Box::pin(self.try_delete()).await {
                    Ok(()) => return,
                    Err(error) if error.is_key_not_found() => return,
                    // A late refresh has changed its index.
                    Err(error) if error.is_compare_failed() => {}
                    Err(error) if is_refused(&error) => return,
                    Err(_) => {}
                }
                pauses.pause(transport).await;
            }
        };
        select(pin!(delete), pin!(transport.sleep(self.ttl))).await;
    }

    /// Deletes the key if it was given up since the client is closed.
    pub(super) async fn delete_if_closed(&self, lost: &RecipeError) {
        if matches!(lost, RecipeError::Client(error) if error.is_closed()) {
            self.delete().await;
        }
    }

    async fn try_delete(&self) -> Result<()> {
        let read = Get::new(&self.key).quorum(true);
        let node = self.client.send(read).await?.node;
        if node.created_index != self.created {
            return Ok(());
        }
        let same = Condition::index_is(node.modified_index);
        let delete = CompareAndDelete::new(&self.key, same);
        self.client.send(delete).await.map(drop)
    }

    /// Returns when the refresh was sent that succeeded.
    async fn refresh(&self) -> Result<Instant, RecipeError> {
        let mut pauses = Pauses::default();
        loop {
            let sent = self.client.transport().now();
            let refresh = Refresh::new(&self.key, self.ttl);
            match Box::pin(self.client.send(refresh)).await {
                Ok(event) if event.node.created_index == self.created => return Ok(sent),
                Ok(_) => return Err(RecipeError::AlreadyHeld),
                Err(error) if error.is_key_not_found() => return Err(self.expired()),
                // The time to live is the limit.
                Err(error) if is_refused(&error) => return Err(error.into()),
                Err(_) => pauses.pause(self.client.transport()).await,
            }
        }
    }

    fn expired(&self) -> RecipeError {
        RecipeError::KeyExpired {
            key: self.key.clone(),
        }
    }
}

/// Returns the files of a directory, in order, and the index of the store.
pub(super) async fn files<T: Transport>(
    client: &Client<T>,
    dir: &str,
) -> Result<(Vec<Node>, Option<u64>)> {
    let read = Get::new(dir).sorted(true).quorum(true);
    match Box::pin(client.send(read)).await {
        Ok(event) => {
            let index = event.cluster.etcd_index;
            let files = event.node.nodes.into_iter().filter(|node| !node.dir);
            Ok((files.collect(), index))
        }
        Err(error) if error.is_key_not_found() => {
            let index = error.as_etcd().and_then(EtcdError::index);
            Ok((Vec::new(), index))
        }
        Err(error) => Err(error),
    }
}

/// Does work while the key is kept: it is dropped when the key is lost.
pub(super) async fn while_kept<T: Transport, O>(
    kept: &mut Kept<T>,
    work: impl Future<Output = O>,
) -> Result<O, RecipeError> {
    match select(Box::pin(kept.keep()), pin!(work)).await {
        Either::Left((lost, _)) => Err(lost),
        Either::Right((output, _)) => Ok(output),
    }
}
