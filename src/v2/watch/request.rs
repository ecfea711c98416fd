use std::time::Duration;

use etcd_transport::Transport;
use futures::{
    StreamExt, future,
    stream::{self, BoxStream},
};

use crate::v2::{
    node::Node,
    watch::{
        cursor::WatchCursor,
        event::Event,
        watcher::{OnCleared, Watcher},
    },
};
use crate::{
    client::Client,
    error::Result,
    operation::{StreamOperation, sealed::Sealed},
};

/// How long a watch tries to reconnect while no endpoint responds.
const OUTAGE_LIMIT: Duration = Duration::from_secs(300);

/// Delivers the events of a key: repeated `GET /v2/keys/KEY?wait=true&waitIndex=…`.
///
/// Every event is delivered once, in order, and none is lost silently, even if its connection stalls. The watch begins
/// at the store's index when the stream is first polled, or at [`from_index`](Self::from_index). It continues after the
/// last event across empty responses, cut connections, restarts and changes of endpoint, unless an
/// [outage](Self::outage_limit) lasts too long. A server that is silent for 5 s is asked whether it is alive, where there is
/// another endpoint: the watch leaves one that is halted within 10 s.
///
/// etcd keeps only the last 1,000 events of the store, so a quiet watch polls again in time: every 30 s on an idle
/// store, and sooner on a busy one. If history is lost, the stream ends with
/// [`is_history_cleared`](crate::Error::is_history_cleared); a [`resyncing`](Self::resyncing) watch reads the key again
/// instead and reports it. A watch of a file that does not change loses nothing at any rate of other events. A watch of
/// a directory keeps up with 400 events a second, which is tested over every backend, but a sudden burst of 1,000 may
/// be too much.
///
/// A [`Refresh`](crate::v2::Refresh) of a file is not an event. The deletion or expiration of a directory above the key is
/// an event with the directory as its node. The stream ends after an error; open another one from the next index on.
///
/// Dropping the stream ends the request.
///
/// ```
/// # use etcd_http::{Client, Error};
/// use etcd_http::v2::{Get, Watch};
/// use futures::StreamExt;
///
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// # client.v2().set("/config/a", "1").await?;
/// // Read first, then watch from there: no event is missed in between.
/// let config = client.send(Get::new("/config").recursive(true)).await?;
/// let mut events = client.open(
///     Watch::new("/config")
///         .recursive(true)
///         .from_index(config.cluster.etcd_index.unwrap_or(0) + 1),
/// );
/// # client.v2().set("/config/a", "2").await?;
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{:?} {} = {:?}", event.action, event.node.key, event.node.value);
/// #   break;
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[doc(alias = "subscribe")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct Watch {
    pub(super) key: String,
    pub(super) recursive: bool,
    pub(super) from: Option<u64>,
    /// What the store must go on from.
    pub(super) cursor: Option<WatchCursor>,
    pub(super) outage_limit: Duration,
}

impl Watch {
    /// Watches this key, beginning when the stream is first polled.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            recursive: false,
            from: None,
            cursor: None,
            outage_limit: OUTAGE_LIMIT,
        }
    }

    /// Also watches everything below the key, except hidden keys.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Begins at this index of the store's history, in the past or in the future. To continue after a response, use its
    /// `cluster.etcd_index + 1`; after an event, its `index() + 1`. If a majority of the members is behind the index before it for ten
    /// polls, which take a second each, the stream ends: the store may have been restored from a backup.
    #[doc(alias = "waitIndex")]
    pub fn from_index(mut self, index: u64) -> Self {
        self.from = Some(index);
        self.cursor = None;
        self
    }

    /// Goes on after this cursor, which a watch of the same key had come to, perhaps in another process. See [`WatchCursor`].
    ///
    /// A majority is asked first whether the store is the same one. The stream ends with
    /// [`is_cluster_changed`](crate::Error::is_cluster_changed) if the cluster is another one, or its data were lost or restored
    /// from a backup; the error says which. If history was lost in the meantime, it ends with
    /// [`is_history_cleared`](crate::Error::is_history_cleared), or [resyncs](Self::resyncing): etcd has the last 1,000 events of
    /// the store alone, which a cursor is soon behind. A file that has not changed since is no loss.
    pub fn from_cursor(self, cursor: WatchCursor) -> Self {
        Self {
            cursor: Some(cursor.clone()),
            ..self.from_index(cursor.index().saturating_add(1))
        }
    }

    /// Sets how long the watch tries to reconnect while no endpoint responds. Defaults to 5 minutes. Nothing is lost by
    /// a shorter outage; after a longer one the stream ends with the last attempt's error. Once the watch has worked, a
    /// response that is not etcd's, such as the 404 or the maintenance page of a proxy, is an outage as well.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.outage_limit = limit;
        self
    }

    /// If history is lost, reads the key again, delivers the result as a [`Resync`], and continues from there.
    pub fn resyncing(self) -> ResyncingWatch {
        ResyncingWatch(self)
    }

    /// Ends the stream after the first event for which `end` is true.
    pub fn until<P: FnMut(&Event) -> bool + Send + 'static>(self, end: P) -> Until<Self, P> {
        Until { watch: self, end }
    }
}

