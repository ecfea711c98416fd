use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

/// Longer than any test takes: 100 hours.
const LONGEST: Duration = Duration::from_secs(360_000);

/// Time that moves on when nobody has anything else to do. Every sleeper wakes in its turn.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    counter: u64,
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            state: Arc::default(),
        }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    pub(crate) fn now(&self) -> Instant {
        self.epoch + self.elapsed()
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.state.lock().unwrap();
        state.counter += 1;
        Sleep {
            key: (state.now + duration, state.counter),
            state: Arc::clone(&self.state),
        }
    }

    /// How many are asleep.
    pub(crate) fn sleepers(&self) -> usize {
        self.state.lock().unwrap().sleepers.len()
    }

    /// Runs a future to its end.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, SeqCst);
            }
        }
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            if flag.0.swap(false, SeqCst) {
                continue;
            }
            let next = {
                let mut state = self.state.lock().unwrap();
                let next = state.sleepers.pop_first();
                let ((at, _), sleeper) = next.expect("everybody waits, and nobody for the time");
                state.now = at.max(state.now);
                assert!(state.now < LONGEST, "what is waited for does not come");
                sleeper
            };
            next.wake();
        }
    }
}

pub(crate) struct Sleep {
    key: (Duration, u64),
    state: Arc<Mutex<State>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock().unwrap();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.state.lock().unwrap().sleepers.remove(&self.key);
    }
}
