//! The fake on a real port.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Request, Response, Transport, TransportError};
use http::{Uri, header::TRANSFER_ENCODING};
use http_body::SizeHint;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::fake::FakeEtcd;

/// Serves a fake's endpoint on a listener, until the future is dropped.
///
/// Every connection is a task of the tokio runtime. A connection that the fake reports as broken is closed. A watch ends when
/// its client goes. Use [`Clock::Real`](crate::Clock::Real), unless the test moves the clock by hand.
///
/// ```
/// # use etcd_http_fake::{Clock, FakeEtcd, serve};
/// # async fn example() -> std::io::Result<()> {
/// let etcd = FakeEtcd::builder().clock(Clock::Real).build();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// println!("http://{}", listener.local_addr()?);
/// let server = tokio::spawn(serve(etcd, 0, listener));
/// // … a client in any language …
/// server.abort();
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
///
/// # Errors
/// When the listener fails permanently. A failed connection affects no other.
pub async fn serve(etcd: FakeEtcd, endpoint: usize, listener: TcpListener) -> io::Result<()> {
    let url = etcd.endpoint(endpoint).url();
    let url: Arc<str> = url.trim_end_matches('/').into();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The client has gone before it was accepted, or there are too many at the moment.
            Err(error) if is_transient(&error) => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(error) => return Err(error),
        };
        tokio::spawn(connection(etcd.clone(), Arc::clone(&url), stream));
    }
}

async fn connection(etcd: FakeEtcd, url: Arc<str>, stream: TcpStream) {
    // Small responses are sent at once. Without it the connection is only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (etcd, url) = (etcd.clone(), Arc::clone(&url));
        async move { answer(&etcd, &url, request).await }
    });
    // An error ends this connection, and its client sees that.
    let _ = http1::Builder::new()
        .title_case_headers(true)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    etcd: &FakeEtcd,
    url: &str,
    request: hyper::Request<Incoming>,
) -> Result<Response, TransportError> {
    let (mut head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let uri: Result<Uri, _> = format!("{url}{target}").parse();
    head.uri = uri.map_err(TransportError::rejected)?;
    let body = Body::stream(Received(body));
    let response = etcd.send(Request::from_parts(head, body)).await?;
    if !response.headers().contains_key(TRANSFER_ENCODING) {
        return Ok(response);
    }
    // What etcd sends without a length has none for a client of HTTP/1.0 either, although it is known here.
    Ok(response.map(|body| Body::stream(Unmeasured(body))))
}

/// A body that does not announce its length.
struct Unmeasured(Body);

impl http_body::Body for Unmeasured {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

/// The body of a request, as the transport has it.
struct Received(Incoming);

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        frame.map_err(TransportError::interrupted)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn is_transient(error: &io::Error) -> bool {
    // 23 and 24: the system, or the process, has no file descriptors left.
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) || matches!(error.raw_os_error(), Some(23 | 24))
}
