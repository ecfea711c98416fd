//! A work queue of the keys of a cache.

mod builder;
mod deletions;
mod driver;
mod event;
mod gate;
mod queue;
mod request;

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use etcd_transport::Transport;
use futures::channel::{mpsc::UnboundedSender, oneshot};

use crate::{
    client::Client,
    recipes::{cache::Cache, error::RecipeError, wait::beside},
    v3::Key,
};

pub use builder::ControllerBuilder;
use driver::Command;
pub use driver::ControllerDriver;
pub use event::{ControllerEvent, ControllerStats};
pub use request::{Fence, ReconcileRequest, Reconciled};

/// Makes true what the keys of a [`Cache`] say: calls code of yours with each key, when it is there at the start, when it changes
/// or is deleted, and again after a failure.
///
/// That code, the *reconciler*, gets the present entry and not the change: it compares what is with what is to be, and does what is
/// missing. So it may be called once after many changes, and again without one.
///
/// A constructor returns two things: a handle, and a [driver](ControllerDriver), a future that calls the reconciler. Spawn it
/// on any runtime beside the driver of the cache, or poll it beside the work with [`run`](Self::run).
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::{recipes::{Cache, Controller, Reconciled}, v3::KeyRange};
/// use std::time::Duration;
///
/// #[derive(serde::Deserialize)]
/// struct Site {
///     replicas: u32,
/// }
/// # async fn scale(_: &[u8], _: u32) -> std::io::Result<()> { Ok(()) }
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let (sites, cache_driver) = Cache::<Site>::json(client.v3(), KeyRange::prefix("sites/"));
/// let (controller, driver) = Controller::builder(client, &sites)
///     .concurrency(4)
///     .reconcile(async |request| {
///         // Deleted: nothing of it may be left.
///         let replicas = request.entry.as_ref().map_or(0, |site| site.value.replicas);
///         scale(&request.key, replicas).await?;
///         // Look again, as replicas may die.
///         Ok::<_, std::io::Error>(match replicas {
///             0 => Reconciled::AwaitChange,
///             _ => Reconciled::RequeueAfter(Duration::from_secs(600)),
///         })
///     });
/// let work = async {
///     // Until the program is to end.
///     # std::future::pending::<()>().await;
///     controller.stop(Duration::from_secs(10)).await
/// };
/// sites.run(cache_driver, controller.run(driver, work)).await
/// # }
/// ```
///
/// # What is promised
///
/// - **The last state of every key is reconciled**, at least once: a key that changes while it is reconciled is reconciled again, and
///   one that fails is tried again until it succeeds. Deleted keys as well, if the cache had them before.
/// - **One at a time for a key.** Different keys are reconciled side by side, up to a [number](ControllerBuilder::concurrency).
/// - **A key waits once** however often it changes; keys that are due are begun in the order in which they became so.
/// - **Failures do not turn into load**: each key has [pauses](ControllerBuilder::backoff) of its own, which double. A
///   change ends a pause, except for the first one.
/// - With an [election](ControllerBuilder::elected), nothing is begun without a valid lease, and what is under way is dropped as soon
///   as leadership is lost.
///
/// # Limits
///
/// A cache is behind the store: write to etcd with a comparison of [`mod_revision`](ReconcileRequest::mod_revision), and of the
/// [leadership](ReconcileRequest::guard). A key that was deleted before the cache was first listed is not known: remove what has no key
/// at the start, or keep keys until what they stand for is gone. All futures of the reconciler are polled by the driver, so on one
/// thread: spawn within it what needs the processor for long. A value that cannot be decoded is
/// [reported](ControllerEvent::Invalid) and not reconciled.
#[doc(alias = "reconciler")]
#[doc(alias = "operator")]
#[derive(Clone)]
pub struct Controller {
    commands: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Controller {
    /// Returns a builder, for a controller of the keys of this cache. It takes the time from the client.
    pub fn builder<T: Transport, V: Send + Sync + 'static>(
        client: &Client<T>,
        cache: &Cache<V>,
    ) -> ControllerBuilder<T, V> {
        ControllerBuilder::new(client.clone(), cache.clone())
    }

    /// Creates a controller that reconciles one key after the other. See [`ControllerBuilder`] for settings.
    pub fn new<T, V, F, E>(
        client: &Client<T>,
        cache: &Cache<V>,
        reconcile: impl FnMut(ReconcileRequest<V>) -> F + Send + 'static,
    ) -> (Self, ControllerDriver)
    where
        T: Transport,
        V: Send + Sync + 'static,
        F: Future<Output = Result<Reconciled, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::builder(client, cache).reconcile(reconcile)
    }

    /// Has a key reconciled though it has not changed: because something else has that it depends on. One that the cache
    /// does not have is reconciled as deleted. A pause after a failure ends as by a change.
    pub fn enqueue(&self, key: impl Into<Key>) {
        let command = Command::Enqueue(key.into().into_bytes());
        // Without a driver, nothing is reconciled any more.
        let _ = self.commands.unbounded_send(command);
    }

    /// Ends the controller: no key is begun to be reconciled any more, what is under way goes on for at most this long, and is
    /// dropped then. An election is left. The driver resolves, and the cache stays.
    ///
    /// It is the driver that does this: it must be polled. If this future is dropped, the controller ends nevertheless. Of several
    /// calls, the shortest limit counts.
    ///
    /// # Errors
    /// [`TimedOut`](RecipeError::TimedOut) if something was dropped, also because leadership was lost meanwhile;
    /// [`DriverEnded`](RecipeError::DriverEnded) if the driver was.
    pub async fn stop(&self, limit: Duration) -> Result<(), RecipeError> {
        let (sender, stopped) = oneshot::channel();
        // Whether it was sent, the channel shows.
        let _ = self.commands.unbounded_send(Command::Stop(limit, sender));
        match stopped.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RecipeError::TimedOut(limit)),
            Err(_) if self.shared.has_ended.load(Relaxed) => Ok(()),
            Err(_) => Err(RecipeError::DriverEnded),
        }
    }

    /// Returns what the controller has done, and has to do.
    pub fn stats(&self) -> ControllerStats {
        *self.shared.stats()
    }

    /// Polls the driver beside the work. Returns what the work returns. This is for programs that do not spawn.
    pub async fn run<O>(
        &self,
        driver: impl Future<Output = ()>,
        work: impl Future<Output = O>,
    ) -> O {
        beside(driver, work).await
    }
}

/// What a driver and its handles share.
#[derive(Debug, Default)]
struct Shared {
    stats: Mutex<ControllerStats>,
    /// The driver has ended, and was not dropped before.
    has_ended: AtomicBool,
}

impl Shared {
    fn stats(&self) -> MutexGuard<'_, ControllerStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.stats().fencing_token = None;
        self.has_ended.store(true, Relaxed);
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
