use std::{fmt, pin::pin};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt,
    future::{Either, select},
    lock::OwnedMutexGuard,
};

use crate::{
    recipes::{
        error::RecipeError,
        session::{LocalLock, Release, Session, delete, join},
        wait::{Pauses, fewer, gone, read_since, settle, while_held},
    },
    v3::{
        Compare, HeldLease, KeyRange, KeyValue, LeaseId, Put, Range, SortOrder, SortTarget, Txn,
        TxnResponse, Value,
    },
};

/// Something that a session holds: a mutex, a semaphore's permit, the leadership of an election. Dropping it gives it up.
///
/// It is held while its key exists in etcd. The key has the session's lease.
///
/// A drop gives it up in the background, by the session's driver. [`release`](Self::release) does so at once, and tells
/// whether it worked. A guard keeps its session open.
pub struct Held<T> {
    session: Session<T>,
    lease: HeldLease<T>,
    key: Bytes,
    created: i64,
    /// Taken when it is given up.
    release: Option<Release>,
}

impl<T: Transport> Held<T> {
    /// Returns the key that shows who holds it.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Returns the id of the lease that it is held with.
    pub fn lease(&self) -> LeaseId {
        self.lease.id()
    }

    /// Returns a number that is greater than that of each earlier holder: the revision that created the key.
    ///
    /// Give it along with each write to a store outside etcd. The store has to refuse a write whose token is less than
    /// one that it has seen, in the same atomic step as the write. It is the same number if a session gets the same key
    /// again, because a former release was not applied. A restore of etcd from a backup sets revisions back: start the
    /// store's record of tokens again after one.
    ///
    /// For writes to etcd, compare instead: [`is_held_compare`](Self::is_held_compare).
    pub fn fencing_token(&self) -> i64 {
        self.created
    }

    /// Returns a comparison that holds while this is held, for a transaction that must not be applied otherwise.
    ///
    /// ```
    /// # use etcd_http::{transport::Transport, recipes::{Mutex, RecipeError}};
    /// use etcd_http::v3::{Put, Txn};
    ///
    /// # async fn example<T: Transport>(mutex: &Mutex<T>) -> Result<(), RecipeError> {
    /// let held = mutex.lock().await?;
    /// let write = Txn::new().when(held.is_held_compare()).then(Put::new("report", "done"));
    /// let is_written = held.session().namespace().send(write).await?.succeeded;
    /// # let _ = is_written;
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_held_compare(&self) -> Compare {
        Compare::create_revision(&self.key).equal(self.created)
    }

    /// Returns whether the lease is not lost, by the client's clock. Sends nothing.
    pub fn is_held(&self) -> bool {
        self.lease.is_alive()
    }

