//! What a transport on tokio does beyond the contract.

use std::{
    error::Error,
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{
    Body, Request, Transport, TransportErrorKind,
    http::{Method, Uri},
};
use futures::future::{join, poll_immediate};

use crate::server::Server;

/// The clock is tokio's: in a runtime whose clock is paused, an hour passes at once.
pub async fn an_hour_passes_at_once(transport: &impl Transport) {
    let (start, real) = (transport.now(), Instant::now());
    let hour = Duration::from_secs(3600);
    transport.sleep(hour).await;
    assert!(transport.now() - start >= hour);
    assert!(real.elapsed() < hour);
}

/// Outside a runtime, a request is rejected before anything is sent, and a sleep still sleeps. Nothing panics.
pub async fn a_request_outside_a_runtime_is_rejected(transport: &impl Transport) {
    let server = Server::responding("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let moment = Duration::from_millis(50);
    let start = transport.now();
    // As the client does: a request races against a timeout.
    let request = transport.send(put(server.uri("/")));
    let (sent, ()) = join(request, transport.sleep(moment)).await;
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("no tokio runtime"), "{error:?}");
    assert!(transport.now() - start >= moment);
    // A sleep that is dropped leaves nothing behind.
    let long = pin!(transport.sleep(Duration::MAX));
    assert!(poll_immediate(long).await.is_none());
    assert_eq!(server.connections(), 0);
}

/// A sleep that began in a runtime which has ended goes on in the runtime where it is polled: streams of an endpoint share a timer, and
/// may be in several runtimes.
///
/// # Panics
/// If there is no runtime to be had.
pub fn a_sleep_goes_on_in_another_runtime(transport: &impl Transport) {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a runtime")
    };
    let moment = Duration::from_millis(50);
    let mut sleep = pin!(transport.sleep(moment));
    let (start, first) = (Instant::now(), runtime());
    let polled = first.block_on(async { poll_immediate(&mut sleep).await });
    assert!(polled.is_none());
    drop(first);
    runtime().block_on(sleep);
    assert!(start.elapsed() >= moment);
}

/// A write of a value.
pub fn put(uri: Uri) -> Request {
    let mut request = Request::new(Body::from("value=1"));
    *request.uri_mut() = uri;
    *request.method_mut() = Method::PUT;
    request
}
