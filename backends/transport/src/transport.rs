use std::{
    fmt::Debug,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{Body, TransportError};

/// A request with an absolute `http://` or `https://` URI and every header it needs, `Host` and framing aside.
pub type Request = http::Request<Body>;

/// The head of an answer; its body is still arriving.
pub type Response = http::Response<Body>;

/// Carries HTTP requests to etcd, and tells the client the time.
///
/// # Contract
///
/// - **A status is an answer.** Every status, 404 and 503 alike, is `Ok`. `Err` means that there is no response.
/// - **One call, one request.** No retry, not even of a request that died with a reused connection; no redirect is
///   followed, nothing is cached, decompressed or added to the body. Policy lives in the client, once. A backend whose HTTP
///   stack sends a `GET` or `HEAD` again in that one case, and cannot be told not to, says so in its documentation.
/// - **The head does not wait for the body.** `send` resolves when the head has arrived. A backend whose HTTP stack
///   cannot do this may resolve with the first byte of the body (or its end), and says so in its documentation.
/// - **The body is a stream** of data frames that may end in trailers, in both directions. A body that ends before its
///   announced length, or whose last chunk never came, ends in an error, never in a clean end.
/// - **Dropping is cancelling.** Dropping the future of `send`, or the [`Body`] of a response, frees the connection: at
///   once, or, where the HTTP stack cannot notice, when the request's [`IdleLimit`] has passed.
/// - **HTTP/2 when asked.** A request whose `version()` is `HTTP_2` travels by HTTP/2 (on `http://` by prior knowledge)
///   or is [`Rejected`](crate::TransportErrorKind::Rejected). Any other request travels by whatever version both ends
///   agree on; by HTTP/2 its header `Connection` is left out. One that is [`Duplex`], too, is answered while its body goes on, or `Rejected`.
/// - **Kinds are promises.** [`Connect`](crate::TransportErrorKind::Connect) promises that the server saw nothing of the
///   request. When in doubt, [`Interrupted`](crate::TransportErrorKind::Interrupted).
/// - **Time belongs to the transport.** `sleep` and `now` follow one clock, so that a test transport can move it by hand.
/// - **Nothing leaks.** No header that the request marks as sensitive appears in `Debug`, an error or a log.
///
/// `etcd-transport-conformance` has a test for each clause.
///
/// # Wrappers
///
/// `Arc<T>` and `Box<T>` are transports too, `Arc<dyn Transport>` included. A transport that wraps another (to count, to
/// log, to add a header) forwards all three methods.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends one request, once, and resolves with the response.
    ///
    /// # Errors
    /// Only when there is no response; the error's [`kind`](TransportError::kind) says what the server may have seen.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Resolves no sooner than `duration` from now, by the clock of [`now`](Self::now).
    async fn sleep(&self, duration: Duration);

    /// The present, by a clock that never runs backwards.
    fn now(&self) -> Instant;
}

/// How long the caller lets an exchange be silent before it drops it: an extension of a [`Request`], and a hint.
///
/// A transport that notices a dropped exchange at once ignores it. One that cannot notice takes care that the exchange can
/// be ended all the same, or gives up by itself once no byte has arrived for this long: a dropped exchange holds its
/// connection no longer. isahc does the one for as many exchanges as it can, and the other for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLimit(pub Duration);

/// The body of this request goes on after its answer has begun: an extension of a [`Request`] for HTTP/2.
///
/// The answer's head and its frames arrive while the request's body is still open, and what the body brings later is sent
/// as it comes. A transport whose stack cannot do this refuses the request
/// ([`Rejected`](crate::TransportErrorKind::Rejected)) and sends nothing of it. To end the exchange, the caller ends or
/// drops what feeds the body, and drops the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplex;

/// What `#[async_trait]` makes of a method: written out below, for a future that is handed on is not boxed again.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

macro_rules! forward {
    ($pointer:ident) => {
        impl<T: Transport + ?Sized> Transport for $pointer<T> {
            fn send<'a, 'f>(
                &'a self,
                request: Request,
            ) -> BoxFuture<'f, Result<Response, TransportError>>
            where
                'a: 'f,
                Self: 'f,
            {
                (**self).send(request)
            }

            fn sleep<'a, 'f>(&'a self, duration: Duration) -> BoxFuture<'f, ()>
            where
                'a: 'f,
                Self: 'f,
            {
                (**self).sleep(duration)
            }

            fn now(&self) -> Instant {
                (**self).now()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
