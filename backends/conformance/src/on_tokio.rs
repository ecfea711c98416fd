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

/// A write of a value.
pub fn put(uri: Uri) -> Request {
    let mut request = Request::new(Body::from("value=1"));
    *request.uri_mut() = uri;
    *request.method_mut() = Method::PUT;
    request
}
