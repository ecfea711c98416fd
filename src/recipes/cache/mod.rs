//! A copy of a range that is read without a request.

mod builder;
mod driver;
mod map;
mod snapshot;
mod source;
mod subscription;
mod update;

use std::{error::Error as StdError, fmt, pin::pin, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::{
    channel::mpsc,
    future::{Either, select},
    stream::BoxStream,
};
use serde::de::DeserializeOwned;

use crate::{
    error::Error,
    recipes::{
        error::RecipeError,
        published::{Published, Stage},
        wait::beside,
    },
    v3::{KeyRange, KeyValue, MirrorState, Namespace},
};

pub use builder::CacheBuilder;
pub use driver::CacheDriver;
use driver::{State, Unchanged};
pub use snapshot::{CacheEntry, InvalidEntry, Snapshot};
use source::Source;
use subscription::Subscriptions;
pub use update::{CacheChange, CacheUpdate};

/// How long an update of a revision that was waited for may take before the store is asked.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A copy in memory of the keys of a range, with typed values, that follows them.
///
/// Many tasks and threads read it, without a request, a lock or a copy: [`snapshot`](Self::snapshot) returns all entries at one
/// revision, in constant time. A clone reads the same copy.
///
/// A constructor returns two things: the cache, and its [driver](CacheDriver), a future that lists the keys and follows them.
/// Spawn the driver on any runtime, or poll it beside the work with [`run`](Self::run).
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::{recipes::{Cache, CacheChange}, v3::KeyRange};
/// use futures::StreamExt;
///
/// #[derive(serde::Deserialize)]
/// struct Route {
///     host: String,
///     port: u16,
/// }
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let (routes, driver) = Cache::<Route>::json(client.v3(), KeyRange::prefix("routes/"));
/// // With tokio, `tokio::spawn(driver)` does as well, and `run` is not needed.
/// routes.run(driver, async {
///     let all = routes.ready().await?;
///     if let Some(route) = all.get("routes/web") {
///         println!("{}:{} at revision {}", route.value.host, route.value.port, all.revision());
///     }
///     let mut changes = routes.changes();
///     while let Some(update) = changes.next().await {
///         for change in update.changes {
///             match change {
///                 CacheChange::Added(new) => println!("{:?} is new", new.kv.key),
///                 CacheChange::Changed { old, new } => {
///                     println!("{:?} was at {}, is at {}", new.kv.key, old.value.port, new.value.port);
///                 }
///                 CacheChange::Removed(old) => println!("{:?} is gone", old.kv.key),
///                 CacheChange::Invalid(invalid) => eprintln!("{invalid}"),
///                 CacheChange::InvalidRemoved(old) => println!("{:?} is gone", old.kv.key),
///             }
///         }
///     }
///     Ok(())
/// }).await
/// # }
/// ```
///
/// # What is promised
///
/// - **One revision.** A snapshot is what the range was at its revision, transactions undivided.
/// - **It goes on** over outages, restarts and compaction: the range is listed again where it cannot be followed, and the update
///   says so. Over a restored backup as well, unless the client refuses that cluster as another one: set
///   [`allow_cluster_change`](crate::ClientBuilder::allow_cluster_change). Otherwise the driver ends, after some attempts, with an
///   [error](Error::is_cluster_changed), and [`changes`](Self::changes) end. [`last_heard`](Self::last_heard) tells how old the
///   copy may be, [`failure`](Self::failure) why.
/// - **A value that cannot be decoded stops nothing.** The last valid one stays, and the key is
///   [listed](Snapshot::invalid) and [reported](CacheChange::Invalid). A key that has not had a valid value since it was
///   created is absent.
/// - **An update takes `O(log n)`**, besides the new value. Snapshots share what they have in common.
///
/// # Limits
///
/// A copy is behind the store, usually by milliseconds, in an outage by as much as it lasts: decide with
/// [`wait_until`](Self::wait_until) or in a transaction what must not be decided by an old value. All keys are in memory, raw
/// and decoded.
#[doc(alias = "informer")]
pub struct Cache<V> {
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    published: Published<State<V>>,
    subscriptions: Arc<Subscriptions<V>>,
    advances: mpsc::UnboundedSender<Unchanged>,
    source: Box<dyn Source>,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// Creates a cache of these keys whose values are JSON. Takes `client.v3()`, or a [`Namespace`]. Nothing is sent yet: the
    /// driver lists the keys.
    ///
    /// See [`CacheBuilder`] for settings.
    pub fn json<T: Transport>(
        within: impl Into<Namespace<T>>,
        range: impl Into<KeyRange>,
    ) -> (Self, CacheDriver)
    where
        V: DeserializeOwned,
    {
        CacheBuilder::new(within, range).json()
    }

    /// Creates a cache of these keys with a decoder of its values. Takes `client.v3()`, or a [`Namespace`]. Nothing is sent yet:
    /// the driver lists the keys.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// use etcd_http::{recipes::Cache, v3::KeyRange};
    ///
    /// # fn example<T: Transport>(client: &Client<T>) {
    /// let (names, driver) = Cache::new(client.v3(), KeyRange::prefix("names/"), |kv| {
    ///     kv.value_str().map(str::to_owned)
    /// });
    /// # drop((names, driver));
    /// # }
    /// ```
    pub fn new<T: Transport, E>(
        within: impl Into<Namespace<T>>,
        range: impl Into<KeyRange>,
        decode: impl Fn(&KeyValue) -> Result<V, E> + Send + Sync + 'static,
    ) -> (Self, CacheDriver)
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        CacheBuilder::new(within, range).decode(decode)
    }

    /// Returns all entries at one revision: empty, and at revision 0, before the first listing. Takes constant time.
    pub fn snapshot(&self) -> Snapshot<V> {
        self.stage().value.snapshot.clone()
    }

    /// Returns an entry. For several that belong together, take a [`snapshot`](Self::snapshot).
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Arc<CacheEntry<V>>> {
        self.stage().value.snapshot.get_shared(key)
    }

    /// Waits for the first listing.
    ///
    /// # Errors
    /// [`RecipeError::Client`] if etcd refused the listing: the driver has ended. [`RecipeError::DriverEnded`] if the driver
    /// was dropped. What another attempt may resolve is no error: the driver repeats it.
    pub async fn ready(&self) -> Result<Snapshot<V>, RecipeError> {
        loop {
            let stage = self.stage();
            if stage.value.number > 0 {
                return Ok(stage.value.snapshot.clone());
            }
            self.next(&stage).await?;
        }
    }

    /// Waits until the copy is at this revision or a later one: that of a response, to read what was written. It may be one that
    /// changed other keys: if no change arrives, the store is asked whether there was one, by a read of one key. The snapshot may be
    /// ahead of [`changes`](Self::changes) then, which deliver what came and went before it.
    ///
    /// After a restore of etcd from a backup revisions begin lower, and this waits for longer: give it a limit.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub async fn wait_until(&self, revision: i64) -> Result<Snapshot<V>, RecipeError> {
        self.ready().await?;
        let source = &self.inner.source;
        let mut pause = FIRST_PAUSE;
        loop {
            let stage = self.stage();
            let State { snapshot, keys, .. } = &stage.value;
            if snapshot.revision() >= revision {
                return Ok(snapshot.clone());
            }
            let ask = async move {
                source.sleep(pause).await;
                let unchanged = source.unchanged(snapshot.revision(), *keys).await;
                // A failure is tried again after the pause.
                unchanged.unwrap_or_default()
            };
            match select(pin!(self.next(&stage)), pin!(ask)).await {
                Either::Left((result, _)) => result?,
                Either::Right((until, _)) => {
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    if let Some(until) = until {
                        let since = snapshot.revision();
                        // The driver publishes it. Without one, the next turn fails.
                        let _ = self
                            .inner
                            .advances
                            .unbounded_send(Unchanged { since, until });
                    }
                }
            }
        }
    }

    /// Delivers the present entries, once they are there, and then what changes: each revision, with the entries before and after.
    ///
    /// A stream that is not polled for [many updates](CacheBuilder::waiting_updates) gets the differences to what it has seen.
    /// It keeps the cache as a handle does, and ends when the driver has ended.
    pub fn changes(&self) -> BoxStream<'static, CacheUpdate<V>> {
        subscription::subscribe(self.clone())
    }

    /// Polls the driver beside the work. Returns what the work returns. This is for programs that do not spawn.
    pub async fn run<O>(
        &self,
        driver: impl Future<Output = ()>,
        work: impl Future<Output = O>,
    ) -> O {
        beside(driver, work).await
    }

    async fn next(&self, stage: &Stage<State<V>>) -> Result<(), RecipeError> {
        if stage.next().await.is_ok() {
            return Ok(());
        }
        let last = self.stage();
        Err(match &last.value.failure {
            Some(error) => error.clone().into(),
            None => RecipeError::DriverEnded,
        })
    }
}