    /// Resolves when it is lost: when the lease is lost, when another client has deleted the key, or when the session or the client
    /// is closed.
    ///
    /// The first is reported in time, see [`HeldLease::lost`]. The second takes as long as a watch takes to report it: while no
    /// server responds, it is not noticed.
    pub fn lost(&self) -> impl Future<Output = RecipeError> + Send + 'static + use<T> {
        let lost = self.lease.lost();
        let namespace = self.session.namespace().clone();
        let (key, created) = (self.key.clone(), self.created);
        let is_closed = self.session.closed();
        async move {
            let deleted = async {
                match gone(&namespace, &key, created, created).await {
                    // The end of the session deletes its keys before it is known to have ended.
                    Ok(_) if !is_closed() => RecipeError::KeyDeleted { key: key.clone() },
                    Err(error) if !error.is_closed() => error.into(),
                    Ok(_) | Err(_) => RecipeError::SessionClosed,
                }
            };
            match select(pin!(lost), pin!(deleted)).await {
                Either::Left((loss, _)) => RecipeError::session_over(loss),
                Either::Right((error, lost)) => match lost.now_or_never() {
                    Some(loss) => RecipeError::session_over(loss),
                    None => error,
                },
            }
        }
    }

    /// Does work for as long as this is held: the work is dropped as soon as it is [`lost`](Self::lost).
    ///
    /// # Errors
    /// [`SessionLost`](RecipeError::SessionLost), [`KeyDeleted`](RecipeError::KeyDeleted), or
    /// [`SessionClosed`](RecipeError::SessionClosed) when the program ends in order: the work was dropped, at an `.await` of its
    /// own. What it had sent may still be applied: see [`is_held_compare`](Self::is_held_compare).
    pub async fn run<O>(&self, work: impl Future<Output = O>) -> Result<O, RecipeError> {
        until(self.lost(), work).await
    }

    /// Gives it up: deletes the key. Failures that may pass are retried until the lease is lost.
    ///
    /// # Errors
    /// [`RecipeError::Client`] if etcd refused. The driver tries again, and otherwise the key ends with the lease. It is not
    /// an error if it was lost before.
    pub async fn release(mut self) -> Result<(), RecipeError> {
        let deleted = async {
            let namespace = self.session.namespace();
            Ok(delete(namespace, &self.key, self.created).await?)
        };
        match while_held(&self.lease, deleted).await {
            Ok(()) => {
                self.is_deleted();
                Ok(())
            }
            Err(error) if error.is_session_over() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns the session that holds it.
    pub fn session(&self) -> &Session<T> {
        &self.session
    }

    /// Puts a key with the lease of the session, unless it is there, and reads what `also` reads. The key is given up
    /// if this fails or is dropped.
    pub(super) async fn put(
        session: &Session<T>,
        lease: HeldLease<T>,
        key: Bytes,
        value: Value,
        local: Option<(LocalLock, OwnedMutexGuard<()>)>,
        also: Range,
    ) -> Result<Placed<T>, RecipeError> {
        let mut held = Self::unsure(session, lease, key, local);
        let txn = Txn::new()
            .when(Compare::create_revision(&held.key).equal(0))
            .then(Put::new(&held.key, value).lease(held.lease.id()))
            .then(also.clone())
            .otherwise(Range::new(&held.key))
            .otherwise(also);
        let response = held.send(&txn).await?;
        let own = response.range(0).and_then(|own| own.first()).cloned();
        held.created = match &own {
            Some(own) => own.create_revision,
            None => response.header.revision,
        };
        held.is_created_by(held.created);
        Ok(Placed {
            held,
            own,
            response,
        })
    }

    /// Puts a key of its own below `name` and `kind`, and reads who is first in the queue.
    pub(super) async fn queue_up(
        session: &Session<T>,
        name: &Bytes,
        kind: &str,
        queue: &KeyRange,
    ) -> Result<Placed<T>, RecipeError> {
        let lease = session.held().await?;
        let unique = session.unique(lease.id());
        let key = join(name, format!("{kind}{unique}"));
        let value = Value::default();
        Self::put(session, lease, key, value, None, first_of(queue)).await
    }

    /// A key that may be there soon.
    pub(super) fn unsure(
        session: &Session<T>,
        lease: HeldLease<T>,
        key: Bytes,
        local: Option<(LocalLock, OwnedMutexGuard<()>)>,
    ) -> Self {
        let (lock, guard) = local.unzip();
        let release = Release {
            key: key.clone(),
            lease: lease.id(),
            lost: lease.lost().boxed().shared(),
            created: None,
            value: None,
            in_doubt: true,
            is_deleted: false,
            lock,
            guard,
        };
        Self {
            session: session.clone(),
            lease,
            key,
            created: 0,
            release: Some(release),
        }
    }

    /// Sends a transaction that puts the key, until its outcome is known.
    pub(super) async fn send(&mut self, txn: &Txn) -> Result<TxnResponse, RecipeError> {
        let namespace = self.session.namespace();
        let settled = while_held(&self.lease, async { Ok(settle(namespace, txn).await?) }).await?;
        if let Some(release) = &mut self.release {
            release.in_doubt = settled.in_doubt;
        }
        Ok(settled.output)
    }

    /// Only what is put with this value is given up: the session may put the key again.
    pub(super) fn is_put_with(&mut self, value: Bytes) {
        if let Some(release) = &mut self.release {
            release.value = Some(value);
        }
    }

    pub(super) fn is_created_by(&mut self, created: i64) {
        self.created = created;
        if let Some(release) = &mut self.release {
            release.created = Some(created);
        }
    }

    /// There is nothing to give up any more, unless a put is late.
    pub(super) fn is_deleted(&mut self) {
        match &mut self.release {
            Some(release) if release.in_doubt => {
                release.is_deleted = true;
                release.guard = None;
            }
            _ => self.release = None,
        }
    }

    /// Waits until fewer than `slots` of the keys that were created before this one are left.
    pub(super) async fn wait_turn(
        &self,
        queue: &KeyRange,
        slots: usize,
    ) -> Result<(), RecipeError> {
        let namespace = self.session.namespace();
        // With one slot, only the last key before this one matters.
        let limit = if slots == 1 { 1 } else { 0 };
        let ahead = Range::new(queue)
            .keys_only(true)
            .max_create_revision(self.created.saturating_sub(1))
            .sort(SortTarget::Create, SortOrder::Descend)
            .limit(limit);
        let both = |serializable| {
            let own = Range::new(&self.key).serializable(serializable);
            let ahead = ahead.clone().serializable(serializable);
            Txn::new().then(own).then(ahead)
        };
        let work = async {
            let mut changed = None;
            let mut pauses = Pauses::default();
            loop {
                let read = read_since(namespace, both, changed).await?;
                let own = read.range(0).and_then(|own| own.first());
                if own.is_none_or(|own| own.create_revision != self.created) {
                    return Err(self.session.key_deleted(self.key.clone()));
                }
                let ahead = read.range(1).map_or(&[][..], |ahead| &ahead.kvs);
                if ahead.len() < slots {
                    return Ok(());
                }
                let revision = read.header.revision;
                changed = match ahead {
                    [last] if slots == 1 => {
                        gone(namespace, &last.key, last.create_revision, revision).await?
                    }
                    _ => {
                        let keys = ahead.iter().map(|kv| kv.key.clone());
                        fewer(namespace, queue, keys, slots, revision, &pauses).await?
                    }
                };
                match changed {
                    Some(_) => pauses = Pauses::default(),
                    None => pauses.pause(namespace.client().transport()).await,
                }
            }
        };
        while_held(&self.lease, work).await?;
        // It may have been lost while nothing was polled.
        if self.lease.is_alive() {
            Ok(())
        } else {
            Err(RecipeError::session_over(self.lease.lost().await))
        }
    }

    pub(super) fn held_lease(&self) -> &HeldLease<T> {
        &self.lease
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            self.session.release(release);
        }
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("key", &self.key)
            .field("fencing_token", &self.created)
            .finish_non_exhaustive()
    }
}

