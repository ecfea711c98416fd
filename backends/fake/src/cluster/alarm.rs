use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{core::Shared, state::State};

/// A thread that looks at the real clock when something is due.
#[derive(Default)]
pub(super) struct Alarm {
    due: Mutex<Option<Instant>>,
    changed: Condvar,
    is_over: AtomicBool,
}

impl Alarm {
    /// Starts the thread. It ends with the fake.
    pub(super) fn start<S: State>(shared: Weak<Shared<S>>) -> Arc<Self> {
        let alarm = Arc::new(Self::default());
        let own = Arc::clone(&alarm);
        // Without the thread nothing wakes by itself, but every call still reads the right time.
        let _ = thread::Builder::new()
            .name("etcd-fake clock".to_owned())
            .spawn(move || own.run(&shared));
        alarm
    }

    /// Looks at the clock at `due`, if not before.
    pub(super) fn set(&self, due: Instant) {
        let mut next = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|next| due < next) {
            *next = Some(due);
            self.changed.notify_one();
        }
    }

    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn run<S: State>(&self, shared: &Weak<Shared<S>>) {
        // A missed notification delays the thread by no more than this.
        const INTERVAL: Duration = Duration::from_secs(1);
        while !self.is_over.load(Ordering::Acquire) {
            {
                let mut next = self.due.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = next.map_or(INTERVAL, |due| {
                    due.saturating_duration_since(Instant::now())
                });
                if !wait.is_zero() {
                    let waited = self.changed.wait_timeout(next, wait.min(INTERVAL));
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
