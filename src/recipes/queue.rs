use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        claim::{Claim, Claims},
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
/// // Or, if it must be done though its consumer dies:
/// let job = jobs.claim().await?;
/// println!("{:?}, for the {}th time", job.value(), job.attempts());
/// job.ack().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Pop, or claim
///
/// | | [`pop`](Self::pop) | [`claim`](Self::claim) and [`ack`](Claim::ack) |
/// |---|---|---|
/// | an item is delivered | at most once | at least once |
/// | its consumer dies | it is lost | another consumer gets it, when the session's time to live has passed |
/// | Go's `recipe.Queue` | takes part | does not see what is claimed |
///
/// All consumers of a queue do the same: a pop does not take what was claimed and given back.
///
/// # What is promised
///
/// - **Each item is taken once**, and none is lost or doubled by lost responses, late requests, restarts or outages: a push,
///   a pop and an acknowledgment that return `Ok` are applied exactly once.
/// - **One consumer at a time has claimed an item**, as etcd sees it, and one acknowledgment of it succeeds. An item that was
///   not acknowledged is claimed again.
/// - **First in, first out**, by the revision that wrote the item; what was claimed before and given back comes first. Programs that
///   use Go's `recipe.Queue` with the same name take part.
///
/// # Limits
///
/// - A pop takes the item out. **A consumer that dies after that loses it**: at most once, as in Go. So does a
///   [`pop`](Self::pop) whose future is dropped while its request is on its way, and one that fails because the session is
///   lost. An item that must be done has to be [claimed](Self::claim).
/// - A claim is as good as a [`Mutex`](super::Mutex): a consumer that was halted may still work on an item that another one has
///   claimed since. Guard what it writes with [`is_held_compare`](super::Held::is_held_compare), or make it harmless to do twice.
/// - A push whose session is lost meanwhile may have been applied.
/// - All consumers that wait are woken by a push, and compete.
///
/// # Layout
///
/// A key `NAME/…` for each item, with its value. What is claimed is at `__claimed/NAME/…`, and `__claims/NAME/…` shows who works
/// on it, with the lease of its session. What makes a push and a pop exact is in keys `__receipts/…` of the session's
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
        let put = Txn::new().then(Put::new(&key, value));
        let applied = self.session.once(put).await?;
        // Without comparisons, it is always applied.
        applied
            .revision
            .ok_or_else(|| self.session.key_deleted(key))
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

    /// Claims the first item for this session, and waits for one if there is none. The item is kept until it is
    /// [acknowledged](Claim::ack): if the session ends before, another consumer gets it.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`], [`RecipeError::Client`]. No item is lost.
    pub async fn claim(&self) -> Result<Claim<T>, RecipeError> {
        self.claims().claim(&self.session).await
    }

    /// Claims the first item, if there is one.
    ///
    /// # Errors
    /// As for [`claim`](Self::claim).
    pub async fn try_claim(&self) -> Result<Option<Claim<T>>, RecipeError> {
        let claimed = self.claims().try_claim(&self.session).await?;
        Ok(claimed.ok())
    }

    /// Returns the number of items that are not claimed.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn count(&self) -> Result<i64, RecipeError> {
        let namespace = self.session.namespace();
        Ok(namespace.kv().count(self.items()).await?)
    }

    fn claims(&self) -> Claims {
        Claims::new(&self.name, SortTarget::Mod)
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
        if while_held(&lease, wait).await?.is_some() {
            pauses = Pauses::default();
        } else {
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