/// A [`Watch`] that survives the loss of history and reports it. See [`Watch::resyncing`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct ResyncingWatch(Watch);

impl ResyncingWatch {
    /// Ends the stream after the first update for which `end` is true.
    pub fn until<P: FnMut(&WatchUpdate) -> bool + Send + 'static>(self, end: P) -> Until<Self, P> {
        Until { watch: self, end }
    }
}

/// An item of a [`ResyncingWatch`]. It will have no other variants: a `match` is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every update is an event")]
pub enum WatchUpdate {
    /// An event of the key.
    Event(Event),
    /// Events were lost; this is the current state.
    Resync(Resync),
}

/// The current state of the key, after events were lost because the server's history no longer had them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// The first index whose events may be lost.
    pub lost_from: u64,
    /// The store's index at the read: `state` includes everything up to it.
    pub index: u64,
    /// The key, with everything below it for a recursive watch. `None` if it does not exist.
    pub state: Option<Node>,
}

impl Resync {
    /// The loss of all events from an index on, and how things are at another. For your own tests.
    pub fn new(lost_from: u64, index: u64, state: Option<Node>) -> Self {
        Self {
            lost_from,
            index,
            state,
        }
    }
}

/// A watch that ends by itself. See [`Watch::until`].
#[derive(Clone, Debug)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct Until<W, P> {
    watch: W,
    end: P,
}

impl Sealed for Watch {}

impl StreamOperation for Watch {
    type Item = Event;
    const NAME: &'static str = "v2.keys.watch";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Event>> {
        let watcher = Watcher::new(client.clone(), self, OnCleared::Fail);
        updates(watcher)
            .filter_map(|update| {
                future::ready(match update {
                    Ok(WatchUpdate::Event(event)) => Some(Ok(event)),
                    Ok(WatchUpdate::Resync(_)) => None,
                    Err(error) => Some(Err(error)),
                })
            })
            .boxed()
    }
}

impl Sealed for ResyncingWatch {}

impl StreamOperation for ResyncingWatch {
    type Item = WatchUpdate;
    const NAME: &'static str = "v2.keys.watch";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<WatchUpdate>> {
        updates(Watcher::new(client.clone(), self.0, OnCleared::Resync))
    }
}

impl<W, P> Sealed for Until<W, P> {}

impl<W, P> StreamOperation for Until<W, P>
where
    W: StreamOperation,
    P: FnMut(&W::Item) -> bool + Send + 'static,
{
    type Item = W::Item;
    const NAME: &'static str = W::NAME;

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<W::Item>> {
        let open = Some((self.watch.open(client), self.end));
        let next = |open: Option<(BoxStream<'static, Result<W::Item>>, P)>| async move {
            let (mut items, mut end) = open?;
            let item = items.next().await?;
            let more = item.as_ref().is_ok_and(|item| !end(item));
            Some((item, more.then_some((items, end))))
        };
        stream::unfold(open, next).boxed()
    }
}

/// The first event of a watch.
pub(in crate::v2) async fn once<T: Transport>(client: &Client<T>, watch: Watch) -> Result<Event> {
    let mut watcher = Watcher::new(client.clone(), watch, OnCleared::Fail);
    loop {
        if let WatchUpdate::Event(event) = watcher.next().await? {
            return Ok(event);
        }
    }
}

/// Delivers updates until the first error.
fn updates<T: Transport>(watcher: Watcher<T>) -> BoxStream<'static, Result<WatchUpdate>> {
    let next = |watcher: Option<Watcher<T>>| async move {
        let mut watcher = watcher?;
        let update = watcher.next().await;
        let more = update.is_ok().then_some(watcher);
        Some((update, more))
    };
    stream::unfold(Some(watcher), next).boxed()
}