/// A key that is in its place.
pub(super) struct Placed<T> {
    pub(super) held: Held<T>,
    /// The key as it was, if it was there before.
    pub(super) own: Option<KeyValue>,
    pub(super) response: TxnResponse,
}

impl<T: Transport> Placed<T> {
    /// Waits for this key's turn in the queue, whose first key was read.
    pub(super) async fn wait_turn(self, queue: &KeyRange) -> Result<Held<T>, RecipeError> {
        let Self { held, response, .. } = self;
        let first = response.range(1).and_then(|first| first.first());
        // As read before the put, the queue may have no key.
        let is_first = first.is_none_or(|first| first.create_revision >= held.created);
        if !(is_first && held.is_held()) {
            held.wait_turn(queue, 1).await?;
        }
        Ok(held)
    }
}

/// Reads the first of the keys that wait.
pub(super) fn first_of(queue: &KeyRange) -> Range {
    Range::new(queue)
        .sort(SortTarget::Create, SortOrder::Ascend)
        .limit(1)
}

/// Does work until it is lost.
pub(super) async fn until<O>(
    lost: impl Future<Output = RecipeError>,
    work: impl Future<Output = O>,
) -> Result<O, RecipeError> {
    // Loss comes first: after a pause of the whole program, nothing more is done.
    match select(pin!(lost), pin!(work)).await {
        Either::Left((loss, _)) => Err(loss),
        Either::Right((output, _)) => Ok(output),
    }
}
