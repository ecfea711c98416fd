use std::{collections::BTreeMap, task::Waker, time::Instant};

use super::{
    clock::{Clock, Expiry},
    core::Core,
    state::State,
    watchdog::Watched,
};

/// Nanoseconds between two checks of the leader for expired keys.
const SWEEP: u64 = 500_000_000;

/// How often the candidate asks to be polled again before the clock jumps.
const QUIET_POLLS: u32 = 16;

/// When a sleeper is due, and a number that tells sleepers with equal times apart.
pub(crate) type SleepKey = (u64, u64);

/// The time, and the tasks that wait for it.
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
    pub(super) sleepers: BTreeMap<SleepKey, Waker>,
    pub(super) next_sleeper: u64,
    sweeps: u64,
    quiet_polls: u32,
    quiet_since: Option<Instant>,
    pub(super) watched: Watched,
    /// How many tasks are tracked, and how many of them can run.
    pub(crate) tracked: usize,
    pub(crate) runnable: usize,
    /// How many threads are about to wake somebody: until they have, the counts are too low.
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
            watched: Watched::default(),
            tracked: 0,
            runnable: 0,
            waking: 0,
        }
    }

    /// The same time, without waiting tasks.
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

    /// Something happened: the fake is not quiet, and the clock does not jump yet.
    pub(crate) fn note_activity(&mut self) {
        self.quiet_polls = 0;
        self.watched.note_activity();
    }

    pub(crate) fn sleeping(&self) -> usize {
        self.sleepers.len()
    }

    /// The last time that the clock can show: etcd counts nanoseconds since 1970 in 64 bits, which end in 2262.
    fn end(&self) -> u64 {
        i64::MAX.abs_diff(self.start)
    }

    /// The sleeper that is due first. One that is due beyond the end of time is never woken.
    fn first_sleeper(&self) -> Option<(&SleepKey, &Waker)> {
        let first = self.sleepers.first_key_value();
        first.filter(|((due, _), _)| *due <= self.end())
    }

    pub(super) fn next_sleeper_due(&self) -> Option<u64> {
        self.first_sleeper().map(|(&(due, _), _)| due)
    }

    fn is_jumping(&self) -> bool {
        matches!(self.clock, Clock::Auto { .. })
    }
}

impl<S: State> Core<S> {
    /// Moves the clock to `target`, stopping on the way wherever a sleeper is due or a key expires.
    pub(super) fn advance_to(&mut self, target: u64) {
        let target = target.min(self.time.end());
        while let Some(stop) = self.next_stop().filter(|&stop| stop <= target) {
            self.stop_at(stop);
        }
        if target > self.time.elapsed {
            self.pass(target);
        }
    }

    /// The next time at which something happens by itself.
    fn next_stop(&self) -> Option<u64> {
        let sweep = earlier(self.next_sweep(), self.next_report());
        earlier(self.time.next_sleeper_due(), sweep)
    }

    /// When an open exchange is to be told how far it has come.
    fn next_report(&self) -> Option<u64> {
        let report = self.cluster.next_report()?;
        let report = u64::try_from(report.saturating_sub(self.time.start)).unwrap_or(0);
        Some(report).filter(|&report| report <= self.time.end())
    }

    /// When the next key is removed; none while nothing can be committed.
    pub(crate) fn next_sweep(&self) -> Option<u64> {
        if !self.cluster.can_commit() {
            return None;
        }
        let expiry = self.cluster.state.next_expiry()?;
        let expiry = u64::try_from(expiry.saturating_sub(self.time.start)).unwrap_or(0);
        let sweep = match self.time.expiry {
            Expiry::Sweep => expiry.div_ceil(SWEEP).max(self.time.sweeps + 1) * SWEEP,
            Expiry::Exact => expiry.max(self.time.elapsed),
        };
        Some(sweep).filter(|&sweep| sweep <= self.time.end())
    }

    /// Lets the clock reach `stop` and does what is due there.
    fn stop_at(&mut self, stop: u64) {
        self.pass(stop.max(self.time.elapsed));
        if self.has_due_keys() {
            let now = self.cluster.now;
            let proposals = u64::from(self.time.expiry == Expiry::Exact);
            self.cluster.expire(now, proposals);
        }
        if self.next_report().is_some_and(|report| report <= stop) {
            let now = self.cluster.now;
            self.cluster.states().for_each(|state| state.report(now));
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
        let expiry = self.cluster.state.next_expiry();
        is_time && self.cluster.can_commit() && expiry.is_some_and(|at| at <= self.cluster.now)
    }

    /// Moves the clock over a period in which only the leader checks for expired keys.
    fn pass(&mut self, until: u64) {
        self.time.elapsed = until;
        self.cluster.now = self.time.wall();
        let sweeps = until / SWEEP;
        let has_keys = self.cluster.state.proposes_expiry() && self.cluster.can_commit();
        if has_keys && self.time.expiry == Expiry::Sweep {
            self.cluster.raft_index += sweeps - self.time.sweeps;
        }
        self.time.sweeps = sweeps;
    }

    /// Removes the keys whose time has come, where keys expire exactly.
    pub(crate) fn expire_at_once(&mut self) {
        if self.time.expiry == Expiry::Exact && self.has_due_keys() {
            self.stop_at(self.time.elapsed);
        }
    }

    /// Notes that a future of the fake was polled and has to wait; `sleeper` is its key if it sleeps. Returns whether
    /// the clock has jumped.
    pub(crate) fn idle(&mut self, sleeper: Option<SleepKey>, waker: &Waker) -> bool {
        let Clock::Auto { grace } = self.time.clock else {
            return false;
        };
        if self.time.tracked > 0 {
            return false;
        }
        let first = self.time.first_sleeper().map(|(key, _)| key);
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

    /// Moves the clock to the next time at which a task is woken.
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

    /// Moves the clock to the next event; returns how far that was.
    pub(crate) fn step(&mut self) -> Option<u64> {
        let stop = self.next_stop()?;
        let before = self.time.elapsed;
        self.stop_at(stop);
        Some(self.time.elapsed - before)
    }

    /// When a task has to be woken by the real clock.
    pub(super) fn next_alarm(&self) -> Option<u64> {
        let sweep = self.next_sweep();
        let sweep = sweep.filter(|_| self.cluster.state.is_watched());
        let due = earlier(self.time.next_sleeper_due(), sweep);
        let due = earlier(due, self.next_report());
        due.map(|due| due.saturating_sub(self.time.ahead))
    }

    /// Moves the clock forward, real time or not.
    pub(crate) fn advance_by(&mut self, nanos: u64) {
        let target = self.time.elapsed.saturating_add(nanos);
        if self.time.clock == Clock::Real {
            self.time.ahead = self.time.ahead.saturating_add(nanos);
        }
        self.advance_to(target);
    }

    /// Wakes the next candidate to make the clock jump: the last one may be gone.
    pub(crate) fn wake_next_candidate(&mut self) {
        if !self.time.is_jumping() || self.time.tracked > 0 {
            return;
        }
        if let Some((_, waker)) = self.time.first_sleeper() {
            self.wakers.push(waker.clone());
        } else if self.next_sweep().is_some() {
            self.wake_exchanges();
        }
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
