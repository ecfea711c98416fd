use std::pin::pin;

use bytes::Bytes;
use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    recipes::{
        error::RecipeError,
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::{Pauses, next_change, settle, while_held},
    },
    v3::{Key, KeyRange, KeyValue, Mirror, Put, Range, Value, Watch},
};

/// The instances of a service that are alive.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::{Registry, Session};
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>, serve: impl Future) -> Result<(), RecipeError> {
/// let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
/// let registry = Registry::new(&session, "services/web");
/// let work = registry.run_registered("web-7", "http://10.0.0.7:8080", serve);
/// session.run(driver, work).await?;
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - An instance is in the registry while [`register`](Self::register) is polled and its session is alive. It is registered
///   again after the loss of the session, and after its key was deleted.
/// - It leaves at once when the session is closed, and after the time to live when its process dies.
/// - [`follow`](Self::follow) delivers who is there, complete and in order, over outages and compaction.
///
/// # Limits
///
/// An instance that is listed may have died within its time to live, and one that is not may be alive without etcd. Of two that
/// register with the same name, the last is listed: the first notices, and its registration ends.
///
/// # Layout
///
/// A key `NAME/INSTANCE` for each instance, with its data, and with the lease of its session.
#[doc(alias = "service discovery")]
pub struct Registry<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> Registry<T> {
    /// The registry with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Registers an instance, and keeps it registered for as long as the future is polled: it returns only with an error.
    ///
    /// Dropping the future leaves the instance registered until the session ends.
    ///
    /// # Errors
    /// [`RecipeError::SessionClosed`]; [`RecipeError::AlreadyHeld`] if another session has registered an instance with this name
    /// since; [`RecipeError::Client`] if etcd refused, or if the session was lost, and could not be
    /// [reestablished](Session::reestablish).
    pub async fn register(
        &self,
        instance: impl AsRef<[u8]>,
        data: impl Into<Value>,
    ) -> Result<std::convert::Infallible, RecipeError> {
        let key = join(&join(&self.name, "/"), instance);
        let data = data.into();
        loop {
            match self.keep(&key, &data).await {
                Ok(()) => {}
                Err(RecipeError::SessionLost(_)) => self.session.reestablish().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Does work with an instance [registered](Self::register), and returns what the work returns. The instance stays registered
    /// until the session ends.
    ///
    /// # Errors
    /// As for [`register`](Self::register): the work is dropped.
    pub async fn run_registered<O>(
        &self,
        instance: impl AsRef<[u8]>,
        data: impl Into<Value>,
        work: impl Future<Output = O>,
    ) -> Result<O, RecipeError> {
        let registered = Box::pin(self.register(instance, data));
        match select(registered, pin!(work)).await {
            Either::Left((Err(error), _)) => Err(error),
            Either::Left((Ok(never), _)) => match never {},
            Either::Right((output, _)) => Ok(output),
        }
    }

    /// Returns the instances that are registered: keys with their data.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn instances(&self) -> Result<Vec<KeyValue>, RecipeError> {
        Ok(self.session.namespace().kv().range(self.range()).await?.kvs)
    }

    /// Follows the instances that are registered: a copy in memory that is read without a request.
    pub fn follow(&self) -> Mirror<T> {
        self.session.namespace().mirror(self.range())
    }

    /// Registers, and returns when the key was deleted.
    async fn keep(&self, key: &Bytes, data: &Value) -> Result<(), RecipeError> {
        let lease = self.session.held().await?;
        let namespace = self.session.namespace();
        // A repetition puts the same value. One that is late, and whose lease has ended, is refused.
        let put = Put::new(key, data.clone()).lease(lease.id());
        let keep = async {
            let mut revision = settle(namespace, &put).await?.output.header.revision;
            let mut pauses = Pauses::default();
            loop {
                let changed = next_change(namespace, Watch::new(key), revision, &pauses).await?;
                if changed.is_some() {
                    pauses = Pauses::default();
                }
                let read = settle(namespace, &Range::new(key)).await?.output;
                match read.first() {
                    None => return Ok(()),
                    Some(kv) if kv.lease != lease.id() => return Err(RecipeError::AlreadyHeld),
                    Some(_) => revision = read.header.revision,
                }
                pauses.pause(namespace.client().transport()).await;
            }
        };
        while_held(&lease, keep).await
    }

    fn range(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

clone_and_debug!(Registry { name, session });
