use std::{
    error::Error as _,
    fmt,
    time::{Duration, Instant},
};

use etcd_transport::{
    IdleLimit, Request, Response, Transport, TransportError, TransportErrorKind, async_trait,
    http::Version,
};
use isahc::{
    HttpClient, HttpClientBuilder,
    config::Configurable,
    error::{Error, ErrorKind},
};

use crate::{body, clients::Clients, request, timer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(15);
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Carries requests by [isahc](https://docs.rs/isahc), on any executor.
///
/// It holds two clients, each with a thread of its own, and more for watches; see [the crate's documentation](crate) for the
/// reason, and for the limits of this transport.
pub struct IsahcTransport {
    clients: Result<Clients, Error>,
    idle_limit: Duration,
}

impl IsahcTransport {
    /// Builds a transport whose clients are configured by `configure`, on top of what we recommend.
    ///
    /// What we recommend is two seconds for connecting, `TCP_NODELAY`, TCP keep-alive every 15 seconds, and no proxy, not
    /// from the environment either. Settings that would break the contract are decided for each request and cannot be
    /// configured: redirects, decompression, `Expect: 100-continue`, the version of HTTP and the low-speed limit.
    ///
    /// `configure` is called for each of the clients, whenever another one is needed. It must not dial a Unix socket: a
    /// timeout there would pass for one that came before the connection.
    ///
    /// # Errors
    /// When isahc cannot build a client. [`Default`] takes that as it is, and refuses each request with the reason.
    pub fn configured(
        configure: impl Fn(HttpClientBuilder) -> HttpClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, TransportError> {
        let clients = Clients::new(move || configure(recommended()));
        Ok(Self {
            clients: Ok(clients.map_err(TransportError::rejected)?),
            idle_limit: IDLE_LIMIT,
        })
    }

    /// How long an exchange may be silent when its request has no [`IdleLimit`](etcd_transport::IdleLimit); 60 seconds
    /// unless set.
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
        let may_be_dropped = request.extensions().get::<IdleLimit>().is_some();
        let request = request::outgoing(request, self.idle_limit)?;
        let client = clients.choose(&request, may_be_dropped);
        let method = request.method().clone();
        let sent = client.send_async(request).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let error = send_error(error);
                // Where nobody knows what went wrong, it may be the client.
                if error.is_unsent() {
                    client.give_back();
                }
                return Err(error);
            }
        };
        if http2 && response.version() != Version::HTTP_2 {
            // By TLS, a server may decline: the request was sent all the same.
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

/// Says nothing of the clients, whose default headers may hold a secret.
impl fmt::Debug for IsahcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsahcTransport")
            .field("idle_limit", &self.idle_limit)
            .finish_non_exhaustive()
    }
}

/// A client as etcd-http leans on it.
fn recommended() -> HttpClientBuilder {
    HttpClient::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay()
        .tcp_keepalive(KEEPALIVE)
        .proxy(None)
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
