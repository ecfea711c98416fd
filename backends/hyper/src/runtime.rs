//! The tokio runtime, and what is left to do where there is none.

use std::{future::poll_fn, pin::pin, time::Duration};

use etcd_transport::TransportError;
use tokio::runtime::{Handle, Id};

/// Returns the present runtime, or an error where tokio would panic.
///
/// It drives the connections that are made in it. A request in another one does not use them: this one may not be driven, as one of
/// the kind `current_thread` outside of its `block_on`.
pub(crate) fn current() -> Result<Id, TransportError> {
    match Handle::try_current() {
        Ok(handle) => Ok(handle.id()),
        Err(_) => Err(TransportError::rejected(
            "no tokio runtime: the hyper backend must run inside a tokio runtime with I/O and time enabled",
        )),
    }
}

/// Sleeps by tokio's clock, or without a runtime on a thread: a caller that races a request against a timeout is to get the
/// error of the request, not a panic. It goes on in another runtime if it is polled there: the one in which it began may have ended.
pub(crate) async fn sleep(duration: Duration) {
    let Ok(handle) = Handle::try_current() else {
        return etcd_transport::sleep_on_a_thread(duration).await;
    };
    let mut runtime = handle.id();
    let mut sleep = pin!(tokio::time::sleep(duration));
    let deadline = sleep.deadline();
    poll_fn(|cx| {
        if let Ok(handle) = Handle::try_current()
            && handle.id() != runtime
        {
            runtime = handle.id();
            sleep.set(tokio::time::sleep_until(deadline));
        }
        sleep.as_mut().poll(cx)
    })
    .await;
}
