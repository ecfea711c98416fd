use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    core::{Core, Shared},
    state::State,
};

/// A task that the clock waits for.
pub(crate) struct Tracked<F, S: State> {
    task: Pin<Box<F>>,
    flag: Arc<Flag<S>>,
    waker: Waker,
}

/// Whether a task is to run, and how to have it polled.
struct Flag<S: State> {
    shared: Arc<Shared<S>>,
    /// Woken, and not polled since. This and the next change only under the core's lock, together with the core's counts.
    is_woken: AtomicBool,
    /// Returned, panicked or dropped: it counts no more.
    is_finished: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl<F: Future, S: State> Tracked<F, S> {
    pub(crate) fn new(task: F, shared: &Arc<Shared<S>>) -> Self {
        let flag = Arc::new(Flag {
            shared: Arc::clone(shared),
            is_woken: AtomicBool::new(true),
            is_finished: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        shared.with(|core| {
            core.time.tracked += 1;
            core.time.runnable += 1;
        });
        Self {
            task: Box::pin(task),
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }
}

impl<F: Future, S: State> Future for Tracked<F, S> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let old = this.flag.waker().replace(cx.waker().clone());
        drop(old);
        let mut turn = Turn::begin(&this.flag);
        let mut inner = Context::from_waker(&this.waker);
        let polled = this.task.as_mut().poll(&mut inner);
        turn.is_last = polled.is_ready();
        polled
    }
}

impl<F, S: State> Drop for Tracked<F, S> {
    fn drop(&mut self) {
        self.flag.shared.with(|core| self.flag.finish(core));
    }
}

impl<S: State> Flag<S> {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Relaxed)
    }

    /// Removes the task from the counts.
    fn finish(&self, core: &mut Core<S>) {
        if self.is_finished.swap(true, Ordering::Relaxed) {
            return;
        }
        core.time.tracked -= 1;
        if self.is_woken.swap(false, Ordering::Relaxed) {
            core.time.runnable -= 1;
        }
        core.wake_next_candidate();
        core.jump_if_all_wait();
    }
}

impl<S: State> Wake for Flag<S> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.with(|core| {
            if !self.is_finished() && !self.is_woken.swap(true, Ordering::Relaxed) {
                core.time.runnable += 1;
            }
        });
        let waker = self.waker().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A poll of a task, which counts as running until this is dropped.
struct Turn<'a, S: State> {
    flag: &'a Flag<S>,
    /// Whether the task ends with this poll, as it does when it panics.
    is_last: bool,
}

impl<'a, S: State> Turn<'a, S> {
    fn begin(flag: &'a Flag<S>) -> Self {
        flag.shared.with(|core| {
            // The count of the wake becomes that of the poll. A poll without a wake, as by a `join`, is counted here.
            if !flag.is_finished() && !flag.is_woken.swap(false, Ordering::Relaxed) {
                core.time.runnable += 1;
            }
        });
        let is_last = true;
        Self { flag, is_last }
    }
}

impl<S: State> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.flag.shared.with(|core| {
            if self.flag.is_finished() {
                return;
            }
            core.time.runnable -= 1;
            if self.is_last {
                self.flag.finish(core);
            } else {
                core.jump_if_all_wait();
            }
        });
    }
}
