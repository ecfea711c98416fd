use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::{FutureExt, channel::mpsc, stream::FuturesUnordered};

use super::{
    Controller, ControllerDriver, Shared,
    deletions::Deletions,
    driver::{Phase, Resync, Work},
    event::ControllerEvent,
    gate::Gate,
    queue::{Backoff, WorkQueue},
    request::{ReconcileRequest, Reconciled},
};
use crate::{
    client::Client,
    recipes::{cache::Cache, election::Election},
    v3::Value,
};

/// Pauses are not shorter.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The settings of a [`Controller`].
#[must_use]
pub struct ControllerBuilder<T, V> {
    client: Client<T>,
    cache: Cache<V>,
    concurrency: usize,
    backoff: Backoff,
    resync: Option<Duration>,
    election: Option<(Election<T>, Value)>,
    hook: Box<dyn FnMut(ControllerEvent) + Send>,
}

impl<T: Transport, V: Send + Sync + 'static> ControllerBuilder<T, V> {
    pub(super) fn new(client: Client<T>, cache: Cache<V>) -> Self {
        Self {
            client,
            cache,
            concurrency: 1,
            backoff: Backoff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(60),
            },
            resync: None,
            election: None,
            hook: Box::new(|_| {}),
        }
    }

    /// Sets how many keys are reconciled side by side; at least one. Defaults to one.
    pub fn concurrency(mut self, keys: usize) -> Self {
        self.concurrency = keys.max(1);
        self
    }

    /// Sets how long a key waits after its first failure, and at most: the pauses double. Half of each is random. Defaults to
    /// 100 ms and 60 s. A pause takes at least half a millisecond.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        let first = first.max(SHORTEST_PAUSE);
        let longest = longest.max(first);
        self.backoff = Backoff { first, longest };
        self
    }

    /// Reconciles all keys again after this time, for what may have changed outside of etcd. Keys that wait after a failure
    /// go on waiting. Defaults to never.
    pub fn resync_interval(mut self, interval: Duration) -> Self {
        self.resync = Some(interval.max(SHORTEST_PAUSE));
        self
    }

    /// Works only while this candidate leads the election, and proclaims `value` then. The driver of the election's session must
    /// be polled as well.
    ///
    /// After each election all keys are reconciled. While another one leads, the last 65,536 keys that are deleted are kept for
    /// that: the leader may not have come to them. When leadership is lost, what is under way is dropped, at an `.await` of its own,
    /// and the controller is a candidate again, in another lease if the session was lost. It ends if the session is closed.
    ///
    /// What was sent before may still be applied: see [`ReconcileRequest::guard`] for writes to etcd, and [`Fence::token`] for
    /// others.
    ///
    /// [`Fence::token`]: super::Fence::token
    pub fn elected(mut self, election: &Election<T>, value: impl Into<Value>) -> Self {
        self.election = Some((election.clone(), value.into()));
        self
    }

    /// Calls this with all that the controller does: for logs, errors of the reconciler above all. It is called by the driver, and
    /// must not block.
    pub fn on_event(mut self, hook: impl FnMut(ControllerEvent) + Send + 'static) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Returns the controller, with the code that reconciles a key, and its driver. Nothing is done yet.
    ///
    /// Deletions count from now on.
    pub fn reconcile<F, E>(
        self,
        mut reconcile: impl FnMut(ReconcileRequest<V>) -> F + Send + 'static,
    ) -> (Controller, ControllerDriver)
    where
        F: Future<Output = Result<Reconciled, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (commands, received) = mpsc::unbounded();
        let shared = Arc::new(Shared::default());
        let snapshot = self.cache.snapshot();
        let valid = snapshot.iter().map(|it| &it.kv);
        let known = valid.chain(snapshot.invalid().map(|it| &it.kv));
        let work = Work {
            changes: self.cache.changes(),
            known: known.map(|kv| kv.key.clone()).collect(),
            reconcile: Box::new(move |request| {
                reconcile(request)
                    .map(|result| result.map_err(Into::into))
                    .boxed()
            }),
            hook: self.hook,
            concurrency: self.concurrency,
            resync: Resync {
                interval: self.resync,
                due: None,
            },
            gate: self
                .election
                .map(|(election, value)| Gate::new(election, value)),
            commands: received,
            shared: Arc::clone(&shared),
            queue: WorkQueue::new(self.backoff),
            deletions: Deletions::default(),
            running: FuturesUnordered::new(),
            timer: None,
            phase: Phase::Working,
            client: self.client,
            cache: self.cache,
        };
        let controller = Controller { commands, shared };
        (controller, ControllerDriver(work.execute().boxed()))
    }
}

impl<T, V> fmt::Debug for ControllerBuilder<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerBuilder")
            .field("concurrency", &self.concurrency)
            .field("backoff", &self.backoff)
            .field("resync", &self.resync)
            .field("has_election", &self.election.is_some())
            .finish_non_exhaustive()
    }
}
