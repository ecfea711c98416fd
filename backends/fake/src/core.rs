use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread,
    time::{Duration, Instant},
};

use http::HeaderValue;

use crate::{
    endpoint::Endpoint,
    faults::Rules,
    log::Log,
    server::Server,
    store::WatcherId,
    time::{Clock, Timeline},
    wire::date::http_date,
};

/// What the clones of a fake share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// When the fake was made, by the real clock: where the fake's own `Instant`s begin.
    pub(crate) origin: Instant,
    clock: Clock,
    alarm: OnceLock<Arc<Alarm>>,
}

/// All there is of a fake, behind one lock.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) server: Server,
    pub(crate) time: Timeline,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) rules: Rules,
    pub(crate) log: Log,
    /// Goes up whenever the servers start anew: answers of an earlier life break off.
    pub(crate) life: u64,
    /// Exchanges whose head has not been sent.
    pub(crate) waiting: usize,
    /// Those to wake once the lock is free.
    pub(crate) wakers: Vec<Waker>,
    /// Exchanges that wait for a quorum.
    pub(crate) blocked: Vec<Waker>,
    /// Wakers that are not needed any more. A waker may own a task, and a task's end may need the lock.
    pub(crate) spent: Vec<Waker>,
    /// The open watches, and the endpoint that serves each.
    pub(crate) watches: BTreeMap<WatcherId, usize>,
    next_watcher: u64,
    date: (i64, HeaderValue),
}

impl Core {
    pub(crate) fn new(server: Server, time: Timeline, endpoints: Vec<Endpoint>, log: Log) -> Self {
        let seed = server.rng.clone();
        Self {
            server,
            time,
            endpoints,
            rules: Rules::new(seed),
            log,
            life: 0,
            waiting: 0,
            wakers: Vec::new(),
            blocked: Vec::new(),
            spent: Vec::new(),
            watches: BTreeMap::new(),
            next_watcher: 0,
            date: (i64::MIN, HeaderValue::from_static("")),
        }
    }

    pub(crate) fn next_watcher(&mut self) -> WatcherId {
        self.next_watcher += 1;
        WatcherId(self.next_watcher)
    }

    /// The `Date` header of this moment.
    pub(crate) fn date(&mut self) -> HeaderValue {
        let second = self.server.now.div_euclid(1_000_000_000);
        if self.date.0 != second
            && let Ok(value) = HeaderValue::try_from(http_date(second))
        {
            self.date = (second, value);
        }
        self.date.1.clone()
    }

    /// Has all that waits for a quorum try again.
    pub(crate) fn unblock(&mut self) {
        self.wakers.append(&mut self.blocked);
    }

    pub(crate) fn collect_wakers(&mut self) {
        for store in self.server.stores() {
            if store.hub.has_woken() {
                self.wakers.append(&mut store.hub.take_woken());
            }
        }
    }
}

/// What is left to do when the lock is free.
struct After {
    wakers: Vec<Waker>,
    spent: Vec<Waker>,
    /// When the real clock has to be looked at.
    alarm: Option<u64>,
    /// Whether tracked tasks may be about to be woken: until they are, they do not count as running.
    is_waking: bool,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            clock: core.time.clock,
            core: Mutex::new(core),
            alarm: OnceLock::new(),
        })
    }

    /// Does something with the core, and wakes those concerned once the lock is free.
    pub(crate) fn with<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> R {
        let (result, mut after) = self.locked(f);
        loop {
            drop(after.spent);
            for waker in after.wakers {
                waker.wake();
            }
            if let Some(due) = after.alarm {
                self.alarm_thread()
                    .set(self.origin + Duration::from_nanos(due));
            }
            if !after.is_waking {
                return result;
            }
            // Those who were woken count as running by now, and the clock may be looked at again.
            ((), after) = self.locked(|core| {
                core.time.waking -= 1;
                core.jump_if_all_wait();
            });
        }
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Core) -> R) -> (R, After) {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let is_real = self.clock == Clock::Real;
        if is_real {
            let elapsed = self.real_elapsed().saturating_add(core.time.ahead);
            core.advance_to(elapsed);
        }
        let result = f(&mut core);
        core.expire_at_once();
        core.collect_wakers();
        let is_waking = core.time.tracked > 0 && !core.wakers.is_empty();
        core.time.waking += usize::from(is_waking);
        let after = After {
            wakers: std::mem::take(&mut core.wakers),
            spent: std::mem::take(&mut core.spent),
            alarm: is_real.then(|| core.next_alarm()).flatten(),
            is_waking,
        };
        (result, after)
    }

    fn real_elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The thread that looks at the clock when something is due; made when first needed.
    fn alarm_thread(self: &Arc<Self>) -> &Arc<Alarm> {
        self.alarm.get_or_init(|| {
            let alarm = Arc::new(Alarm::default());
            let (its, shared) = (Arc::clone(&alarm), Arc::downgrade(self));
            // Without the thread nothing wakes by itself; every call still finds the clock right.
            let _ = thread::Builder::new()
                .name("etcd-fake clock".to_owned())
                .spawn(move || its.run(&shared));
            alarm
        })
    }
}

impl Core {
    /// When somebody has to be woken by the real clock.
    fn next_alarm(&self) -> Option<u64> {
        let sleeper = self.time.next_sleeper_due();
        let is_watched = !self.server.store.hub.is_empty();
        let sweep = self.next_sweep().filter(|_| is_watched);
        let due = match (sleeper, sweep) {
            (Some(sleeper), Some(sweep)) => Some(sleeper.min(sweep)),
            (one, other) => one.or(other),
        };
        due.map(|due| due.saturating_sub(self.time.ahead))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.get() {
            alarm.over.store(true, Ordering::Release);
            alarm.bell.notify_one();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A thread's next appointment.
#[derive(Default)]
struct Alarm {
    due: Mutex<Option<Instant>>,
    bell: Condvar,
    over: AtomicBool,
}

impl Alarm {
    fn set(&self, due: Instant) {
        let mut next = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|next| due < next) {
            *next = Some(due);
            self.bell.notify_one();
        }
    }

    fn run(&self, shared: &Weak<Shared>) {
        // Should a bell be missed, the thread looks again after this long.
        const LOOK: Duration = Duration::from_secs(1);
        while !self.over.load(Ordering::Acquire) {
            {
                let mut next = self.due.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = next.map_or(LOOK, |due| due.saturating_duration_since(Instant::now()));
                if !wait.is_zero() {
                    let waited = self.bell.wait_timeout(next, wait.min(LOOK));
                    drop(waited);
                    continue;
                }
                *next = None;
            }
            let Some(shared) = shared.upgrade() else {
                return;
            };
            shared.with(|_| ());
        }
    }
}
