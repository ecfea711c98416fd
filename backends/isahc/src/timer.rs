//! Sleeping without a runtime.
//!
//! Every request races against a timeout that is seldom reached. A timer that wakes its thread for each new timeout would cost
//! as much as the rest of the client. Here the thread is woken only for an end that is earlier than the one it waits for, and
//! a canceled sleep is removed without waking it.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// Ready no sooner than `duration` from its first poll.
pub(crate) fn sleep(duration: Duration) -> Sleep {
    Sleep {
        duration,
        key: None,
    }
}

/// See [`sleep`].
#[derive(Debug)]
pub(crate) struct Sleep {
    duration: Duration,
    /// Its key among the sleepers, from its first poll on.
    key: Option<Key>,
}

/// When a sleep ends, and a unique number.
type Key = (Instant, u64);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let key = match self.key {
            Some(key) => key,
            None => {
                // An end that no `Instant` can express is never reached.
                let Some(end) = now.checked_add(self.duration) else {
                    return Poll::Pending;
                };
                let key = (end, CLOCK.lock().number());
                self.key = Some(key);
                key
            }
        };
        if key.0 <= now {
            return Poll::Ready(());
        }
        CLOCK.wake_at(key, cx.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            let waker = CLOCK.lock().sleepers.remove(key);
            // Not while the clock is locked: dropping a waker may drop another `Sleep`.
            drop(waker);
        }
    }
}

static CLOCK: Clock = Clock {
    state: Mutex::new(State {
        sleepers: BTreeMap::new(),
        numbers: 0,
        next_wake: None,
    }),
    sooner: Condvar::new(),
};

struct Clock {
    state: Mutex<State>,
    /// Tells the thread of an end that is earlier than the one it waits for.
    sooner: Condvar,
}

struct State {
    sleepers: BTreeMap<Key, Waker>,
    numbers: u64,
    /// When the thread wakes; `None` if it waits without a limit.
    next_wake: Option<Instant>,
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Clock {
    fn wake_at(&'static self, key: Key, waker: &Waker) {
        static THREAD: OnceLock<()> = OnceLock::new();

        let waker = waker.clone();
        let mut state = self.lock();
        let before = state.sleepers.insert(key, waker);
        let is_sooner = state.next_wake.is_none_or(|wake| key.0 < wake);
        drop(state);
        drop(before);
        THREAD.get_or_init(|| {
            let thread = thread::Builder::new().name("etcd-isahc-timer".to_owned());
            // Without a thread isahc does not work either: the client could not be built.
            let _ = thread.spawn(|| self.run());
        });
        if is_sooner {
            self.sooner.notify_one();
        }
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let later = state.sleepers.split_off(&(now, u64::MAX));
            let over = std::mem::replace(&mut state.sleepers, later);
            if !over.is_empty() {
                // A waker may drop a `Sleep`, which locks the clock, or panic, which must not affect other sleepers.
                drop(state);
                for waker in over.into_values() {
                    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                }
                state = self.lock();
                continue;
            }
            let nearest = state.sleepers.first_key_value().map(|((end, _), _)| *end);
            state.next_wake = nearest;
            state = match nearest {
                None => self
                    .sooner
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let woken = self.sooner.wait_timeout(state, end - now);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::{
        executor::block_on,
        future::{join_all, poll_immediate},
    };

    use super::*;

    const MOMENT: Duration = Duration::from_millis(30);

    #[test]
    fn no_sleeper_wakes_too_early() {
        let began = Instant::now();
        let sleepers = (1..=20).rev().map(|count| async move {
            sleep(MOMENT * count).await;
            (began.elapsed(), MOMENT * count)
        });
        for (slept, asked) in block_on(join_all(sleepers)) {
            assert!(slept >= asked, "{slept:?} of {asked:?}");
            assert!(
                slept < asked + Duration::from_secs(5),
                "{slept:?} of {asked:?}"
            );
        }
    }

    #[test]
    fn an_earlier_end_does_not_wait_for_a_later_one() {
        let mut far = sleep(Duration::from_secs(3600));
        assert!(block_on(poll_immediate(&mut far)).is_none());
        let began = Instant::now();
        block_on(sleep(MOMENT));
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_dropped_sleeper_is_removed() {
        let mut dropped = sleep(Duration::from_secs(3600));
        assert!(block_on(poll_immediate(&mut dropped)).is_none());
        let key = dropped.key.unwrap();
        assert!(CLOCK.lock().sleepers.contains_key(&key));
        drop(dropped);
        assert!(!CLOCK.lock().sleepers.contains_key(&key));
    }

    #[test]
    fn a_sleep_of_zero_ends_at_once_and_the_longest_never() {
        assert!(block_on(poll_immediate(sleep(Duration::ZERO))).is_some());
        assert!(block_on(poll_immediate(sleep(Duration::MAX))).is_none());
    }
}
