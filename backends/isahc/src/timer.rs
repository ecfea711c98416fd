//! Sleeping without a runtime.
//!
//! Every request races a time limit that is seldom reached. A timer that wakes its thread for each new limit costs such a
//! request as much as all the rest of the client; here the thread is woken only for an end that is nearer than the one it
//! waits for, and an end that nobody waits for any more is forgotten without it.

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
        place: None,
    }
}

/// See [`sleep`].
#[derive(Debug)]
pub(crate) struct Sleep {
    duration: Duration,
    /// Where it is among those that sleep, from its first poll on.
    place: Option<Place>,
}

/// When it ends, and a number of its own.
type Place = (Instant, u64);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let place = match self.place {
            Some(place) => place,
            None => {
                // An end beyond all time is never reached.
                let Some(end) = now.checked_add(self.duration) else {
                    return Poll::Pending;
                };
                let place = (end, CLOCK.lock().number());
                self.place = Some(place);
                place
            }
        };
        if place.0 <= now {
            return Poll::Ready(());
        }
        CLOCK.wake_at(place, cx.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            let waker = CLOCK.lock().sleepers.remove(place);
            // Not while the clock is locked: it may be somebody's own, and drop another `Sleep`.
            drop(waker);
        }
    }
}

static CLOCK: Clock = Clock {
    state: Mutex::new(State {
        sleepers: BTreeMap::new(),
        numbers: 0,
        next_look: None,
    }),
    sooner: Condvar::new(),
};

struct Clock {
    state: Mutex<State>,
    /// Tells the thread of an end that is nearer than its next look.
    sooner: Condvar,
}

struct State {
    sleepers: BTreeMap<Place, Waker>,
    numbers: u64,
    /// When the thread looks next by itself; `None` while it waits to be told.
    next_look: Option<Instant>,
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Clock {
    fn wake_at(&'static self, place: Place, waker: &Waker) {
        static THREAD: OnceLock<()> = OnceLock::new();

        let waker = waker.clone();
        let mut state = self.lock();
        let before = state.sleepers.insert(place, waker);
        let is_sooner = state.next_look.is_none_or(|look| place.0 < look);
        drop(state);
        drop(before);
        THREAD.get_or_init(|| {
            let thread = thread::Builder::new().name("etcd-isahc-timer".to_owned());
            // Without a thread nothing of isahc works either: it has failed before.
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
                // A waker may do anything, such as dropping a `Sleep`; or panic, which is to stop no other sleeper.
                drop(state);
                for waker in over.into_values() {
                    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                }
                state = self.lock();
                continue;
            }
            let nearest = state.sleepers.first_key_value().map(|((end, _), _)| *end);
            state.next_look = nearest;
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
    fn sleepers_wake_in_the_order_of_their_ends_and_none_too_soon() {
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
    fn a_nearer_end_is_not_kept_waiting_by_one_far_away() {
        let mut far = sleep(Duration::from_secs(3600));
        assert!(block_on(poll_immediate(&mut far)).is_none());
        let began = Instant::now();
        block_on(sleep(MOMENT));
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_dropped_sleeper_is_forgotten() {
        let mut dropped = sleep(Duration::from_secs(3600));
        assert!(block_on(poll_immediate(&mut dropped)).is_none());
        let place = dropped.place.unwrap();
        assert!(CLOCK.lock().sleepers.contains_key(&place));
        drop(dropped);
        assert!(!CLOCK.lock().sleepers.contains_key(&place));
    }

    #[test]
    fn a_sleep_of_nothing_is_over_and_one_of_all_time_never_ends() {
        assert!(block_on(poll_immediate(sleep(Duration::ZERO))).is_some());
        assert!(block_on(poll_immediate(sleep(Duration::MAX))).is_none());
    }
}
