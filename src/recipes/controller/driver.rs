use std::{
    error::Error as StdError,
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc::UnboundedReceiver, oneshot},
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
};

use super::{
    Shared,
    deletions::Deletions,
    event::{ControllerEvent, ControllerStats},
    gate::{Gate, Turn},
    queue::WorkQueue,
    request::{ReconcileRequest, Reconciled},
};
use crate::{
    client::Client,
    recipes::{
        cache::{Cache, CacheChange, CacheUpdate},
        traits::driver,
    },
};

/// A future that reconciles the keys of a [`Controller`](super::Controller): spawn it on any runtime, or poll it beside the work.
///
/// It resolves after [`stop`](super::Controller::stop), when the driver of the cache has ended, and when the session of the
/// election is closed. It does not need the handle. Dropping it drops what is under way.
#[must_use = "keys are reconciled while the driver is polled"]
pub struct ControllerDriver(pub(super) BoxFuture<'static, ()>);

driver!(ControllerDriver);

/// The error of the caller's code.
pub(super) type Failure = Box<dyn StdError + Send + Sync>;

/// The caller's code.
pub(super) type Reconcile<V> =
    Box<dyn FnMut(ReconcileRequest<V>) -> BoxFuture<'static, Result<Reconciled, Failure>> + Send>;

pub(super) type Hook = Box<dyn FnMut(ControllerEvent) + Send>;

/// What a handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Enqueue(Bytes),
    /// Ends the work within this time. Told whether what was under way was finished.
    Stop(Duration, oneshot::Sender<bool>),
}

/// How many steps are made before others on the same thread have a turn.
const STEPS: usize = 64;

/// What the driver works with.
pub(super) struct Work<T, V> {
    pub(super) client: Client<T>,
    pub(super) cache: Cache<V>,
    pub(super) changes: BoxStream<'static, CacheUpdate<V>>,
    /// The keys that the cache had before the first update.
    pub(super) known: Vec<Bytes>,
    pub(super) reconcile: Reconcile<V>,
    pub(super) hook: Hook,
    pub(super) concurrency: usize,
    pub(super) resync: Resync,
    pub(super) gate: Option<Gate<T>>,
    pub(super) commands: UnboundedReceiver<Command>,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: WorkQueue,
    pub(super) deletions: Deletions,
    pub(super) running: FuturesUnordered<BoxFuture<'static, (Bytes, Result<Reconciled, Failure>)>>,
    pub(super) timer: Option<Timer>,
    pub(super) phase: Phase,
}

/// Reconciles all keys from time to time.
#[derive(Debug)]
pub(super) struct Resync {
    pub(super) interval: Option<Duration>,
    /// When it is due; `None` before the cache was listed.
    pub(super) due: Option<Instant>,
}

/// Resolves at a moment.
pub(super) struct Timer {
    at: Instant,
    sleep: BoxFuture<'static, ()>,
}

/// Whether keys are begun to be reconciled.
pub(super) enum Phase {
    Working,
    /// Only what is under way goes on: until this time is up, if there is a limit. Some wait for the end.
    Ending {
        limit: Option<Timer>,
        waiting: Vec<oneshot::Sender<bool>>,
        /// Something was dropped: the time was up, or leadership was lost.
        has_dropped: bool,
    },
}

