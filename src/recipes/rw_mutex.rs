use std::time::Duration;

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

/// A lock that either one writer or any number of readers hold.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{RecipeError, RwMutex, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let config = RwMutex::new(session, "locks/config");
/// let reader = config.read().await?;
/// let another = config.read().await?;
/// drop((reader, another));
/// let writer = config.write().await?;
/// println!("{}", writer.fencing_token());
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - **A writer is alone**; readers hold it together. Programs that use Go's `recipe.RWMutex` with the same name take part.
/// - **First come, first served**: a reader waits for the writers before it, a writer for everything before it. So neither
///   starves the other.
/// - What a [`Mutex`](super::Mutex) promises of its waits.
///
/// # Limits
///
/// Those of a [`Mutex`](super::Mutex). A task that holds a reader and waits for a writer waits for itself, forever. A reader
/// wakes whenever the last writer before it is gone, one at a time.
///
/// # Layout
///
/// A key `NAME/read/…` or `NAME/write/…` for each holder and waiter, without a value.
#[doc(alias = "lock")]
#[doc(alias = "rwlock")]
pub struct RwMutex<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> RwMutex<T> {
    /// The lock with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Waits until no writer holds it or waits before this reader.
    ///
    /// # Errors
    /// As for [`Mutex::lock`](super::Mutex::lock).
    pub async fn read(&self) -> Result<Held<T>, RecipeError> {
        self.wait("/read/", "/write/").await
    }

    /// Waits until nothing holds it or waits before this writer.
    ///
    /// # Errors
    /// As for [`Mutex::lock`](super::Mutex::lock).
    pub async fn write(&self) -> Result<Held<T>, RecipeError> {
        self.wait("/write/", "/").await
    }

    /// Waits as [`read`](Self::read), at most for this long.
    ///
    /// # Errors
    /// As for [`read`](Self::read), and [`RecipeError::TimedOut`].
    pub async fn read_within(&self, limit: Duration) -> Result<Held<T>, RecipeError> {
        within(self.session.transport(), limit, self.read()).await
    }

    /// Waits as [`write`](Self::write), at most for this long.
    ///
    /// # Errors
    /// As for [`write`](Self::write), and [`RecipeError::TimedOut`].
    pub async fn write_within(&self, limit: Duration) -> Result<Held<T>, RecipeError> {
        within(self.session.transport(), limit, self.write()).await
    }

    /// Puts a key of this kind, and waits until no key before it is in the way.
    async fn wait(&self, kind: &str, in_the_way: &str) -> Result<Held<T>, RecipeError> {
        let queue = KeyRange::prefix(join(&self.name, in_the_way));
        let placed = Held::queue_up(&self.session, &self.name, kind, &queue).await?;
        placed.wait_turn(&queue).await
    }
}

clone_and_debug!(RwMutex { name, session });
