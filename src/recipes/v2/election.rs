use std::time::Duration;

use etcd_transport::Transport;

use super::queue::{Held, first, in_turn};
use crate::{
    client::Client,
    recipes::{error::RecipeError, traits::clone_and_debug},
    v2::Node,
};

/// An election over the v2 API, in which one client at a time leads, with a value that the others can read.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::v2::Election;
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let election = Election::new(client, "/scheduler", Duration::from_secs(10));
/// election.run_while_leader("10.0.0.7:8080", async |leadership| {
///     println!("leads, with token {}", leadership.fencing_token());
/// }).await
/// # }
/// ```
///
/// # What is promised
///
/// What a [`Mutex`](super::Mutex) promises: one leader at a time, as etcd sees it, and work that ends when leadership is lost.
///
/// # Limits
///
/// Those of [all recipes for v2](super#limits-of-all-of-them). The value does not change while a client leads. There may be no
/// leader for as long as the time to live of the last one's key.
///
/// # Layout
///
/// An in-order key in the directory `NAME` for each candidate, with a time to live. To follow who leads, use
/// [`watch_resyncing`](crate::v2::V2::watch_resyncing) on the directory.
pub struct Election<T> {
    name: String,
    client: Client<T>,
    ttl: Duration,
}

impl<T: Transport> Election<T> {
    /// The election with this name, which is a directory. The time to live is in whole seconds. Nothing is sent.
    pub fn new(client: &Client<T>, name: impl AsRef<str>, ttl: Duration) -> Self {
        Self {
            client: client.clone(),
            name: name.as_ref().to_owned(),
            ttl,
        }
    }

    /// Waits to be elected, does work while it leads, and resigns. Returns what the work returns.
    ///
    /// # Errors
    /// As for [`Mutex::run`](super::Mutex::run).
    pub async fn run_while_leader<O>(
        &self,
        value: impl AsRef<str>,
        work: impl AsyncFnOnce(&Held) -> O,
    ) -> Result<O, RecipeError> {
        in_turn(&self.client, &self.name, value.as_ref(), self.ttl, work).await
    }

    /// Returns the key of the present leader, with its value, or `None`.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn leader(&self) -> Result<Option<Node>, RecipeError> {
        first(&self.client, &self.name).await
    }
}

clone_and_debug!(Election { name, client, ttl });
