use std::{
    fmt::{self, Debug},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{Body, TransportError};

/// A request with an absolute `http://` or `https://` URI and every header that it needs, except `Host` and those that frame
/// the body.
pub type Request = http::Request<Body>;

/// The head of a response, and its body, which is still arriving.
pub type Response = http::Response<Body>;

/// Carries HTTP requests to etcd, and keeps the client's time.
///
/// # Contract
///
/// - **A status is a response.** A response with any status, 404 and 503 included, is `Ok`. `Err` means that there is no
///   response.
/// - **One call, one request.** `send` does not retry, not even a request that failed because a reused connection was
///   closed. It follows no redirect, caches nothing, and decompresses nothing. The client decides about all of these. A
///   backend whose HTTP stack sends a `GET` or a `HEAD` again when a reused connection fails, and has no setting against
///   it, documents that.
/// - **The head does not wait for the body.** `send` resolves when the head has arrived. A backend whose HTTP stack cannot
///   do this may resolve with the first byte of the body (or its end), and documents that.
/// - **Bodies are streams** of data frames that may end in trailers. Data and trailers of a response arrive unchanged and in
///   order; a response with trailers and no data is valid. A body that ends before its announced length, or without its
///   last chunk, ends in an error, never in a clean end. A backend whose HTTP stack cannot send the trailers of a request
///   documents that.
/// - **Headers pass unchanged**, `Content-Type` (`application/grpc` included) and `TE: trailers` among them. Over HTTP/2 the
///   header `Connection` is left out.
/// - **Dropping cancels.** Dropping the future of `send`, or the [`Body`] of a response, frees the connection or the stream:
///   immediately, or, where the HTTP stack cannot notice, when the request's [`IdleLimit`](crate::IdleLimit) has passed.
/// - **HTTP/2 on request.** A request whose `version()` is `HTTP_2` travels over HTTP/2 (with `http://` by prior knowledge,
///   with `https://` by ALPN) or fails with [`Rejected`](crate::TransportErrorKind::Rejected). Any other request travels
///   over the version that both ends agree on. A [`Duplex`](crate::Duplex) request is answered while its body is open, or
///   fails with `Rejected`. No method reports these abilities: the error does.
/// - **Long-lived requests get connections of their own.** However many [`LongLived`](crate::LongLived) exchanges are open,
///   no other request waits for them, and they do not wait for one another: neither for a free connection in a limited
///   pool, nor for a stream where the server limits the concurrent streams of a connection. A backend that cannot learn the
///   server's limit puts a fixed number of streams on a connection, at most 100 (the least limit that RFC 9113 recommends to
///   servers), and documents the number.
/// - **Kinds are promises.** [`Connect`](crate::TransportErrorKind::Connect),
///   [`Untrusted`](crate::TransportErrorKind::Untrusted) and
///   [`Rejected`](crate::TransportErrorKind::Rejected) promise that the server saw nothing of the request,
///   [`Unprocessed`](crate::TransportErrorKind::Unprocessed) that it did nothing with it. Without proof, the kind is
///   [`Interrupted`](crate::TransportErrorKind::Interrupted). A request over HTTP/2 that the server refused
///   (`REFUSED_STREAM`, or a `GOAWAY` with a lower stream id) is `Unprocessed`; a backend whose HTTP stack cannot tell
///   returns `Interrupted`, and documents that. No failure is a panic: where the environment lacks something (a runtime,
///   TLS), the request fails with `Rejected` and the reason.
/// - **Time belongs to the transport.** `sleep` and `now` follow one clock, so that a test transport can control it.
/// - **Nothing leaks.** No header that the request marks as sensitive appears in `Debug`, an error or a log.
///
/// `etcd-transport-conformance` has tests for each clause.
///
/// # Wrappers
///
/// `Arc<T>` and `Box<T>` are transports too, `Arc<dyn Transport>` included. A transport that wraps another (to count, to
/// log, to add a header) forwards all three methods, and the extensions of the request with it.
///
/// # Evolution
///
/// A method that is added later has a default implementation. A new demand comes as a request extension or an error kind
/// that a transport may ignore at first, with a clause here and tests in the conformance suite.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends one request, once, and resolves with the response.
    ///
    /// # Errors
    /// Only when there is no response; the error's [`kind`](TransportError::kind) says what the server may have seen.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Resolves no sooner than `duration` from now, by the clock of [`now`](Self::now).
    async fn sleep(&self, duration: Duration);

    /// Returns the current time of a clock that never runs backwards.
    fn now(&self) -> Instant;
}

/// Any transport, without its type.
///
/// `Arc<dyn Transport>` is a transport as well. But the compiler takes the lifetime in `dyn Transport` for one that may vary, and
/// then does not accept a spawned future that passes an async closure with this type in its parameters.
#[derive(Clone)]
pub struct DynTransport(Arc<dyn Transport>);

impl DynTransport {
    /// Erases the type of a transport.
    pub fn new(transport: impl Transport) -> Self {
        Self(Arc::new(transport))
    }
}

impl From<Arc<dyn Transport>> for DynTransport {
    fn from(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }
}

/// That of the transport itself.
impl Debug for DynTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The return type that `#[async_trait]` gives a method. Written out below so that forwarding does not box a future twice.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

macro_rules! forward {
    ($pointer:ty, |$self:ident| $transport:expr $(, $parameter:ident)?) => {
        impl$(<$parameter: Transport + ?Sized>)? Transport for $pointer {
            fn send<'a, 'f>(
                &'a $self,
                request: Request,
            ) -> BoxFuture<'f, Result<Response, TransportError>>
            where
                'a: 'f,
                Self: 'f,
            {
                $transport.send(request)
            }

            fn sleep<'a, 'f>(&'a $self, duration: Duration) -> BoxFuture<'f, ()>
            where
                'a: 'f,
                Self: 'f,
            {
                $transport.sleep(duration)
            }

            fn now(&$self) -> Instant {
                $transport.now()
            }
        }
    };
}

forward!(Arc<T>, |self| (**self), T);
forward!(Box<T>, |self| (**self), T);
forward!(DynTransport, |self| self.0);
