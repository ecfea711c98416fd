//! One connection of a served fake.

use std::{
    error::Error,
    fmt,
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Request, Response, Transport, TransportError};
use http::{
    HeaderMap, Uri, Version,
    header::{CONTENT_TYPE, TRANSFER_ENCODING},
};
use http_body::SizeHint;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
};

use super::{grpc::StreamReset, head, websocket};
use crate::{fake::FakeEtcd, v3::auth::CommonName};

/// The bytes of a head of HTTP/1, as in Go's server.
const MAX_HEAD: usize = (1 << 20) + 4096;

/// The headers of a head of HTTP/1. Go's server has no such limit, and hyper prepares for all of them with each request.
const MAX_HEADERS: usize = 1000;

/// The bytes of metadata, as in etcd's gRPC.
const MAX_METADATA: u32 = 16 << 20;

/// What the requests of a connection have in common.
pub(super) struct Connection {
    etcd: FakeEtcd,
    url: Arc<str>,
    /// Its sender is dropped when the server is to stop.
    stopped: watch::Receiver<()>,
    /// Whether HTTP/2 carries other requests than those of gRPC, as it does over TLS.
    is_for_all_over_http2: bool,
    /// That of the client's certificate, where it names users.
    common_name: Option<CommonName>,
}

impl Connection {
    pub(super) fn new(etcd: FakeEtcd, url: Arc<str>, stopped: watch::Receiver<()>) -> Self {
        Self {
            etcd,
            url,
            stopped,
            is_for_all_over_http2: false,
            common_name: None,
        }
    }

    /// The same over TLS.
    #[cfg(feature = "tls")]
    pub(super) fn over_tls(self, common_name: Option<CommonName>) -> Self {
        Self {
            is_for_all_over_http2: true,
            common_name,
            ..self
        }
    }

    /// Resolves when the server is to stop.
    #[cfg(feature = "tls")]
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stopped = self.stopped.clone();
        // It fails when the sender is dropped.
        async move { drop(stopped.changed().await) }
    }

    /// Serves a connection, over HTTP/2 if it begins with the preface of that, until the client goes, or the connection
    /// breaks. When the server is to stop, it ends after the requests in progress.
    pub(super) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut stopped = self.stopped.clone();
        let this = Arc::new(self);
        let broken = Arc::new(Notify::new());
        let breaks = Arc::clone(&broken);
        let service = service_fn(move |request| {
            let (this, breaks) = (Arc::clone(&this), Arc::clone(&breaks));
            async move {
                if let Some(refusal) = head::refusal(&request) {
                    return Ok(refusal);
                }
                if websocket::is_asked_for(&request) {
                    let (etcd, stopped) = (this.etcd.clone(), this.stopped.clone());
                    return Ok(websocket::open(etcd, &this.url, request, stopped));
                }
                let is_http2 = request.version() == Version::HTTP_2;
                match this.answer(request).await {
                    Ok(response) => Ok(response),
                    Err(error) if is_reset(&error) => {
                        Err(ServiceError::Reset(h2::Reason::PROTOCOL_ERROR.into()))
                    }
                    // Not the stream breaks but the connection.
                    Err(_) if is_http2 => {
                        breaks.notify_one();
                        pending().await
                    }
                    Err(error) => Err(ServiceError::Broken(error)),
                }
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let mut http1 = builder.http1();
        http1.title_case_headers(true);
        http1.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let mut http2 = builder.http2();
        // gRPC has no dates, and etcd no limit.
        http2.auto_date_header(false).max_concurrent_streams(None);
        http2.max_header_list_size(MAX_METADATA);
        let mut connection =
            pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut break_off = pin!(broken.notified());
        let mut stop = pin!(stopped.changed());
        let mut is_stopping = false;
        // An error ends this connection, and its client sees that.
        poll_fn(|cx| {
            if !is_stopping && stop.as_mut().poll(cx).is_ready() {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            if break_off.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            connection.as_mut().poll(cx).map(drop)
        })
        .await;
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<Response, TransportError> {
        let (mut head, body) = request.into_parts();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let uri: Result<Uri, _> = format!("{}{target}", self.url).parse();
        head.uri = uri.map_err(TransportError::rejected)?;
        if self.is_for_all_over_http2 && !is_grpc(&head.headers) {
            head.version = Version::HTTP_11;
        }
        if let Some(common_name) = &self.common_name {
            head.extensions.insert(common_name.clone());
        }
        let body = Body::stream(Received(body));
        let response = self.etcd.send(Request::from_parts(head, body)).await?;
        if !response.headers().contains_key(TRANSFER_ENCODING) {
            return Ok(response);
        }
        // What etcd sends without a length has none for a client of HTTP/1.0 either, although it is known here.
        Ok(response.map(|body| Body::stream(Unmeasured(body))))
    }
}

/// Whether etcd hands a request over HTTP/2 to gRPC.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|value| {
        let grpc = b"application/grpc";
        value
            .as_bytes()
            .windows(grpc.len())
            .any(|part| part == grpc)
    })
}

/// Why a request gets no response.
#[derive(Debug)]
enum ServiceError {
    /// hyper finds the reason in this.
    Reset(h2::Error),
    Broken(TransportError),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset(_) => "the stream is reset",
            Self::Broken(_) => "the connection is broken",
        })
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Reset(error) => error,
            Self::Broken(error) => error,
        })
    }
}

fn is_reset(error: &TransportError) -> bool {
    error
        .source()
        .is_some_and(|source| source.is::<StreamReset>())
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
