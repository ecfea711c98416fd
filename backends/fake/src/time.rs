//! The fake's clock: it stands still until it is moved, follows real time, or jumps when everything waits.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::core::{Core, Shared};

/// What moves a fake's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// Nothing but [`FakeEtcd::advance`](crate::FakeEtcd::advance): the default.
    #[default]
    Manual,
    /// Real time. A thread wakes what sleeps.
    Real,
    /// A jump to whatever is next (a sleeper's time, a key's expiry) once everything waits.
    ///
    /// Tasks wrapped in [`FakeEtcd::track`](crate::FakeEtcd::track) are known to wait or not to: with them the jump is
    /// exact, on any executor and any number of threads. Without them the fake sees only its own futures: the first to
    /// fall due asks to be polled again sixteen times and for `grace` of real time, and the clock jumps if meanwhile
    /// nothing was asked of the fake. On one thread this lets every other task run first, and is deterministic. On
    /// several, a task that computes for longer than `grace` without touching the fake is taken to wait.
    Auto {
        /// How long nothing must have happened, in real time.
        grace: Duration,
    },
}

impl Clock {
    /// [`Clock::Auto`] with a grace of 100 µs.
    pub const fn auto() -> Self {
        Self::Auto {
            grace: Duration::from_micros(100),
        }
    }
}

/// When keys expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// As in etcd: at the leader's next look, which it takes every 500 ms.
    #[default]
    Sweep,
    /// At the very nanosecond.
    Exact,
}

/// Nanoseconds between two looks of the leader for expired keys.
const SWEEP: u64 = 500_000_000;

/// How often the clock's candidate asks to be polled again before it jumps.
const QUIET_POLLS: u32 = 16;

/// A sleeper's place in the order of due times.
pub(crate) type SleepKey = (u64, u64);

/// Time and who waits for it.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) clock: Clock,
    pub(crate) expiry: Expiry,
    /// Nanoseconds since the fake was made.
    pub(crate) elapsed: u64,
    /// The wall clock when the fake was made: nanoseconds since the Unix epoch.
    pub(crate) start: i64,
    /// How far a clock that follows real time was moved by hand.
    pub(crate) ahead: u64,
    sleepers: BTreeMap<SleepKey, Waker>,
    next_sleeper: u64,
    sweeps: u64,
    quiet_polls: u32,
    quiet_since: Option<Instant>,
    /// Tasks under [`FakeEtcd::track`](crate::FakeEtcd::track): how many there are, and how many can run.
    pub(crate) tracked: usize,
    pub(crate) runnable: usize,
    /// How many threads are about to wake somebody: nothing is known to wait meanwhile.
    pub(crate) waking: usize,
}

impl Timeline {
    pub(crate) fn new(clock: Clock, expiry: Expiry, start: i64) -> Self {
        Self {
            clock,
            expiry,
            elapsed: 0,
            start,
            ahead: 0,
            sleepers: BTreeMap::new(),
            next_sleeper: 0,
            sweeps: 0,
            quiet_polls: 0,
            quiet_since: None,
            tracked: 0,
            runnable: 0,
            waking: 0,
        }
    }

    /// The same time, and nobody who waits for it.
    pub(crate) fn fork(&self) -> Self {
        Self {
            elapsed: self.elapsed,
            sweeps: self.sweeps,
            ahead: self.elapsed,
            ..Self::new(self.clock, self.expiry, self.start)
        }
    }

    pub(crate) fn wall(&self) -> i64 {
        self.start.wrapping_add(self.elapsed as i64)
    }

    /// Something happened: whoever was about to jump begins again.
    pub(crate) fn stir(&mut self) {
        self.quiet_polls = 0;
    }

    pub(crate) fn sleeping(&self) -> usize {
        self.sleepers.len()
    }

    pub(crate) fn next_sleeper_due(&self) -> Option<u64> {
        self.sleepers.keys().next().map(|&(due, _)| due)
    }

    fn is_jumping(&self) -> bool {
        matches!(self.clock, Clock::Auto { .. })
    }
}

impl Core {
    /// Moves the clock to `target`, stopping on the way wherever a sleeper is due or a key expires.
    pub(crate) fn advance_to(&mut self, target: u64) {
        while let Some(stop) = self.next_stop().filter(|&stop| stop <= target) {
            self.stop_at(stop);
        }
        if target > self.time.elapsed {
            self.pass(target);
        }
    }

    /// The next time at which something happens by itself.
    fn next_stop(&self) -> Option<u64> {
        let sleeper = self.time.next_sleeper_due();
        match (sleeper, self.next_sweep()) {
            (Some(sleeper), Some(sweep)) => Some(sleeper.min(sweep)),
            (one, other) => one.or(other),
        }
    }

    /// When the next key goes; none while nobody can agree on it.
    pub(crate) fn next_sweep(&self) -> Option<u64> {
        if !self.server.can_commit() {
            return None;
        }
        let expiry = self.server.next_expiry()?;
        let expiry = u64::try_from(expiry.saturating_sub(self.time.start)).unwrap_or(0);
        Some(match self.time.expiry {
            Expiry::Sweep => expiry.div_ceil(SWEEP).max(self.time.sweeps + 1) * SWEEP,
            Expiry::Exact => expiry.max(self.time.elapsed),
        })
    }

