use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use etcd_transport::{
    Request, Response, Transport, TransportError, TransportErrorKind, async_trait,
};

use crate::{
    body,
    clock::Clock,
    service::{BoxService, Failure, HttpService},
    services::{Http2, Services},
};

/// Carries requests with a `tower::Service`: an HTTP client, and the layers around it.
///
/// The types of the services are erased, as those of layered services can hardly be written down; it costs an allocation for each
/// request, beside some of each HTTP stack.
pub struct TowerTransport {
    services: Services,
    classify: Box<Classify>,
    clock: Box<dyn Clock>,
}

type Classify = dyn Fn(&(dyn Error + 'static)) -> TransportErrorKind + Send + Sync;

impl TowerTransport {
    /// Creates a transport that sends with this service, and waits with this clock. Requests for HTTP/2 are rejected, unless
    /// [`with_http2`](Self::with_http2) provides services for them.
    ///
    /// The service must keep the contract of [`Transport`]. So it must not follow redirects, send a request again, use proxies of
    /// the environment, or decompress a body, and a status must not be an error. It is cloned for each request.
    ///
    /// ```
    /// use etcd_transport_tower::TowerTransport;
    /// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    ///
    /// let service = Client::builder(TokioExecutor::new()).build_http();
    /// let transport = TowerTransport::new(service, tokio::time::sleep);
    /// ```
    pub fn new(service: impl HttpService, clock: impl Clock) -> Self {
        Self {
            services: Services::new(BoxService::new(service)),
            classify: Box::new(|_| TransportErrorKind::Interrupted),
            clock: Box::new(clock),
        }
    }

    /// Sends requests for HTTP/2, and so gRPC, with services that `make` makes: one for usual requests, and one for each 16 that are
    /// [`LongLived`](etcd_transport::LongLived). Each must have connections of its own, and use HTTP/2 and nothing else: with `http://`
    /// by prior knowledge.
    ///
    /// A server limits the streams of a connection, and most HTTP clients have one connection for each origin: if long-lived requests
    /// had the same client as others, these would wait for them.
    ///
    /// ```
    /// use etcd_transport_tower::TowerTransport;
    /// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    ///
    /// let http1 = Client::builder(TokioExecutor::new()).build_http();
    /// let transport = TowerTransport::new(http1, tokio::time::sleep).with_http2(|| {
    ///     let mut client = Client::builder(TokioExecutor::new());
    ///     client.http2_only(true).build_http()
    /// });
    /// ```
    pub fn with_http2<S: HttpService>(self, make: impl Fn() -> S + Send + Sync + 'static) -> Self {
        self.with_http2_of(STREAMS_PER_CONNECTION, make)
    }

    /// As [`with_http2`](Self::with_http2), with another number of long-lived requests for each service. Lower it if the server, or a
    /// proxy before it, allows fewer concurrent streams. Zero counts as one.
    pub fn with_http2_of<S: HttpService>(
        mut self,
        streams_per_connection: usize,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let make = move || BoxService::new(make());
        self.services.http2 = Some(Http2::new(streams_per_connection, make));
        self
    }

    /// Sends [`LongLived`](etcd_transport::LongLived) requests that are not for HTTP/2 with this service: one without the time
    /// limit and the limit of concurrency that others have. A watch, or a wait for a lock, gets its response when something
    /// happens.
    pub fn with_long_lived(mut self, service: impl HttpService) -> Self {
        self.services.http1_long_lived = Some(BoxService::new(service));
        self
    }

    /// Sets what an error of the services means: see [`TransportErrorKind`], whose kinds are promises. A write that was definitely
    /// not sent is sent to another endpoint; where that is not sure, its outcome is unknown. By default every error is
    /// [`Interrupted`](TransportErrorKind::Interrupted): nothing is known.
    ///
    /// `classify` gets the error as the outermost layer returns it, and looks for the cause below. It is not asked about the
    /// errors of bodies, after which every outcome is open. If a service fails before it is ready, the request was definitely not
    /// sent: unless `classify` knows more, the kind is [`Connect`](TransportErrorKind::Connect).
    pub fn classify(
        mut self,
        classify: impl Fn(&(dyn Error + 'static)) -> TransportErrorKind + Send + Sync + 'static,
    ) -> Self {
        self.classify = Box::new(classify);
        self
    }

    /// Rejects [`Duplex`](etcd_transport::Duplex) requests: for a service that reads the whole body of a request before it responds,
    /// as one that signs it does. Then the client renews a lease, and opens a watch, by a request each.
    pub fn half_duplex(mut self) -> Self {
        self.services.is_half_duplex = true;
        self
    }

    fn error(&self, failure: Failure) -> TransportError {
        use TransportErrorKind::{Connect, Rejected, Unprocessed, Untrusted};
        match failure {
            Failure::Called(error) => TransportError::new((self.classify)(&*error), error),
            Failure::NotReady(error) => {
                let kind = match (self.classify)(&*error) {
                    kind @ (Rejected | Unprocessed | Untrusted) => kind,
                    _ => Connect,
                };
                TransportError::new(kind, error)
            }
        }
    }
}

#[async_trait]
impl Transport for TowerTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let chosen = self.services.choose(&request)?;
        let sent = chosen.service().send(request).await;
        let response = sent.map_err(|failure| self.error(failure))?;
        Ok(match chosen.into_lease() {
            Some(lease) => response.map(|body| body::keeping(body, lease)),
            None => response,
        })
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// Shows nothing of the services, whose layers may contain a secret.
impl fmt::Debug for TowerTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}

/// Far below 100, the least limit that RFC 9113 recommends to servers: a request beyond the server's limit waits until
/// another ends.
const STREAMS_PER_CONNECTION: usize = 16;
