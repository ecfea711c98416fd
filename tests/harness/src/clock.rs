//! A clock that moves when nothing else can happen, and an executor for it.

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

/// Longer than any test takes, by its clock.
pub const LONGEST: Duration = Duration::from_secs(100 * 3600);

/// Fifty times what any test needs: polls of a future, and sleeps that begin before the time moves.
const POLLS: usize = 1_000_000;
const SLEEPS_AT_ONCE: usize = 100_000;

/// A clock that moves to the next wake-up when every future waits.
///
/// A test that would hang panics: when no wake-up is due, when one is later than [`LONGEST`], and when futures keep
/// waking while the time stands still.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    epoch: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    counter: u64,
    /// Sleeps that have begun since the time last moved.
    at_once: usize,
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualClock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            state: Arc::default(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    /// The present time.
    pub fn now(&self) -> Instant {
        self.epoch + self.elapsed()
    }

    /// Waits for this long.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let (key, at_once) = {
            let mut state = self.state.lock().unwrap();
            state.counter += 1;
            state.at_once += 1;
            ((state.now + duration, state.counter), state.at_once)
        };
        assert!(
            at_once < SLEEPS_AT_ONCE,
            "something sleeps for {duration:?} repeatedly, until {:?}",
            key.0
        );
        Sleep {
            key,
            state: Arc::clone(&self.state),
        }
    }

    /// The number of pending sleeps.
    pub fn sleepers(&self) -> usize {
        self.state.lock().unwrap().sleepers.len()
    }

    /// Runs a future to its end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
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
            let (_, sleeper) = next.expect("every future waits, and none for the time");
            let now = self.elapsed();
            assert!(now < LONGEST, "still pending after {now:?}");
            sleeper.wake();
        }
        let now = self.elapsed();
        panic!("still pending after {POLLS} polls, at {now:?}");
    }
}

/// Runs a future that waits for its transport only. Panics if it never ends.
pub fn block_on<F: Future>(future: F) -> F::Output {
    VirtualClock::new().run(future)
}

/// A pending [sleep](VirtualClock::sleep).
#[derive(Debug)]
pub struct Sleep {
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
