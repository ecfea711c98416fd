use std::{convert::Infallible, pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::{Either, select};

use super::kept::{Kept, files};
use crate::{
    client::Client,
    recipes::{error::RecipeError, traits::clone_and_debug},
    v2::{Node, Set},
};

/// The instances of a service that are alive, over the v2 API.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::v2::Registry;
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>, serve: impl Future) -> Result<(), RecipeError> {
/// let registry = Registry::new(client, "/services/web", Duration::from_secs(30));
/// registry.run_registered("web-7", "http://10.0.0.7:8080", serve).await?;
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// An instance is listed while [`register`](Self::register) is polled and etcd can be reached. It is registered again after its
/// key was deleted or has expired. It leaves when its work is done, and after the time to live when its process dies.
///
/// # Limits
///
/// Those of [all recipes for v2](super#limits-of-all-of-them). An instance that is listed may have died within its time to live,
/// and one that is not may be alive without etcd. Of two that register with the same name, the last is listed: the first notices
/// at its next refresh, and its registration ends. A request to register that arrives late counts as another's; one that arrives
/// after the end lists the instance until its time to live has passed.
///
/// # Layout
///
/// A key `NAME/INSTANCE` for each instance, with its data and a time to live. To follow them, use
/// [`watch_resyncing`](crate::v2::V2::watch_resyncing) on the directory: a refresh is no event.
pub struct Registry<T> {
    name: String,
    client: Client<T>,
    ttl: Duration,
}

impl<T: Transport> Registry<T> {
    /// The registry with this name, which is a directory. The time to live is in whole seconds. Nothing is sent.
    pub fn new(client: &Client<T>, name: impl AsRef<str>, ttl: Duration) -> Self {
        Self {
            client: client.clone(),
            name: name.as_ref().to_owned(),
            ttl,
        }
    }

    /// Registers an instance, and keeps it registered for as long as the future is polled: it returns only with an error.
    ///
    /// Dropping the future leaves the instance listed until its time to live has passed.
    ///
    /// # Errors
    /// [`RecipeError::AlreadyHeld`] if another client has registered an instance with this name since;
    /// [`RecipeError::Client`] if etcd refused.
    pub async fn register(
        &self,
        instance: impl AsRef<str>,
        data: impl AsRef<str>,
    ) -> Result<Infallible, RecipeError> {
        let mut kept = self.put(instance.as_ref(), data.as_ref()).await?;
        self.keep(&mut kept, instance.as_ref(), data.as_ref()).await
    }

    /// Does work with an instance [registered](Self::register), removes it, and returns what the work returns.
    ///
    /// # Errors
    /// As for [`register`](Self::register): the work is dropped.
    pub async fn run_registered<O>(
        &self,
        instance: impl AsRef<str>,
        data: impl AsRef<str>,
        work: impl Future<Output = O>,
    ) -> Result<O, RecipeError> {
        let (instance, data) = (instance.as_ref(), data.as_ref());
        let mut kept = self.put(instance, data).await?;
        let keep = Box::pin(self.keep(&mut kept, instance, data));
        let output = match select(keep, pin!(work)).await {
            Either::Left((Err(error), _)) => return Err(error),
            Either::Left((Ok(never), _)) => match never {},
            Either::Right((output, _)) => output,
        };
        kept.delete().await;
        Ok(output)
    }

    /// Returns the instances that are registered: keys with their data, in order.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn instances(&self) -> Result<Vec<Node>, RecipeError> {
        Ok(files(&self.client, &self.name).await?.0)
    }

    async fn put(&self, instance: &str, data: &str) -> Result<Kept<T>, RecipeError> {
        let key = format!("{}/{instance}", self.name);
        let set = Set::new(key, data).ttl(self.ttl);
        Kept::write(&self.client, &set, self.ttl).await
    }

    async fn keep(
        &self,
        kept: &mut Kept<T>,
        instance: &str,
        data: &str,
    ) -> Result<Infallible, RecipeError> {
        loop {
            match kept.keep().await {
                RecipeError::KeyExpired { .. } => *kept = self.put(instance, data).await?,
                error => {
                    kept.delete_if_closed(&error).await;
                    return Err(error);
                }
            }
        }
    }
}

clone_and_debug!(Registry { name, client, ttl });
