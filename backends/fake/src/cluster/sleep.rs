use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{core::Shared, state::State, timeline::SleepKey};

/// Resolves when the fake's clock has reached a time.
pub(crate) struct Sleep<S: State> {
    shared: Arc<Shared<S>>,
    due: u64,
    key: Option<SleepKey>,
}

impl<S: State> Sleep<S> {
    pub(crate) fn until(shared: Arc<Shared<S>>, due: u64) -> Self {
        Self {
            shared,
            due,
            key: None,
        }
    }
}

impl<S: State> Future for Sleep<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let done = this.shared.with(|core| {
            if core.time.elapsed >= this.due {
                core.time.note_activity();
                return true;
            }
            let key = *this.key.get_or_insert_with(|| {
                core.time.note_activity();
                core.time.next_sleeper += 1;
                (this.due, core.time.next_sleeper)
            });
            let old = core.time.sleepers.insert(key, cx.waker().clone());
            core.drop_waker(old);
            core.idle(Some(key), cx.waker()) && core.time.elapsed >= this.due
        });
        if done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: State> Drop for Sleep<S> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.with(|core| {
                let old = core.time.sleepers.remove(&key);
                core.drop_waker(old);
                core.time.note_activity();
                core.wake_next_candidate();
            });
        }
    }
}
