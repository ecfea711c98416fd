//! Streams that wait for their server: one timer for all of an endpoint, and one of them is woken to ask whether it is alive.

use std::{
    collections::BTreeMap,
    fmt, mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture, task::AtomicWaker};

use crate::endpoints::liveness::{LivenessCheck, PROBE_WAIT};

/// If a stream that was woken is not polled within this time, all others are woken: the program may not poll it for long.
const BACKUP: Duration = Duration::from_secs(1);

/// The streams of an endpoint that wait for the next message.
///
/// Each wait has a time at which the stream would ask whether the server is alive. When the first one has come, its stream asks. As
/// long as the server is alive, the times of the others are moved on, and they are not woken.
#[derive(Default)]
pub(crate) struct IdleStreams(Arc<Shared>);

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    /// The timer is to be polled.
    is_woken: AtomicBool,
}

#[derive(Default)]
struct Line {
    counter: u64,
    waiting: BTreeMap<(Instant, u64), Arc<Waiter>>,
    /// `None` while nobody waits, and while it is polled.
    timer: Option<Timer>,
    is_polled: bool,
    /// Something has changed while it was polled.
    has_changed: bool,
}

struct Timer {
    due: Instant,
    sleep: BoxFuture<'static, ()>,
    /// Where others wait, too.
    backup: Option<BoxFuture<'static, ()>>,
}

struct Waiter {
    number: u64,
    limit: Duration,
    /// How often its time may be moved on while the server is alive.
    max_silences: AtomicU32,
    waker: AtomicWaker,
    /// Its time has come.
    is_due: AtomicBool,
    /// Written while the line is locked.
    progress: Mutex<Progress>,
}

#[derive(Clone, Copy)]
struct Progress {
    due: Instant,
    silences: Silences,
}

/// In how many silences of a stream the server was alive, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Silences {
    pub(crate) count: u32,
    pub(crate) alive: Option<Instant>,
}

/// What a wait needs of its client.
pub(crate) trait Clock {
    fn now(&self) -> Instant;
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// What a stream would do after a silence of this limit.
    fn liveness(&self, now: Instant, limit: Duration) -> LivenessCheck;
}

impl IdleStreams {
    /// Waits until this time, or as long as the server is alive, through so many silences of this limit.
    pub(crate) fn wait<C>(
        &self,
        due: Instant,
        limit: Duration,
        max_silences: u32,
        clock: C,
    ) -> IdleWait<C> {
        let shared = Arc::clone(&self.0);
        let mut line = shared.line();
        line.counter += 1;
        let waiter = Arc::new(Waiter {
            number: line.counter,
            limit,
            max_silences: AtomicU32::new(max_silences),
            waker: AtomicWaker::new(),
            is_due: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                due,
                silences: Silences::default(),
            }),
        });
        line.waiting
            .insert((due, waiter.number), Arc::clone(&waiter));
        let is_first = line.timer.as_ref().is_none_or(|timer| timer.due > due);
        drop(line);
        if is_first {
            shared.is_woken.store(true, SeqCst);
        }
        IdleWait {
            shared,
            waiter,
            clock,
        }
    }
}

impl fmt::Debug for IdleStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.0.line().waiting.len();
        f.debug_struct("IdleStreams")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// Resolves when the stream has to look after its server.
pub(crate) struct IdleWait<C> {
    shared: Arc<Shared>,
    waiter: Arc<Waiter>,
    clock: C,
}

impl<C> IdleWait<C> {
    /// The silences that were passed over so far.
    pub(crate) fn silences(&self) -> Silences {
        self.waiter.progress().silences
    }

    /// From now on it resolves after each silence.
    pub(crate) fn must_be_told(&self) {
        self.waiter.max_silences.store(0, SeqCst);
    }
}