    /// Lets the clock reach `stop` and does what is due there.
    fn stop_at(&mut self, stop: u64) {
        self.pass(stop.max(self.time.elapsed));
        if self.has_due_keys() {
            let now = self.server.now;
            let rounds = u64::from(self.time.expiry == Expiry::Exact);
            self.server.sweep(now, rounds);
        }
        let later = self.time.sleepers.split_off(&(stop + 1, 0));
        let due = std::mem::replace(&mut self.time.sleepers, later);
        self.wakers.extend(due.into_values());
    }

    fn has_due_keys(&self) -> bool {
        let is_time = match self.time.expiry {
            Expiry::Sweep => self.time.elapsed.is_multiple_of(SWEEP),
            Expiry::Exact => true,
        };
        let expiry = self.server.next_expiry();
        is_time && self.server.can_commit() && expiry.is_some_and(|at| at <= self.server.now)
    }

    /// Moves the clock over a stretch in which nothing happens but the leader's looks for expired keys.
    fn pass(&mut self, until: u64) {
        self.time.elapsed = until;
        self.server.now = self.time.wall();
        let sweeps = until / SWEEP;
        let has_keys = self.server.next_expiry().is_some() && self.server.can_commit();
        if has_keys && self.time.expiry == Expiry::Sweep {
            self.server.raft_index += sweeps - self.time.sweeps;
        }
        self.time.sweeps = sweeps;
    }

    /// Where keys expire exactly, those whose time has come already.
    pub(crate) fn expire_at_once(&mut self) {
        if self.time.expiry == Expiry::Exact && self.has_due_keys() {
            self.stop_at(self.time.elapsed);
        }
    }

    /// A future of the fake's was polled and has to wait; `sleeper` is its place when it sleeps. Says whether the clock
    /// has jumped.
    pub(crate) fn idle(&mut self, sleeper: Option<SleepKey>, waker: &Waker) -> bool {
        let Clock::Auto { grace } = self.time.clock else {
            return false;
        };
        if self.time.tracked > 0 {
            return false;
        }
        let first = self.time.sleepers.keys().next();
        let is_candidate = match first {
            Some(first) => Some(first) == sleeper.as_ref(),
            None => sleeper.is_none() && self.next_sweep().is_some(),
        };
        if !is_candidate {
            return false;
        }
        if self.time.quiet_polls == 0 {
            self.time.quiet_since = (!grace.is_zero()).then(Instant::now);
        }
        self.time.quiet_polls += 1;
        let is_quiet = self.time.quiet_polls > QUIET_POLLS
            && (self.time.quiet_since).is_none_or(|since| since.elapsed() >= grace);
        if is_quiet {
            self.time.quiet_polls = 0;
            self.jump();
        } else {
            self.wakers.push(waker.clone());
        }
        is_quiet
    }

    /// Goes to the next time at which somebody is woken.
    pub(crate) fn jump(&mut self) {
        while self.wakers.is_empty() {
            let Some(stop) = self.next_stop() else {
                return;
            };
            self.stop_at(stop);
            self.collect_wakers();
        }
    }

    /// Jumps if no tracked task runs.
    pub(crate) fn jump_if_all_wait(&mut self) {
        let all_wait = self.time.runnable == 0 && self.time.waking == 0;
        if self.time.is_jumping() && self.time.tracked > 0 && all_wait {
            self.collect_wakers();
            self.jump();
        }
    }

    /// Goes to where something happens next; says how far that was.
    pub(crate) fn step(&mut self) -> Option<u64> {
        let stop = self.next_stop()?;
        let before = self.time.elapsed;
        self.stop_at(stop);
        Some(self.time.elapsed - before)
    }

    /// Moves the clock forward, real time or not.
    pub(crate) fn advance_by(&mut self, nanos: u64) {
        let target = self.time.elapsed.saturating_add(nanos);
        if self.time.clock == Clock::Real {
            self.time.ahead = self.time.ahead.saturating_add(nanos);
        }
        self.advance_to(target);
    }

    /// The candidate to jump may have gone: the next one takes its place.
    pub(crate) fn pass_the_baton(&mut self) {
        if !self.time.is_jumping() || self.time.tracked > 0 {
            return;
        }
        if let Some(waker) = self.time.sleepers.values().next() {
            self.wakers.push(waker.clone());
        } else if self.next_sweep().is_some() {
            for store in self.server.stores() {
                store.hub.wake_all();
            }
        }
    }
}

/// Resolves when the fake's clock has moved far enough.
pub(crate) struct Sleep {
    shared: Arc<Shared>,
    due: u64,
    key: Option<SleepKey>,
}

impl Sleep {
    pub(crate) fn until(shared: Arc<Shared>, due: u64) -> Self {
        Self {
            shared,
            due,
            key: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let done = this.shared.with(|core| {
            if core.time.elapsed >= this.due {
                core.time.stir();
                return true;
            }
            let key = *this.key.get_or_insert_with(|| {
                core.time.stir();
                core.time.next_sleeper += 1;
                (this.due, core.time.next_sleeper)
            });
            let old = core.time.sleepers.insert(key, cx.waker().clone());
            core.spent.extend(old);
            core.idle(Some(key), cx.waker()) && core.time.elapsed >= this.due
        });
        if done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.with(|core| {
                let old = core.time.sleepers.remove(&key);
                core.spent.extend(old);
                core.time.stir();
                core.pass_the_baton();
            });
        }
    }
}
