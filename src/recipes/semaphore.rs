use std::{num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        held::Held,
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::within,
    },
    v3::{Key, KeyRange},
};

/// A number of permits, each of which one task at a time holds.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{RecipeError, Semaphore, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let three = 3.try_into().expect("not zero");
/// let downloads = Semaphore::new(session, "limits/downloads", three);
/// let permit = downloads.acquire().await?;
/// println!("one of three: {:?}", permit.key());
/// permit.release().await
/// # }
/// ```
///
/// # What is promised
///
/// - **At most this many holders at a time**, as etcd sees it, of all sessions that use the same number.
/// - **First come, first served.** What a [`Mutex`](super::Mutex) promises of its waits.
///
/// # Limits
///
/// Those of a [`Mutex`](super::Mutex). Tokens rise from permit to permit, but several are valid at a time: a store cannot fence
/// by the greatest one. Clients have to agree on the number: the queue is in etcd, the number is not. Each waiter
/// watches the queue: a release is an event for each of them, and a request of one.
///
/// # Layout
///
/// A key `NAME/…` for each holder and waiter, without a value. Go's packages have no semaphore.
pub struct Semaphore<T> {
    session: Session<T>,
    name: Bytes,
    permits: NonZeroUsize,
}

impl<T: Transport> Semaphore<T> {
    /// The semaphore with this name and this number of permits. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>, permits: NonZeroUsize) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
            permits,
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// As for [`Mutex::lock`](super::Mutex::lock).
    pub async fn acquire(&self) -> Result<Held<T>, RecipeError> {
        let queue = KeyRange::prefix(join(&self.name, "/"));
        let placed = Held::queue_up(&self.session, &self.name, "/", &queue).await?;
        placed.held.wait_turn(&queue, self.permits.get()).await?;
        Ok(placed.held)
    }

    /// Waits for a permit, at most for this long.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire), and [`RecipeError::TimedOut`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<Held<T>, RecipeError> {
        within(self.session.transport(), limit, self.acquire()).await
    }
}

clone_and_debug!(Semaphore {
    name,
    session,
    permits
});
