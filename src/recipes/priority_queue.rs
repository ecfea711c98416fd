use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        claim::{Claim, Claims},
        error::RecipeError,
        queue::{pop, try_pop},
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::{settle, while_held},
    },
    v3::{Compare, Key, KeyRange, KeyValue, Put, Range, SortOrder, SortTarget, Txn, Value},
};

/// A queue of items with priorities, each of which one consumer takes.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{PriorityQueue, RecipeError, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let jobs = PriorityQueue::new(session, "jobs");
/// jobs.push("later", 20).await?;
/// jobs.push("first", 10).await?;
/// assert_eq!(jobs.pop().await?.value, "first");
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// What a [`Queue`](super::Queue) promises, in the order of priorities: the lowest number first. Items of one priority are first
/// in, first out. Programs that use Go's `recipe.PriorityQueue` with the same name take part.
///
/// # Limits
///
/// Those of a [`Queue`](super::Queue). Pushes of one priority compete: each takes a turn, so many at a time are slow.
///
/// # Layout
///
/// A key `NAME/PRIORITY/NUMBER` for each item, in five and sixteen digits, and `__NAME/PRIORITY` for each priority that was
/// used.
pub struct PriorityQueue<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> PriorityQueue<T> {
    /// The queue with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Adds an item at the end of its priority. Returns its revision.
    ///
    /// # Errors
    /// As for [`Queue::push`](super::Queue::push); [`RecipeError::UnexpectedValue`] if the last key of this priority has no
    /// number.
    pub async fn push(&self, value: impl Into<Value>, priority: u16) -> Result<i64, RecipeError> {
        let value = value.into();
        let prefix = join(&self.name, format!("/{priority:05}"));
        // Written by each push: of two that found the same last item, one is applied.
        let turn = [b"__", &*prefix].concat();
        let last = Range::new(KeyRange::prefix(join(&prefix, "/")))
            .keys_only(true)
            .sort(SortTarget::Key, SortOrder::Descend)
            .limit(1);
        loop {
            let lease = self.session.held().await?;
            let read = async { Ok(settle(self.session.namespace(), &last).await?) };
            let read = while_held(&lease, read).await?.output;
            let number = match read.first() {
                Some(last) => number(&last.key)?.saturating_add(1),
                None => 0,
            };
            let key = join(&prefix, format!("/{number:0DIGITS$}"));
            let txn = Txn::new()
                .when(Compare::mod_revision(&turn).less(read.header.revision.saturating_add(1)))
                .then(Put::new(&turn, ""))
                .then(Put::new(key, value.clone()));
            // If it is not applied, another one was: all of them together always go on.
            if let Some(revision) = self.session.once(txn).await?.revision {
                return Ok(revision);
            }
        }
    }

    /// Takes the first item, and waits for one if there is none.
    ///
    /// # Errors
    /// As for [`Queue::pop`](super::Queue::pop).
    pub async fn pop(&self) -> Result<KeyValue, RecipeError> {
        pop(&self.session, &self.items(), SortTarget::Key).await
    }

    /// Takes the first item, if there is one.
    ///
    /// # Errors
    /// As for [`pop`](Self::pop).
    pub async fn try_pop(&self) -> Result<Option<KeyValue>, RecipeError> {
        let popped = try_pop(&self.session, &self.items(), SortTarget::Key).await?;
        Ok(popped.ok())
    }

    /// Claims the first item for this session, and waits for one if there is none. The item is kept until it is
    /// [acknowledged](Claim::ack): if the session ends before, another consumer gets it.
    ///
    /// # Errors
    /// As for [`Queue::claim`](super::Queue::claim).
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

    fn claims(&self) -> Claims {
        Claims::new(&self.name, SortTarget::Key)
    }

    fn items(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

/// How many digits the number of an item has, as in Go's recipe.
const DIGITS: usize = 16;

/// Reads the number at the end of a key.
fn number(key: &Bytes) -> Result<u64, RecipeError> {
    let last = key.rsplit(|byte| *byte == b'/').next();
    // The last number is the last key, as all have as many digits.
    let last = last.filter(|last| last.len() == DIGITS);
    let number = last.and_then(|last| str::from_utf8(last).ok()?.parse().ok());
    number.ok_or_else(|| RecipeError::UnexpectedValue {
        key: key.clone(),
        expected: "a key that ends in a number of 16 digits",
    })
}

clone_and_debug!(PriorityQueue { name, session });
