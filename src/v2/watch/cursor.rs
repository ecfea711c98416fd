use etcd_transport::Transport;
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    error::{Error, ErrorContext, Outcome, Result, UnexpectedKind, UnexpectedResponse},
    operation::StreamOperation,
    pipeline::exchange::TypedExchange,
    v2::{
        keys::Exists,
        watch::{
            event::{Action, ClusterInfo, Event},
            request::Watch,
            watcher::{Probe, Watcher, after},
        },
    },
};

/// Where a watch has come to: to be stored, and to go on from after a restart of the program, by
/// [`Watch::from_cursor`](super::Watch::from_cursor).
///
/// ```
/// # use etcd_http::{Client, Error};
/// use etcd_http::v2::{Watch, WatchCursor};
/// use futures::StreamExt;
///
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// let set = client.v2().set("/color", "blue").await?;
/// let stored = WatchCursor::after(&set).and_then(|it| serde_json::to_string(&it).ok());
/// # client.v2().set("/color", "red").await?;
///
/// // In another process.
/// let cursor: WatchCursor = serde_json::from_str(&stored.unwrap()).unwrap();
/// let mut events = client.open(Watch::new("/color").from_cursor(cursor));
/// let event = events.next().await.unwrap()?;
/// assert_eq!(event.node.value.as_deref(), Some("red"));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchCursor {
    cluster_id: String,
    raft_term: u64,
    index: u64,
}

impl WatchCursor {
    /// The cursor after this event of a watch, or after everything that this response to a read reflects. `None` if the response
    /// had no headers of etcd: a proxy removes them.
    pub fn after(event: &Event) -> Option<Self> {
        let cluster = &event.cluster;
        // That of an event is its own; a read reflects everything up to the store's.
        let index = if event.action == Action::Get {
            cluster.etcd_index?
        } else {
            event.index()
        };
        Some(Self {
            cluster_id: cluster.cluster_id.clone()?,
            raft_term: cluster.raft_term.unwrap_or(0),
            index,
        })
    }

    /// Returns the id of the cluster, in hexadecimal.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Returns the index: everything up to it has been delivered.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns why a store that a majority describes so does not go on from here.
    fn mismatch(&self, now: &ClusterInfo) -> Option<String> {
        let Self {
            cluster_id,
            raft_term,
            index,
        } = self;
        if let Some(now) = now.cluster_id.as_ref().filter(|now| *now != cluster_id) {
            return Some(format!(
                "the cursor is of cluster {cluster_id}, and this is cluster {now}"
            ));
        }
        // A response about a key that does not exist does not tell it.
        if let Some(now) = now.raft_term.filter(|now| now < raft_term) {
            return Some(format!(
                "the raft term is {now}, and was {raft_term} at the cursor: the cluster's data were lost or restored"
            ));
        }
        let now = now.etcd_index.filter(|now| now < index)?;
        Some(format!(
            "the store's index is {now}, and was {index} at the cursor: the cluster's data were lost or restored"
        ))
    }
}

impl<T: Transport> Watcher<T> {
    /// Compares the store with the cursor that the watch begins at, as a majority sees it. Does so again after a failure that
    /// another attempt may resolve.
    pub(super) async fn verify(&mut self, cursor: &WatchCursor) -> Result<()> {
        loop {
            let asked = self.client.transport().now();
            match ask_majority(&self.client, &self.watch.key).await {
                Ok((cluster, context)) => {
                    let Some(mismatch) = cursor.mismatch(&cluster) else {
                        return Ok(());
                    };
                    let error = UnexpectedResponse::of(context, mismatch, Outcome::Unknown);
                    return Err(Error::Unexpected(
                        error.with_kind(UnexpectedKind::ClusterChanged),
                    ));
                }
                Err(error) => self.survive_call(asked, error).await?,
            }
        }
    }

    /// Handles a member that stays behind what the watch goes on from: either it lags behind a majority, as one does that is cut
    /// off, and another one is asked from now on, or the store has gone back.
    pub(super) async fn stays_behind(&mut self, next: u64, late: &Probe) -> Result<()> {
        let asked = self.client.transport().now();
        let majority = match ask_majority(&self.client, &self.watch.key).await {
            Ok((cluster, _)) => cluster.etcd_index.unwrap_or(0),
            Err(error) => return self.survive_call(asked, error).await,
        };
        if after(majority) >= next {
            late.endpoint.failed(self.client.transport().now());
            self.behind = 0;
            return Ok(());
        }
        let what = format!(
            "the store's index is {majority}, and this watch goes on from {next}: was its data restored from a backup?"
        );
        let context = ErrorContext {
            attempts: self.behind,
            ..ErrorContext::new(Watch::NAME, late.endpoint.endpoint().clone())
        };
        let error = UnexpectedResponse::of(context, what, Outcome::Unknown);
        Err(Error::Unexpected(
            error.with_kind(UnexpectedKind::ClusterChanged),
        ))
    }
}

/// Requests the state of the cluster as a majority sees it.
async fn ask_majority<T: Transport>(
    client: &Client<T>,
    key: &str,
) -> Result<(ClusterInfo, ErrorContext)> {
    let read = Exists::new(key).quorum(true);
    let answer = client.pipeline().execute(&read).await?;
    let cluster = ClusterInfo::of(&answer.reply.headers);
    let context = answer.context.clone();
    // What refused it may not know the store.
    read.decode(answer)?;
    Ok((cluster, context))
}
