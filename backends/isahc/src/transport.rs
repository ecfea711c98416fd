use std::{
    error::Error as _,
    fmt,
    time::{Duration, Instant},
};

use etcd_transport::{
    IdleLimit, LongLived, Request, Response, Transport, TransportError, TransportErrorKind,
    async_trait, http::Version,
};
use isahc::{
    HttpClient, HttpClientBuilder,
    config::Configurable,
    error::{Error, ErrorKind},
};

use crate::{body, clients::Clients, request, timer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Shorter than the time after which usual proxies close an idle connection (60 s for haproxy and AWS's load balancers,
/// 75 s for nginx). libcurl's default is 118 s.
const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// See [`IsahcTransport::with_idle_limit`].
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Carries requests with [isahc](https://docs.rs/isahc), on any executor.
///
/// It has two clients, each with a thread of its own, and more for long-lived requests. [The crate's documentation](crate)
/// explains why, and lists the limits of this transport.
pub struct IsahcTransport {
    clients: Result<Clients, Error>,
    idle_limit: Duration,
}

impl IsahcTransport {
    /// Creates a transport whose clients are configured by `configure`, on top of the recommended settings.
    ///
    /// These are two seconds for connecting, `TCP_NODELAY`, TCP keep-alive every 15 seconds, and no proxy, not from the
    /// environment either. Connections that were idle for 55 seconds are not reused. Settings that would break the
    /// contract are made for each request and cannot be configured: redirects, decompression, `Expect: 100-continue`,
    /// the version of HTTP and the low-speed limit.
    ///
    /// `configure` is called again whenever another client is needed. It must not dial a Unix socket: a timeout there
    /// would be mistaken for one before the connection.
    ///
    /// # Errors
    /// If isahc cannot build a client. [`Default`] does not fail; each request is rejected with the reason.
    pub fn configured(
        configure: impl Fn(HttpClientBuilder) -> HttpClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, TransportError> {
        let clients = Clients::new(move || configure(recommended()));
        Ok(Self {
            clients: Ok(clients.map_err(TransportError::rejected)?),
            idle_limit: IDLE_LIMIT,
        })
    }

    /// Sets how long an exchange may be silent if its request has no [`IdleLimit`]. Defaults to 60 seconds.
    pub fn with_idle_limit(self, idle_limit: Duration) -> Self {
        Self { idle_limit, ..self }
    }
}

impl Default for IsahcTransport {
    fn default() -> Self {
        Self {
            clients: Clients::new(recommended),
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
        let extensions = request.extensions();
        let may_be_dropped = extensions.get::<IdleLimit>().is_some();
        let is_long_lived = extensions.get::<LongLived>().is_some();
        let request = request::outgoing(request, self.idle_limit)?;
        let client = clients.choose(&request, may_be_dropped || is_long_lived);
        let method = request.method().clone();
        let sent = client.send_async(request).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let error = send_error(error);
                // After an unknown failure the client itself may be broken.
                if error.is_unsent() {
                    client.give_back();
                }
                return Err(error);
            }
        };
        if http2 && response.version() != Version::HTTP_2 {
            // Over TLS, a server may decline HTTP/2; libcurl has sent the request over HTTP/1.1.
            return Err(TransportError::interrupted(
                "the server does not speak HTTP/2",
            ));
        }
        Ok(body::incoming(response, &method, client))
    }

    async fn sleep(&self, duration: Duration) {
        timer::sleep(duration).await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Shows nothing of the clients, whose default headers may contain a secret.
impl fmt::Debug for IsahcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsahcTransport")
            .field("idle_limit", &self.idle_limit)
            .finish_non_exhaustive()
    }
}

/// The settings that every client starts from.
fn recommended() -> HttpClientBuilder {
    HttpClient::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay()
        .tcp_keepalive(KEEPALIVE)
        .connection_cache_ttl(CONNECTION_IDLE_TIMEOUT)
        .proxy(None)
}

fn send_error(error: Error) -> TransportError {
    if is_without_tls(&error) {
        return TransportError::rejected(WITHOUT_TLS);
    }
    let kind = match error.kind() {
        ErrorKind::ConnectionFailed | ErrorKind::NameResolution => TransportErrorKind::Connect,
        ErrorKind::BadServerCertificate => TransportErrorKind::Untrusted,
        // Once libcurl has connected it reports the address. A timeout after that may be the server's.
        ErrorKind::Timeout if error.remote_addr().is_none() => TransportErrorKind::Connect,
        ErrorKind::BadClientCertificate
        | ErrorKind::ClientInitialization
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidTlsConfiguration
        | ErrorKind::TlsEngine => TransportErrorKind::Rejected,
        _ => TransportErrorKind::Interrupted,
    };
    TransportError::new(kind, error)
}

const WITHOUT_TLS: &str = "built without TLS: enable the feature isahc-rustls of etcd-http (or rustls of etcd-transport-isahc) for https://";

/// Returns whether libcurl was built without TLS. isahc has one kind of error for that and for a server's violations.
fn is_without_tls(error: &Error) -> bool {
    let source = error.source().map(ToString::to_string);
    *error.kind() == ErrorKind::ProtocolViolation
        && error.remote_addr().is_none()
        && source.is_some_and(|source| source.contains("Unsupported protocol"))
}
