//! The tokio runtime, and what is left to do where there is none.

use std::time::Duration;

use etcd_transport::TransportError;
use tokio::runtime::Handle;

/// Returns an error where tokio would panic.
pub(crate) fn check() -> Result<(), TransportError> {
    match Handle::try_current() {
        Ok(_) => Ok(()),
        Err(_) => Err(TransportError::rejected(
            "no tokio runtime: the hyper backend must run inside a tokio runtime with I/O and time enabled",
        )),
    }
}

/// Sleeps by tokio's clock, or without a runtime on a thread: a caller that races a request against a timeout is to get the
/// error of the request, not a panic.
pub(crate) async fn sleep(duration: Duration) {
    if Handle::try_current().is_ok() {
        tokio::time::sleep(duration).await;
    } else {
        etcd_transport::sleep_on_a_thread(duration).await;
    }
}
