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

/// Longer than any test takes.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 3600);

/// Fifty times what any test needs: how often a future is polled, and how often somebody sleeps before the time moves.
const POLLS: usize = 1_000_000;
const SLEEPS_AT_ONCE: usize = 100_000;

/// Time that moves on when nobody has anything else to do. Every sleeper wakes in its turn.
///
/// What never ends fails, and does not hang: a wait that no time ends, one that goes on for longer than any test, and one
/// that goes on for ever while the time stands still.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    counter: u64,
    /// How often somebody has slept since the time has moved.
    at_once: usize,
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
        let (key, at_once) = {
            let mut state = self.state.lock().unwrap();
            state.counter += 1;
            state.at_once += 1;
            ((state.now + duration, state.counter), state.at_once)
        };
        assert!(
            at_once < SLEEPS_AT_ONCE,
            "somebody sleeps for {duration:?}, over and over, until {:?}",
            key.0
        );
        Sleep {
            key,
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
        for _ in 0..POLLS {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            if flag.0.swap(false, SeqCst) {
                continue;
            }
            let next = {
                let mut state = self.state.lock().unwrap();
                let next = state.sleepers.pop_first();
                if let Some(((at, _), _)) = &next
                    && *at > state.now
                {
                    state.now = *at;
                    state.at_once = 0;
                }
                next
            };
            let (_, sleeper) = next.expect("everybody waits, and nobody for the time");
            let now = self.elapsed();
            assert!(
                now < LONGEST,
                "what is waited for has not come after {now:?}"
            );
            sleeper.wake();
        }
        let now = self.elapsed();
        panic!("what is waited for has not come after {POLLS} polls, at {now:?}");
    }
}

/// Runs a future that waits for nothing but its transport; one that waits for what does not come fails.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Clock::new().run(future)
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