impl<C: Clock + Unpin> Future for IdleWait<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.waker.register(cx.waker());
        if !self.waiter.is_due.load(SeqCst) && self.shared.is_woken.load(SeqCst) {
            self.shared.poll_timer(&self.waiter, &self.clock);
        }
        match self.waiter.is_due.load(SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl<C> Drop for IdleWait<C> {
    fn drop(&mut self) {
        let mut line = self.shared.line();
        let due = self.waiter.progress().due;
        line.waiting.remove(&(due, self.waiter.number));
        let is_last = line.waiting.is_empty();
        let unused = is_last.then(|| line.timer.take());
        drop(line);
        // Not under the lock: it may own the client.
        drop(unused);
    }
}

impl Shared {
    /// Polls the timer, a new one if another stream is first by now. When it is over, streams are woken or moved on.
    fn poll_timer<C: Clock>(self: &Arc<Self>, caller: &Waiter, clock: &C) {
        loop {
            let mut line = self.line();
            if line.is_polled {
                line.has_changed = true;
                return;
            }
            let Some(&(due, _)) = line.waiting.keys().next() else {
                return;
            };
            let old = line.timer.take();
            let has_others = line.waiting.len() > 1;
            line.is_polled = true;
            line.has_changed = false;
            drop(line);
            self.is_woken.store(false, SeqCst);
            let usable = |timer: &Timer| timer.due <= due && timer.backup.is_some() == has_others;
            let mut timer = match old {
                Some(timer) if usable(&timer) => timer,
                _ => Timer::new(due, has_others, clock),
            };
            let is_over = timer.poll(self);
            let mut line = self.line();
            line.is_polled = false;
            let woken = match is_over {
                true => line.advance(caller, clock),
                false => Vec::new(),
            };
            let unused = match is_over || line.waiting.is_empty() {
                true => Some(timer),
                false => line.timer.replace(timer),
            };
            let again = is_over || line.has_changed;
            drop(line);
            // Neither is done under the lock.
            drop(unused);
            woken.iter().for_each(|waiter| waiter.waker.wake());
            if !again {
                return;
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

impl Line {
    /// Decides about the streams whose time has come, and about all that may be moved on with them. Returns those to be woken. One
    /// asks whether the server is alive: the caller, if it may, as it is certainly polled.
    fn advance<C: Clock>(&mut self, caller: &Waiter, clock: &C) -> Vec<Arc<Waiter>> {
        let now = clock.now();
        let mut woken = Vec::new();
        let Some((&(due, _), first)) = self.waiting.first_key_value() else {
            return woken;
        };
        if due > now {
            return woken;
        }
        let mut asker = None;
        let considered = if first.may_be_silent() {
            let is_unknown = clock.liveness(now, first.limit) == LivenessCheck::Ask;
            asker = (is_unknown && caller.may_be_silent()).then_some(caller.number);
            mem::take(&mut self.waiting)
        } else {
            let later = self.waiting.split_off(&(now, u64::MAX));
            mem::replace(&mut self.waiting, later)
        };
        for ((due, number), waiter) in considered {
            let next = if asker == Some(number) {
                now
            } else if !waiter.may_be_silent() {
                due
            } else {
                match clock.liveness(now, waiter.limit) {
                    LivenessCheck::Alive(at) => {
                        waiter.move_on(at, due <= now + waiter.limit / 2);
                        due.max(at + waiter.limit)
                    }
                    LivenessCheck::Wait(time) => due.max(now + time),
                    LivenessCheck::Ask if asker.is_some() => due.max(now + PROBE_WAIT),
                    LivenessCheck::Ask if due <= now => {
                        asker = Some(number);
                        due
                    }
                    LivenessCheck::Ask | LivenessCheck::Lost => due,
                }
            };
            if next <= now {
                waiter.is_due.store(true, SeqCst);
                woken.push(waiter);
            } else {
                waiter.progress().due = next;
                self.waiting.insert((next, number), waiter);
            }
        }
        woken
    }
}

impl Timer {
    fn new<C: Clock>(due: Instant, has_others: bool, clock: &C) -> Self {
        let left = due.saturating_duration_since(clock.now());
        Self {
            due,
            sleep: clock.sleep(left),
            backup: has_others.then(|| clock.sleep(left.saturating_add(BACKUP))),
        }
    }

    /// Returns whether its time has come.
    fn poll(&mut self, shared: &Arc<Shared>) -> bool {
        let is_over = |sleep: &mut BoxFuture<'static, ()>, is_backup| {
            let waker = Waker::from(Arc::new(TimerWaker {
                shared: Arc::downgrade(shared),
                is_backup,
            }));
            sleep
                .poll_unpin(&mut Context::from_waker(&waker))
                .is_ready()
        };
        let is_due = is_over(&mut self.sleep, false);
        let mut backup = self.backup.as_mut();
        is_due || backup.as_mut().is_some_and(|backup| is_over(backup, true))
    }
}

/// Wakes the stream that is first, or all of them.
struct TimerWaker {
    shared: Weak<Shared>,
    is_backup: bool,
}

impl Wake for TimerWaker {
    fn wake(self: Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        shared.is_woken.store(true, SeqCst);
        let waiting: Vec<_> = {
            let line = shared.line();
            let count = if self.is_backup { usize::MAX } else { 1 };
            line.waiting.values().take(count).cloned().collect()
        };
        waiting.iter().for_each(|waiter| waiter.waker.wake());
    }
}

impl Waiter {
    /// Whether it may stay silent for longer, if the server is alive.
    fn may_be_silent(&self) -> bool {
        self.progress().silences.count < self.max_silences.load(SeqCst)
    }

    /// The server was alive at this time. The time before it was long enough to count, or not.
    fn move_on(&self, alive: Instant, counts: bool) {
        let silences = &mut self.progress().silences;
        silences.count += u32::from(counts);
        silences.alive = Some(alive);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
