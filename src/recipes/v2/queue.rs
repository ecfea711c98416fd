use std::time::Duration;

use etcd_transport::Transport;
use futures::{
    StreamExt,
    future::{Either, select},
};

use super::kept::{Kept, files, while_kept};
use crate::{
    client::Client,
    error::Error,
    recipes::{error::RecipeError, wait::Pauses},
    v2::{CreateInOrder, Node, Watch},
};

/// What a holder knows of the lock, or a leader of its election, while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The key that shows who holds it.
    pub key: String,
    /// The index that created the key.
    pub created_index: u64,
}

impl Held {
    /// A key that was created at this index. For your own tests.
    pub fn new(key: impl AsRef<str>, created_index: u64) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            created_index,
        }
    }

    /// Returns a number that is greater than that of each earlier holder: the index that created the key.
    ///
    /// Give it along with each write to another store. The store has to refuse a write whose token is less than one that it has
    /// seen, in the same atomic step as the write. etcd itself cannot check it in the v2 API. A restore of etcd from a backup sets
    /// indexes back.
    pub fn fencing_token(&self) -> u64 {
        self.created_index
    }
}

/// How long to wait for the turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum WaitLimit {
    Zero,
    AtMost(Duration),
    Unlimited,
}

/// Puts a key into a queue, waits until it is the first one, does work while it is kept, and deletes it. Returns `None` if its turn
/// did not come in time.
pub(super) async fn in_turn<T: Transport, O>(
    client: &Client<T>,
    queue: &str,
    value: &str,
    ttl: Duration,
    wait_limit: WaitLimit,
    work: impl AsyncFnOnce(&Held) -> O,
) -> Result<Option<O>, RecipeError> {
    let transport = client.transport();
    let until = match wait_limit {
        WaitLimit::AtMost(limit) => transport.now().checked_add(limit),
        WaitLimit::Zero | WaitLimit::Unlimited => None,
    };
    let create = CreateInOrder::new(queue, value).ttl(ttl);
    let written = Box::pin(Kept::write(client, &create, ttl));
    let limit = match wait_limit {
        WaitLimit::AtMost(limit) => limit,
        // What is not answered for so long is a failure, and not another holder.
        WaitLimit::Zero => ttl,
        WaitLimit::Unlimited => Duration::MAX,
    };
    // A key that is written after all expires.
    let mut kept = match select(written, transport.sleep(limit)).await {
        Either::Left((kept, _)) => kept?,
        Either::Right(_) => return Err(RecipeError::TimedOut(limit)),
    };
    let held = Held::new(kept.key(), kept.created());
    let result = while_kept(&mut kept, async {
        let is_waiting = !matches!(wait_limit, WaitLimit::Zero);
        let turn = Box::pin(wait_turn(client, queue, &held.key, is_waiting));
        let has_turn = match until {
            None => turn.await?,
            Some(until) => {
                let left = until.saturating_duration_since(transport.now());
                match select(turn, transport.sleep(left)).await {
                    Either::Left((has_turn, _)) => has_turn?,
                    Either::Right(_) => false,
                }
            }
        };
        Ok(match has_turn {
            true => Some(work(&held).await),
            false => None,
        })
    })
    .await;
    match result {
        Ok(result) => {
            kept.delete().await;
            result
        }
        Err(lost) => {
            kept.delete_if_closed(&lost).await;
            Err(lost)
        }
    }
}

/// Returns the first key of a queue.
pub(super) async fn first<T: Transport>(
    client: &Client<T>,
    queue: &str,
) -> Result<Option<Node>, RecipeError> {
    let (keys, _) = files(client, queue).await?;
    Ok(keys.into_iter().next())
}

/// Waits until no key of the queue is before this one, or returns whether there is one now.
async fn wait_turn<T: Transport>(
    client: &Client<T>,
    queue: &str,
    own: &str,
    is_waiting: bool,
) -> Result<bool, RecipeError> {
    let mut pauses = Pauses::default();
    loop {
        let waited = match files(client, queue).await {
            Ok((keys, index)) => {
                let Some(at) = keys.iter().position(|node| node.key == own) else {
                    let key = own.to_owned();
                    return Err(RecipeError::KeyExpired { key });
                };
                let Some(before) = at.checked_sub(1).and_then(|at| keys.get(at)) else {
                    return Ok(true);
                };
                if !is_waiting {
                    return Ok(false);
                }
                let watch = Watch::new(&before.key);
                let watch = match index {
                    Some(index) => watch.from_index(index.saturating_add(1)),
                    None => watch,
                };
                // A refresh of the key before is no event.
                client.open(watch).next().await.transpose().map(drop)
            }
            Err(error) => Err(error),
        };
        match waited {
            Ok(()) => pauses = Pauses::default(),
            Err(error) if is_over(&pauses, &error) => return Err(error.into()),
            Err(_) => pauses.pause(client.transport()).await,
        }
    }
}

/// Waits for an event of the queue after this index.
pub(super) async fn next_event<T: Transport>(
    client: &Client<T>,
    queue: &str,
    index: Option<u64>,
) -> Result<(), Error> {
    let watch = Watch::new(queue).recursive(true);
    let watch = match index {
        Some(index) => watch.from_index(index.saturating_add(1)),
        None => watch,
    };
    client.open(watch).next().await.transpose().map(drop)
}

/// Whether a wait cannot go on. Without the history, the queue is read again.
pub(super) fn is_over(pauses: &Pauses, error: &Error) -> bool {
    !error.is_history_cleared() && pauses.is_final(error)
}
