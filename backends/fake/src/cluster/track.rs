use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{core::Shared, state::State};

/// A task that the clock waits for.
pub(crate) struct Tracked<F, S: State> {
    task: Pin<Box<F>>,
    flag: Arc<Flag<S>>,
    waker: Waker,
}

/// Whether a task is to run, and how to have it run.
struct Flag<S: State> {
    shared: Arc<Shared<S>>,
    /// Woken, and not polled since. It changes under the core's lock only, together with the core's count.
    is_woken: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl<F: Future, S: State> Tracked<F, S> {
    pub(crate) fn new(task: F, shared: &Arc<Shared<S>>) -> Self {
        let flag = Arc::new(Flag {
            shared: Arc::clone(shared),
            is_woken: AtomicBool::new(true),
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
        // The count of the wake becomes that of the poll; a poll without a wake (by a `join`, say) counts by itself.
        this.flag.shared.with(|core| {
            if !this.flag.is_woken.swap(false, Ordering::Relaxed) {
                core.time.runnable += 1;
            }
        });
        let mut inner = Context::from_waker(&this.waker);
        let polled = this.task.as_mut().poll(&mut inner);
        this.flag.shared.with(|core| {
            core.time.runnable -= 1;
            core.jump_if_all_wait();
        });
        polled
    }
}

impl<F, S: State> Drop for Tracked<F, S> {
    fn drop(&mut self) {
        self.flag.shared.with(|core| {
            core.time.tracked -= 1;
            if self.flag.is_woken.swap(true, Ordering::Relaxed) {
                core.time.runnable -= 1;
            }
            core.wake_next_candidate();
            core.jump_if_all_wait();
        });
    }
}

impl<S: State> Flag<S> {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: State> Wake for Flag<S> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.with(|core| {
            if !self.is_woken.swap(true, Ordering::Relaxed) {
                core.time.runnable += 1;
            }
        });
        let waker = self.waker().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
