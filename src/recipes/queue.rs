use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::{Pauses, next_change, settle, while_held},
    },
    v3::{
        Compare, DeleteRange, Key, KeyRange, KeyValue, Put, Range, SortOrder, SortTarget, Txn,
        Value, Watch,
    },
};

/// A queue of items, each of which one consumer takes.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{Queue, RecipeError, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let jobs = Queue::new(session, "jobs");
/// jobs.push("resize 17.png").await?;
/// let job = jobs.pop().await?; // Waits for one.
/// println!("{:?}", job.value);
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - **Each item is taken once**, and none is lost or doubled by lost responses, late requests, restarts or outages: a push
///   and a pop that return `Ok` are applied exactly once.
/// - **First in, first out**, by the revision that wrote the item. Programs that use Go's `recipe.Queue` with the same name
///   take part.
///
/// # Limits
///
/// - A pop takes the item out. **A consumer that dies after that loses it**: at most once, as in Go. So does a
///   [`pop`](Self::pop) whose future is dropped while its request is on its way, and one that fails because the session is
///   lost. An item that must be done is better kept as a key, with a [`Mutex`](super::Mutex) for the one who works on it.
/// - A push whose session is lost meanwhile may have been applied.
/// - All consumers that wait are woken by a push, and compete.
///
/// # Layout
///
/// A key `NAME/…` for each item, with its value. What makes a push and a pop exact is in keys `__receipts/…` of the session's
/// namespace, which end with the session.
pub struct Queue<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> Queue<T> {
    /// The queue with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Adds an item at the end. Returns its revision.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`]: the item may be in the queue. [`RecipeError::Client`], whose
    /// [outcome](crate::Error::outcome) tells.
    pub async fn push(&self, value: impl Into<Value>) -> Result<i64, RecipeError> {
        let unique = self.session.unique(self.session.lease());
        let key = join(&self.name, format!("/{unique}"));
        let put = Txn::new().then(Put::new(key, value));
        let applied = self.session.once(put).await?;
        // Without comparisons, it is always applied.
        Ok(applied.revision.unwrap_or_default())
    }

    /// Takes the first item, and waits for one if there is none.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`], [`RecipeError::Client`]: an item may have been taken, see [Limits](Self#limits).
    pub async fn pop(&self) -> Result<KeyValue, RecipeError> {
        pop(&self.session, &self.items(), SortTarget::Mod).await
    }

    /// Takes the first item, if there is one.
    ///
    /// # Errors
    /// As for [`pop`](Self::pop).
    pub async fn try_pop(&self) -> Result<Option<KeyValue>, RecipeError> {
        let popped = try_pop(&self.session, &self.items(), SortTarget::Mod).await?;
        Ok(popped.ok())
    }

    /// Returns the number of items.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn count(&self) -> Result<i64, RecipeError> {
        let namespace = self.session.namespace();
        Ok(namespace.kv().count(self.items()).await?)
    }

    fn items(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

/// Takes the first of these keys, and waits for one if there is none.
pub(super) async fn pop<T: Transport>(
    session: &Session<T>,
    items: &KeyRange,
    order: SortTarget,
) -> Result<KeyValue, RecipeError> {
    let namespace = session.namespace();
    let mut pauses = Pauses::default();
    loop {
        let revision = match try_pop(session, items, order).await? {
            Ok(item) => return Ok(item),
            Err(revision) => revision,
        };
        let lease = session.held().await?;
        let puts = Watch::new(items).without_deletes();
        let wait = async { Ok(next_change(namespace, puts, revision, &pauses).await?) };
        if !while_held(&lease, wait).await? {
            pauses.pause(namespace.client().transport()).await;
        }
    }
}

/// Takes the first of these keys. Returns the revision at which there was none.
pub(super) async fn try_pop<T: Transport>(
    session: &Session<T>,
    items: &KeyRange,
    order: SortTarget,
) -> Result<Result<KeyValue, i64>, RecipeError> {
    let first = Range::new(items).sort(order, SortOrder::Ascend).limit(1);
    loop {
        let lease = session.held().await?;
        let read = async { Ok(settle(session.namespace(), &first).await?) };
        let read = while_held(&lease, read).await?.output;
        let revision = read.header.revision;
        let Some(item) = read.into_first() else {
            return Ok(Err(revision));
        };
        let take = Txn::new()
            .when(Compare::mod_revision(&item.key).equal(item.mod_revision))
            .then(DeleteRange::new(&item.key));
        if session.once(take).await?.revision.is_some() {
            return Ok(Ok(item));
        }
    }
}

clone_and_debug!(Queue { name, session });
