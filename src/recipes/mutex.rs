use std::time::Duration;

use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        held::{Held, first_of},
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::within,
    },
    v3::{Compare, Key, KeyRange, KeyValue, Put, Txn},
};

/// A lock that one session at a time holds.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::{recipes::{Mutex, Session}, v3::{Put, Txn}};
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
/// let work = async {
///     let held = Mutex::new(&session, "locks/report").lock().await?;
///     // Stops at once when the lock is lost.
///     let report = held.run(async { "42" }).await?;
///     // Not written if the lock was lost unnoticed.
///     let write = Txn::new().when(held.is_held_compare()).then(Put::new("report", report));
///     println!("written: {}", client.send(write).await?.succeeded);
///     held.release().await
/// };
/// session.run(driver, work).await
/// # }
/// ```
///
/// # What is promised
///
/// - **One holder at a time**, as etcd sees it: the one whose key in the queue was created first. Sessions of other
///   processes, tasks of one session, and programs that use Go's `concurrency.Mutex` or etcd's own lock with the same name
///   exclude one another.
/// - **First come, first served**, by the revision that created the key. A waiter waits for the one key before its own, so a
///   release wakes one waiter.
/// - A wait survives lost responses, restarts of servers, halted servers, proxies and compaction. It ends when the session
///   is lost, and then [`RecipeError::SessionLost`] is returned.
/// - A wait that is dropped leaves the queue, by the session's driver.
///
/// # Limits
///
/// No lock in a distributed system is more than advice: its holder may be halted for longer than its lease lives, and go on
/// as if nothing had happened. Guard what the lock protects with [`is_held_compare`](Held::is_held_compare) or a
/// [`fencing_token`](Held::fencing_token).
///
/// A wait that was dropped while its first request was on its way, or whose first response was lost, may leave a key behind
/// that another wait cannot pass. The driver deletes it within 15 s; without a driver, it ends with the session.
///
/// # Layout
///
/// A key `NAME/LEASE` for each holder and waiter, with the lease in hexadecimal and no value, as in Go's `concurrency.Mutex`
/// and as etcd's [`Lock`](crate::v3::Lock).
#[doc(alias = "lock")]
pub struct Mutex<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> Mutex<T> {
    /// The mutex with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Waits for the lock, for as long as the session lives.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`], [`RecipeError::SessionClosed`]; [`RecipeError::KeyDeleted`] if another client deleted the
    /// key of this wait; [`RecipeError::Client`] if etcd refused.
    pub async fn lock(&self) -> Result<Held<T>, RecipeError> {
        let lease = self.session.held().await?;
        let key = join(&self.name, format!("/{}", lease.id()));
        let local = Some(self.session.lock_locally(&lease, &key).await?);
        let queue = self.queue();
        let value = Default::default();
        let placed = Held::put(&self.session, lease, key, value, local, first_of(&queue)).await?;
        placed.wait_turn(&queue).await
    }

    /// Waits for the lock, at most for this long.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock); [`RecipeError::TimedOut`] when the limit has passed: the wait has left the queue, or is
    /// about to.
    pub async fn lock_within(&self, limit: Duration) -> Result<Held<T>, RecipeError> {
        within(self.session.transport(), limit, self.lock()).await
    }

    /// Takes the lock if it is free: if nothing holds it, and nothing waits for it. Otherwise returns `None`, and leaves no
    /// trace.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    pub async fn try_lock(&self) -> Result<Option<Held<T>>, RecipeError> {
        let lease = self.session.held().await?;
        let key = join(&self.name, format!("/{}", lease.id()));
        let lock = self.session.local_lock(&key);
        let Some(guard) = lock.clone().try_lock_owned() else {
            return Ok(None);
        };
        let queue = self.queue();
        let txn = Txn::new()
            .when(Compare::missing(&queue))
            .then(Put::new(&key, "").lease(lease.id()))
            .otherwise(first_of(&queue));
        let mut held = Held::unsure(&self.session, lease, key, Some((lock, guard)));
        let response = held.send(&txn).await?;
        let created = if response.succeeded {
            Some(response.header.revision)
        } else {
            // An earlier attempt of this call may have put it.
            let first = response.range(0).and_then(|first| first.first());
            first
                .filter(|first| first.key == held.key())
                .map(|first| first.create_revision)
        };
        match created {
            Some(created) => {
                held.is_created_by(created);
                Ok(Some(held))
            }
            None => {
                held.is_deleted();
                Ok(None)
            }
        }
    }

    /// Returns the key of the present holder, or `None`.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn holder(&self) -> Result<Option<KeyValue>, RecipeError> {
        let first = first_of(&self.queue());
        Ok(self.session.namespace().send(first).await?.into_first())
    }

    fn queue(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

clone_and_debug!(Mutex { name, session });
