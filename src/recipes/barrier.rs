use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        session::{Session, name},
        traits::clone_and_debug,
        wait::{gone, settle, while_held},
    },
    v3::{Compare, DeleteRange, Key, Put, Range, Txn},
};

/// A barrier that one client holds, until it lets all who wait at it pass.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{Barrier, RecipeError, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let migration = Barrier::new(session, "barriers/migration");
/// migration.hold().await?;
/// // In other processes: `migration.wait().await?`.
/// migration.release().await
/// # }
/// ```
///
/// # What is promised
///
/// - [`wait`](Self::wait) returns when the barrier is not held. [`hold`](Self::hold) and [`release`](Self::release) are
///   each applied once, whatever responses are lost. Programs that use Go's `recipe.Barrier` with the same name take part.
///
/// # Limits
///
/// The barrier has no lease: it survives its holder, and any client can release it. A wait may miss that a barrier was
/// released and held again, if both happen during an outage.
///
/// # Layout
///
/// A key `NAME` without a value.
pub struct Barrier<T> {
    session: Session<T>,
    key: Bytes,
}

impl<T: Transport> Barrier<T> {
    /// The barrier with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            key: self::name(name),
        }
    }

    /// Holds the barrier.
    ///
    /// # Errors
    /// [`RecipeError::AlreadyHeld`]; [`RecipeError::SessionLost`] (it may be held then); [`RecipeError::Client`].
    pub async fn hold(&self) -> Result<(), RecipeError> {
        let hold = Txn::new()
            .when(Compare::missing(&self.key))
            .then(Put::new(&self.key, ""));
        match self.session.once(hold).await?.revision {
            Some(_) => Ok(()),
            None => Err(RecipeError::AlreadyHeld),
        }
    }

    /// Lets all who wait pass. Does nothing if the barrier is not held.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`] (it may be released then); [`RecipeError::Client`].
    pub async fn release(&self) -> Result<(), RecipeError> {
        let release = Txn::new().then(DeleteRange::new(&self.key));
        self.session.once(release).await.map(drop)
    }

    /// Waits until the barrier is not held.
    ///
    /// # Errors
    /// [`RecipeError::SessionLost`], [`RecipeError::Client`].
    pub async fn wait(&self) -> Result<(), RecipeError> {
        let lease = self.session.held().await?;
        let namespace = self.session.namespace();
        let wait = async {
            let read = settle(namespace, &Range::new(&self.key)).await?.output;
            if let Some(held) = read.first() {
                let (created, revision) = (held.create_revision, read.header.revision);
                gone(namespace, &self.key, created, revision).await?;
            }
            Ok(())
        };
        while_held(&lease, wait).await
    }
}

clone_and_debug!(Barrier { key, session });
