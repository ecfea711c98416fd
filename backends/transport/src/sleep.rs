use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// Resolves after `duration`, on any executor: a thread waits. Dropping the future ends the thread.
///
/// For a backend whose runtime is missing, so that a request that races against a timeout fails with its own error instead
/// of a panic. A thread for each call is too much for any other use.
pub async fn sleep_on_a_thread(duration: Duration) {
    let state = Arc::new(Mutex::new(State::Sleeping(None)));
    // Never sends: when the future is dropped, so is this, and the thread ends.
    let (_cancel, canceled) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name("etcd-transport-sleep".to_owned());
    let spawned = thread.spawn({
        let state = Arc::clone(&state);
        move || {
            if canceled.recv_timeout(duration) == Err(RecvTimeoutError::Timeout) {
                let before = std::mem::replace(&mut *lock(&state), State::Over);
                if let State::Sleeping(Some(waker)) = before {
                    waker.wake();
                }
            }
        }
    });
    if spawned.is_err() {
        // The system has no thread left.
        thread::sleep(duration);
        return;
    }
    poll_fn(|cx| match &mut *lock(&state) {
        State::Over => Poll::Ready(()),
        State::Sleeping(waker) => {
            *waker = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await;
}

enum State {
    Sleeping(Option<Waker>),
    Over,
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
