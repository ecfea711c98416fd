//! The tokio runtime, and what is left to do where there is none.

use std::{pin::Pin, time::Duration};

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
pub(crate) fn sleep(duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    if Handle::try_current().is_ok() {
        Box::pin(tokio::time::sleep(duration))
    } else {
        Box::pin(etcd_transport::sleep_on_a_thread(duration))
    }
}
