use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{FakeEtcd, core::Shared};

impl FakeEtcd {
    /// Counts a task among those that must wait before the clock may jump ([`Clock::Auto`](crate::Clock::Auto)).
    ///
    /// The task counts as running from this call until it waits, and again from the moment it is woken, by whatever it
    /// is woken. The clock jumps at the very poll that leaves no tracked task running. A test that tracks all its tasks
    /// is deterministic as far as time goes, whatever the executor and the number of threads.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use etcd_fake::{Clock, FakeEtcd};
    /// # use etcd_transport::Transport;
    /// let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
    /// let hour = etcd.sleep(Duration::from_secs(3600));
    /// futures::executor::block_on(etcd.track(hour));
    /// assert_eq!(etcd.elapsed(), Duration::from_secs(3600));
    /// ```
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        let flag = Arc::new(Flag {
            shared: Arc::clone(&self.shared),
            is_woken: AtomicBool::new(true),
            waker: Mutex::new(None),
        });
        self.shared.with(|core| {
            core.time.tracked += 1;
            core.time.runnable += 1;
        });
        Tracked {
            task: Box::pin(task),
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }
}

struct Tracked<F> {
    task: Pin<Box<F>>,
    flag: Arc<Flag>,
    waker: Waker,
}

/// Whether a task is to run, and how to have it run.
struct Flag {
    shared: Arc<Shared>,
    /// Woken, and not polled since. It changes under the core's lock only, together with the core's count.
    is_woken: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl<F: Future> Future for Tracked<F> {
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

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        self.flag.shared.with(|core| {
            core.time.tracked -= 1;
            if self.flag.is_woken.swap(true, Ordering::Relaxed) {
                core.time.runnable -= 1;
            }
            core.pass_the_baton();
            core.jump_if_all_wait();
        });
    }
}

impl Flag {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Flag {
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