impl<T: Transport, V: Send + Sync + 'static> Work<T, V> {
    pub(super) async fn execute(mut self) {
        let is_finished = poll_fn(|cx| self.poll(cx)).await;
        let Self {
            phase,
            gate,
            shared,
            ..
        } = self;
        // Leadership is given up before the end is reported.
        drop(gate);
        shared.end();
        if let Phase::Ending { waiting, .. } = phase {
            for waiting in waiting {
                // It may be that none waits any more.
                let _ = waiting.send(is_finished);
            }
        }
    }

    /// Resolves when the work has ended, with whether all that was under way has been finished.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        for _ in 0..STEPS {
            let has_advanced = self.step(cx);
            self.publish();
            if let Some(is_finished) = self.poll_end(cx) {
                self.publish();
                return Poll::Ready(is_finished);
            }
            if !has_advanced {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes one event of each kind. Returns whether there was one. The loss of leadership comes first: after a pause of the whole
    /// program, nothing more is done.
    fn step(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_advanced = false;
        if let Some(gate) = &mut self.gate
            && let Poll::Ready(turn) = gate.poll(cx)
        {
            self.turned(turn);
            has_advanced = true;
        }
        if let Poll::Ready(Some(command)) = self.commands.poll_next_unpin(cx) {
            self.obey(command);
            has_advanced = true;
        }
        if matches!(self.phase, Phase::Working)
            && let Poll::Ready(update) = self.changes.poll_next_unpin(cx)
        {
            match update {
                Some(update) => self.observe(update),
                None => self.end(),
            }
            has_advanced = true;
        }
        if let Poll::Ready(Some((key, result))) = self.running.poll_next_unpin(cx) {
            self.finished(key, result);
            has_advanced = true;
        }
        if self.can_start() {
            let now = self.now();
            if self.resync.due.is_some_and(|due| due <= now) {
                self.resync_all(now);
            }
            while self.running.len() < self.concurrency && self.start(now) {
                has_advanced = true;
            }
        }
        has_advanced | self.poll_timer(cx)
    }

    /// Returns whether the next key has been taken.
    fn start(&mut self, now: Instant) -> bool {
        // The token is looked at for each start: the lease may be over though nothing has said so yet.
        let fence = self.gate.as_ref().map(Gate::fence);
        if let Some(None) = fence {
            return false;
        }
        let Some((key, failures)) = self.queue.start(now) else {
            return false;
        };
        let snapshot = self.cache.snapshot();
        if snapshot.get_invalid(&key).is_some() {
            self.queue.skipped(&key);
            return true;
        }
        self.count(|stats| {
            stats.started += 1;
            stats.retried += u64::from(failures > 0);
        });
        (self.hook)(ControllerEvent::Started {
            key: key.clone(),
            failures,
        });
        let request = ReconcileRequest {
            failures,
            fence: fence.flatten(),
            ..ReconcileRequest::new(&key, snapshot)
        };
        let reconcile = (self.reconcile)(request);
        self.running
            .push(reconcile.map(move |result| (key, result)).boxed());
        true
    }

    fn finished(&mut self, key: Bytes, result: Result<Reconciled, Failure>) {
        let now = self.now();
        let event = match result {
            Ok(reconciled) => {
                self.count(|stats| stats.succeeded += 1);
                self.queue.succeeded(key.clone(), reconciled, now);
                ControllerEvent::Succeeded { key, reconciled }
            }
            Err(error) => {
                self.count(|stats| stats.failed += 1);
                let (failures, pause) = self.queue.failed(key.clone(), now);
                ControllerEvent::Failed {
                    key,
                    error: error.into(),
                    failures,
                    pause,
                }
            }
        };
        (self.hook)(event);
    }

    /// Takes in what has changed.
    fn observe(&mut self, update: CacheUpdate<V>) {
        let now = self.now();
        if self.resync.due.is_none() {
            self.resync.due = self.resync.interval.and_then(|it| now.checked_add(it));
        }
        for key in mem::take(&mut self.known) {
            let is_there =
                update.snapshot.get(&key).is_some() || update.snapshot.get_invalid(&key).is_some();
            if !is_there {
                self.changed(key, true, now);
            }
        }
        for change in update.changes {
            match change {
                CacheChange::Added(new) | CacheChange::Changed { new, .. } => {
                    self.changed(new.kv.key.clone(), false, now);
                }
                CacheChange::Removed(old) => self.changed(old.kv.key.clone(), true, now),
                // It may have been valid before the cache was listed.
                CacheChange::InvalidRemoved(old) => self.changed(old.kv.key.clone(), true, now),
                CacheChange::Invalid(invalid) => (self.hook)(ControllerEvent::Invalid(invalid)),
            }
        }
    }

    /// A key has changed. While another controller leads, only deletions are remembered: the keys that exist are all reconciled
    /// after an election.
    fn changed(&mut self, key: Bytes, is_deleted: bool, now: Instant) {
        if self.is_leading() {
            self.queue.change(key, now);
        } else if is_deleted && self.deletions.add(key) {
            self.count(|stats| stats.forgotten += 1);
        }
    }

    fn turned(&mut self, turn: Turn) {
        match turn {
            Turn::Elected { fencing_token } => {
                self.count(|stats| stats.fencing_token = Some(fencing_token));
                let now = self.now();
                for key in self.deletions.take() {
                    self.queue.change(key, now);
                }
                self.resync_all(now);
                (self.hook)(ControllerEvent::Elected { fencing_token });
            }
            Turn::Lost(error) => {
                self.drop_running();
                let snapshot = self.cache.snapshot();
                for key in self.queue.clear() {
                    if snapshot.get(&key).is_none() && self.deletions.add(key) {
                        self.count(|stats| stats.forgotten += 1);
                    }
                }
                self.count(|stats| stats.fencing_token = None);
                (self.hook)(ControllerEvent::LeadershipLost(error));
            }
            Turn::Failed(error) => (self.hook)(ControllerEvent::CampaignFailed(error)),
            Turn::Closed => self.end(),
        }
    }

    fn resync_all(&mut self, now: Instant) {
        for entry in self.cache.snapshot().iter() {
            self.queue.resync(entry.kv.key.clone());
        }
        self.resync.due = self.resync.interval.and_then(|it| now.checked_add(it));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Enqueue(key) => {
                let now = self.now();
                let is_deleted = self.cache.snapshot().get(&key).is_none();
                self.changed(key, is_deleted, now);
            }
            Command::Stop(time, done) => {
                self.end();
                let until = self.now().checked_add(time);
                let sooner = until.map(|until| self.timer_at(until));
                if let Phase::Ending { limit, waiting, .. } = &mut self.phase {
                    waiting.push(done);
                    if let Some(sooner) = sooner
                        && limit.as_ref().is_none_or(|limit| sooner.at < limit.at)
                    {
                        *limit = Some(sooner);
                    }
                }
            }
        }
    }

    /// Nothing more is begun.
    fn end(&mut self) {
        if let Phase::Working = self.phase {
            self.phase = Phase::Ending {
                limit: None,
                waiting: Vec::new(),
                has_dropped: false,
            };
        }
    }

    /// Returns whether all that was under way has been finished, if the end has come.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let Phase::Ending {
            limit, has_dropped, ..
        } = &mut self.phase
        else {
            return None;
        };
        if self.running.is_empty() {
            return Some(!*has_dropped);
        }
        let is_up = match limit {
            Some(limit) => limit.sleep.poll_unpin(cx).is_ready(),
            None => false,
        };
        is_up.then(|| {
            self.drop_running();
            false
        })
    }

    fn drop_running(&mut self) {
        let count = self.running.len() as u64;
        if let Phase::Ending { has_dropped, .. } = &mut self.phase {
            *has_dropped |= count > 0;
        }
        self.running = FuturesUnordered::new();
        self.count(|stats| stats.dropped += count);
        for key in self.queue.running() {
            (self.hook)(ControllerEvent::Dropped { key });
        }
    }

    /// Waits for the next key that is due, or for the next resync.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let next = if !self.can_start() {
            None
        } else if self.running.len() < self.concurrency {
            let due = [self.queue.next_due(), self.resync.due];
            due.into_iter().flatten().min()
        } else {
            self.resync.due
        };
        let Some(next) = next else {
            self.timer = None;
            return false;
        };
        if self.timer.as_ref().is_none_or(|timer| timer.at != next) {
            self.timer = Some(self.timer_at(next));
        }
        let is_due = match &mut self.timer {
            Some(timer) => timer.sleep.poll_unpin(cx).is_ready(),
            None => false,
        };
        if is_due {
            self.timer = None;
        }
        is_due
    }

    fn timer_at(&self, at: Instant) -> Timer {
        let client = self.client.clone();
        let time = at.saturating_duration_since(self.now());
        let sleep = async move { client.transport().sleep(time).await }.boxed();
        Timer { at, sleep }
    }

    fn can_start(&self) -> bool {
        matches!(self.phase, Phase::Working)
            && self.gate.as_ref().is_none_or(|gate| gate.fence().is_some())
    }

    fn is_leading(&self) -> bool {
        self.gate.as_ref().is_none_or(Gate::is_leading)
    }

    fn now(&self) -> Instant {
        self.client.transport().now()
    }

    fn count(&self, change: impl FnOnce(&mut ControllerStats)) {
        change(&mut self.shared.stats());
    }

    fn publish(&self) {
        let (queued, delayed) = self.queue.counts();
        self.count(|stats| {
            stats.queued = queued;
            stats.delayed = delayed;
            stats.running = self.running.len();
        });
    }
}