impl<V> Cache<V> {
    /// Returns the revision of the copy; 0 before the first listing.
    pub fn revision(&self) -> i64 {
        self.stage().value.snapshot.revision()
    }

    /// Returns how long ago a server last confirmed the copy, or showed that it was alive while it is followed; `None` before
    /// the first listing.
    ///
    /// It stays below 10 s while a server responds, and grows during an outage, and while the driver is not polled.
    pub fn last_heard(&self) -> Option<Duration> {
        self.inner.source.age()
    }

    /// Returns the copy as etcd has it, with the cursor that it is at, to be stored: see [`CacheBuilder::resume`]. `None` before the
    /// first listing. It may be later than the [`snapshot`](Self::snapshot), or earlier after a [wait](Self::wait_until), and takes
    /// time and memory for each key.
    pub fn state(&self) -> Option<MirrorState> {
        self.inner.source.state()
    }

    /// Returns why the range cannot be read at present: the error of the last attempt, or `None`. An outage is reported after 5
    /// minutes, which [`last_heard`](Self::last_heard) shows from its beginning.
    pub fn failure(&self) -> Option<Error> {
        self.stage().value.failure.clone()
    }

    fn stage(&self) -> Arc<Stage<State<V>>> {
        self.inner.published.read()
    }

    fn subscriptions(&self) -> &Subscriptions<V> {
        &self.inner.subscriptions
    }
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("snapshot", &self.stage().value.snapshot)
            .finish_non_exhaustive()
    }
}
