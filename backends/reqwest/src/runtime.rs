//! The tokio runtime, and what is left to do where there is none.

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

use etcd_transport::TransportError;
use tokio::runtime::Handle;

/// Returns an error where reqwest would panic.
pub(crate) fn check() -> Result<(), TransportError> {
    match Handle::try_current() {
        Ok(_) => Ok(()),
        Err(_) => Err(TransportError::rejected(
            "no tokio runtime: the reqwest backend must run inside a tokio runtime with I/O and time enabled",
        )),
    }
}

/// Sleeps by tokio's clock, or without a runtime on a thread: a caller that races a request against a timeout is to get the
/// error of the request, not a panic.
pub(crate) async fn sleep(duration: Duration) {
    if Handle::try_current().is_ok() {
        tokio::time::sleep(duration).await;
    } else {
        sleep_on_a_thread(duration).await;
    }
}

async fn sleep_on_a_thread(duration: Duration) {
    let state = Arc::new(Mutex::new(State::Sleeping(None)));
    // Never sends: when the future is dropped, so is this, and the thread ends.
    let (_cancel, canceled) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name("etcd-reqwest-sleep".to_owned());
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
