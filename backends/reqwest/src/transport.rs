use std::{
    error::Error,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use etcd_transport::{
    LongLived, Request, Response, Transport, TransportError, TransportErrorKind, async_trait,
    http::{self, Version},
};
use reqwest::{Client, ClientBuilder};

use crate::{body, builder, clients::Clients, failure, runtime, target::Targets};

/// Carries requests with [reqwest](https://docs.rs/reqwest).
///
/// The default uses the settings of [`client_builder`](Self::client_builder); [`configured`](Self::configured) adds yours.
/// It must run inside a tokio runtime with I/O and time enabled. Outside of one each request fails with
/// [`Rejected`](etcd_transport::TransportErrorKind::Rejected).
pub struct ReqwestTransport {
    clients: Clients,
    targets: Targets,
}

impl ReqwestTransport {
    /// Creates a transport whose clients are configured by `configure`, on top of the recommended settings (see
    /// [`client_builder`](Self::client_builder)).
    ///
    /// `configure` is called again whenever another client is needed: for HTTP/2 with `http://`, and for long-lived
    /// requests.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use etcd_transport_reqwest::ReqwestTransport;
    ///
    /// let transport = ReqwestTransport::configured(|client| {
    ///     client.pool_idle_timeout(Duration::from_secs(20))
    /// })?;
    /// # Ok::<_, etcd_transport::TransportError>(())
    /// ```
    ///
    /// # Errors
    /// If reqwest cannot build the first client. [`Default`] does not fail; each request is rejected with the reason.
    pub fn configured(
        configure: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, TransportError> {
        Self::configured_from_files::<PathBuf>([], move |client| Ok(configure(client)))
    }

    /// Creates a transport as [`configured`](Self::configured), with settings that come from files: certificates and keys that are
    /// replaced while the program runs.
    ///
    /// The files are looked at before a request, at most four times a second, and again after a connection that could not be made. When one
    /// has changed, `configure` reads them, and new connections are made with what it returns. What fails, as files that do not fit
    /// together between two writes, is not used, and tried again. Exchanges that are under way keep their connections to their ends;
    /// idle connections are closed. Files concern `https://` alone.
    ///
    /// ```
    /// use std::fs;
    ///
    /// # #[cfg(feature = "rustls")]
    /// use etcd_transport_reqwest::{ReqwestTransport, identity_from_pems};
    ///
    /// # #[cfg(feature = "rustls")] {
    /// let (certificate, key) = ("client.pem", "client-key.pem");
    /// let transport = ReqwestTransport::configured_from_files([certificate, key], move |client| {
    ///     let identity = identity_from_pems(fs::read(certificate)?, fs::read(key)?)?;
    ///     Ok(client.identity(identity))
    /// });
    /// assert!(transport.is_err(), "there are no such files");
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if `configure` fails, or reqwest cannot build the first client.
    pub fn configured_from_files<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
        configure: impl Fn(ClientBuilder) -> Result<ClientBuilder, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self, TransportError> {
        let files = files.into_iter().map(Into::into).collect();
        let clients = Clients::configured(files, configure);
        clients.check()?;
        Ok(Self::with(clients))
    }

    /// Creates a transport that sends with this client alone.
    ///
    /// Prefer [`configured`](Self::configured): one client has one pool, so [`LongLived`] requests over HTTP/2 share its
    /// connections with all others, which wait when the server's limit of concurrent streams is reached.
    ///
    /// In a client that you build yourself, disable what [`client_builder`](Self::client_builder) disables: redirects,
    /// retries, proxies, decompression and overall timeouts break clauses of the contract.
    ///
    /// With `https://` the client sends requests for HTTP/2, too; with `http://` these are rejected unless
    /// [`with_http2`](Self::with_http2) provides a client for them.
    pub fn new(client: Client) -> Self {
        Self::with(Clients::given(client))
    }

    /// Sends requests for HTTP/2 with `http://` with this client, which must be built with
    /// [`http2_prior_knowledge`](ClientBuilder::http2_prior_knowledge).
    ///
    /// Only [`new`](Self::new) needs this.
    pub fn with_http2(self, client: Client) -> Self {
        Self {
            clients: self.clients.with_http2(client),
            ..self
        }
    }

    /// Sets how many [`LongLived`] requests share an HTTP/2 connection. Defaults to 16.
    ///
    /// Lower it if the server, or a proxy before it, allows fewer concurrent streams: further requests on the
    /// connection would wait. Zero counts as one.
    pub fn with_streams_per_connection(mut self, streams: usize) -> Self {
        self.clients.set_streams_per_connection(streams);
        self
    }

    /// Returns the recommended settings, for a client that you build yourself.
    ///
    /// - No redirects, no retries, no proxy (not from the environment either), no decompression, no `Referer`.
    /// - No timeout but two seconds for connecting: the client of etcd-http sets the others.
    /// - Idle connections are closed after 55 seconds, before usual proxies close them.
    /// - `TCP_NODELAY`, and TCP keep-alive after 15 seconds, so that a long poll over HTTP/1.1 notices a peer that is gone.
    /// - An HTTP/2 ping every 15 seconds while streams are open; a connection that does not answer it within 10 seconds is closed.
    /// - The largest HTTP/2 window for the connection, so that a stream that is not read does not stop the others.
    ///
    /// With the feature `rustls` this installs *ring* as the process's default provider, unless there is one.
    pub fn client_builder() -> ClientBuilder {
        builder::recommended()
    }

    fn with(clients: Clients) -> Self {
        Self {
            clients,
            targets: Targets::default(),
        }
    }
}

impl Default for ReqwestTransport {
    fn default() -> Self {
        Self::with(Clients::configured(Vec::new(), Ok))
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        runtime::check()?;
        let (head, content) = request.into_parts();
        let url = self.targets.url(&head.uri)?;
        let is_long_lived = head.extensions.get::<LongLived>().is_some();
        let client = self
            .clients
            .choose(head.version, &head.uri, is_long_lived)?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = body::outgoing(content);
        if head.version == Version::HTTP_2 {
            *request.version_mut() = Version::HTTP_2;
        }
        let sent = client.execute(request).await;
        let sent = sent.map_err(|error| {
            let error = failure::send_error(error);
            if let TransportErrorKind::Connect | TransportErrorKind::Untrusted = error.kind() {
                self.clients.connection_failed();
            }
            error
        });
        let response = http::Response::<reqwest::Body>::from(sent?);
        Ok(response.map(|body| body::incoming(body, client.into_lease())))
    }

    async fn sleep(&self, duration: Duration) {
        runtime::sleep(duration).await;
    }

    /// Returns the time of tokio's clock, so that a test can pause it.
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Shows nothing of the clients, whose default headers may contain a secret.
impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").finish_non_exhaustive()
    }
}
