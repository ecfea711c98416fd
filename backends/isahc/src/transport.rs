use std::{
    error::Error as _,
    fmt,
    time::{Duration, Instant},
};

use etcd_transport::{
    Request, Response, Transport, TransportError, TransportErrorKind, async_trait,
    http::{Method, Version},
};
use isahc::{
    HttpClient,
    config::Configurable,
    error::{Error, ErrorKind},
};

use crate::{body, request, timer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(15);
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Carries requests by [isahc](https://docs.rs/isahc), on any executor.
///
/// It holds two clients, each with a thread of its own; see [the crate's documentation](crate) for the reason, and for the
/// limits of this transport.
pub struct IsahcTransport {
    clients: Result<Clients, Error>,
    idle_limit: Duration,
}

struct Clients {
    /// For requests with a body, which libcurl cannot send twice: it cannot read the body twice. And for reads, which do no
    /// harm when they are sent twice.
    keeping: HttpClient,
    /// For writes without a body: libcurl sends those once more by itself when a connection that it kept dies.
    closing: HttpClient,
}

impl IsahcTransport {
    /// Builds a transport whose clients are configured by `configure`, on top of what we recommend.
    ///
    /// What we recommend is two seconds for connecting, `TCP_NODELAY`, TCP keep-alive every 15 seconds, and no proxy, not
    /// from the environment either. Settings that would break the contract are decided for each request and cannot be
    /// configured: redirects, decompression, `Expect: 100-continue`, the version of HTTP and the low-speed limit.
    ///
    /// `configure` is called once for each of the two clients. It must not dial a Unix socket: a timeout there would
    /// pass for one that came before the connection.
    ///
    /// # Errors
    /// When isahc cannot build a client. [`Default`] takes that as it is, and refuses each request with the reason.
    pub fn configured(
        mut configure: impl FnMut(isahc::HttpClientBuilder) -> isahc::HttpClientBuilder,
    ) -> Result<Self, TransportError> {
        let clients = Clients::new(&mut configure).map_err(TransportError::rejected)?;
        Ok(Self {
            clients: Ok(clients),
            idle_limit: IDLE_LIMIT,
        })
    }

    /// How long an exchange may be silent when its request has no [`IdleLimit`](etcd_transport::IdleLimit); 60 seconds
    /// unless set.
    pub fn with_idle_limit(self, idle_limit: Duration) -> Self {
        Self { idle_limit, ..self }
    }
}

impl Clients {
    fn new(
        configure: &mut impl FnMut(isahc::HttpClientBuilder) -> isahc::HttpClientBuilder,
    ) -> Result<Self, Error> {
        let mut builder = || {
            configure(
                HttpClient::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .tcp_nodelay()
                    .tcp_keepalive(KEEPALIVE)
                    .proxy(None),
            )
        };
        Ok(Self {
            keeping: builder().build()?,
            closing: builder().connection_cache_size(0).build()?,
        })
    }
}

impl Default for IsahcTransport {
    fn default() -> Self {
        Self {
            clients: Clients::new(&mut |builder| builder),
            idle_limit: IDLE_LIMIT,
        }
    }
}

#[async_trait]
impl Transport for IsahcTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let clients = self
            .clients
            .as_ref()
            .map_err(|error| TransportError::rejected(error.clone()))?;
        let http2 = request.version() == Version::HTTP_2;
        let request = request::outgoing(request, self.idle_limit)?;
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let client = if request.body().is_empty() && !is_read {
            &clients.closing
        } else {
            &clients.keeping
        };
        let method = request.method().clone();
        let response = client.send_async(request).await.map_err(send_error)?;
        if http2 && response.version() != Version::HTTP_2 {
            // By TLS, a server may decline: the request was sent all the same.
            return Err(TransportError::interrupted(
                "the server does not speak HTTP/2",
            ));
        }
        Ok(body::incoming(response, &method))
    }

    async fn sleep(&self, duration: Duration) {
        timer::sleep(duration).await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Says nothing of the clients, whose default headers may hold a secret.
impl fmt::Debug for IsahcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsahcTransport")
            .field("idle_limit", &self.idle_limit)
            .finish_non_exhaustive()
    }
}

fn send_error(error: Error) -> TransportError {
    let kind = match error.kind() {
        ErrorKind::ConnectionFailed
        | ErrorKind::NameResolution
        | ErrorKind::BadServerCertificate => TransportErrorKind::Connect,
        // Once libcurl has connected it says to whom; a timeout after that may be the server's.
        ErrorKind::Timeout if error.remote_addr().is_none() => TransportErrorKind::Connect,
        ErrorKind::ProtocolViolation if is_https_without_tls(&error) => {
            TransportErrorKind::Rejected
        }
        ErrorKind::BadClientCertificate
        | ErrorKind::ClientInitialization
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidTlsConfiguration
        | ErrorKind::TlsEngine => TransportErrorKind::Rejected,
        _ => TransportErrorKind::Interrupted,
    };
    TransportError::new(kind, error)
}

/// isahc has one kind for what libcurl was built without and for what a server did wrong.
fn is_https_without_tls(error: &Error) -> bool {
    let said = error.source().map(ToString::to_string);
    error.remote_addr().is_none() && said.is_some_and(|said| said.contains("Unsupported protocol"))
}
