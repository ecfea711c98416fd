use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::transport::HyperTransport;

/// Settings of a [`HyperTransport`].
///
/// ```
/// use std::time::Duration;
///
/// use etcd_transport_hyper::HyperTransport;
///
/// let transport = HyperTransport::builder()
///     .connect_timeout(Duration::from_secs(5))
///     .build()?;
/// # Ok::<_, etcd_transport::TransportError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HyperTransportBuilder {
    pub(crate) settings: Settings,
    #[cfg(feature = "rustls")]
    pub(crate) tls: crate::tls::TlsSettings,
}

/// What the pools and the connections read.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) http2_ping_interval: Option<Duration>,
    pub(crate) http2_ping_timeout: Duration,
    pub(crate) unix_socket: Option<PathBuf>,
    pub(crate) resolve: Vec<(String, SocketAddr)>,
    pub(crate) is_http1_only: bool,
}

impl HyperTransportBuilder {
    /// Limits the time for making a connection: name resolution, TCP, TLS, and over HTTP/2 the wait for the server's
    /// settings. Defaults to 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(LONGEST);
        self
    }

    /// Closes a connection that has carried nothing for this long. Defaults to 55 s, since usual proxies close an idle
    /// connection after 60 or 75 s, and a request that is sent at that moment fails.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout.min(LONGEST);
        self
    }

    /// Probes silent TCP connections at this interval; `None` disables it. Defaults to 15 s.
    pub fn tcp_keepalive(mut self, interval: Option<Duration>) -> Self {
        self.settings.tcp_keepalive = interval;
        self
    }

    /// Sends an HTTP/2 ping at this interval while streams are open; `None` disables it. Defaults to 15 s.
    ///
    /// Intervals below 10 s are raised to 10 s: etcd closes connections that ping more often than every 5 s.
    pub fn http2_ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.settings.http2_ping_interval =
            interval.map(|interval| interval.clamp(LEAST_INTERVAL, LONGEST));
        self
    }

    /// Closes an HTTP/2 connection that has not answered a ping for this long. Defaults to 10 s.
    pub fn http2_ping_timeout(mut self, timeout: Duration) -> Self {
        self.settings.http2_ping_timeout = timeout.min(LONGEST);
        self
    }

    /// Makes every connection to this Unix domain socket. The host of a request's URI is sent as usual and not resolved.
    ///
    /// Fails at the first request on systems without Unix domain sockets.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.unix_socket = Some(path.into());
        self
    }

    /// Connects to this address for this host, instead of what its name resolves to.
    ///
    /// For a server that is reached under another name than its certificate has. May be called more than once.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.settings.resolve.push((host.into(), address));
        self
    }

    /// Rejects requests for HTTP/2, so that etcd-http speaks JSON over HTTP/1.1.
    pub fn http1_only(mut self) -> Self {
        self.settings.is_http1_only = true;
        self
    }

    /// Trusts these certificate authorities, in PEM, and none of the system's.
    ///
    /// May be called more than once.
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.add_roots(pem.as_ref());
        self
    }

    /// Presents this client certificate (with its chain) and its private key, each in PEM.
    #[cfg(feature = "rustls")]
    pub fn identity(mut self, certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.tls.set_identity(certificates.as_ref(), key.as_ref());
        self
    }

    /// Trusts the certificate authorities in this file, in PEM, as [`root_certificates`](Self::root_certificates) does. It is read
    /// again for a new connection when it has changed; connections that are open stay. If it cannot be read then, or not parsed,
    /// what was read last is used.
    #[cfg(feature = "rustls")]
    pub fn root_certificates_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.add_roots_file(path.into());
        self
    }

    /// Presents the client certificate (with its chain) and the private key in these files, each in PEM. They are read again, both of
    /// them, for a new connection when one has changed; connections that are open stay. While they do not fit together, as between two
    /// writes, what was read last is used.
    #[cfg(feature = "rustls")]
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls.set_identity_files(certificates.into(), key.into());
        self
    }

    /// Uses this configuration for `https://`, and ignores all certificates that are set
    /// otherwise. Its ALPN protocols are replaced.
    #[cfg(feature = "rustls")]
    pub fn rustls(mut self, config: rustls::ClientConfig) -> Self {
        self.tls.set_config(config);
        self
    }

    /// Creates the transport.
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if a certificate or a key cannot be read.
    pub fn build(self) -> Result<HyperTransport, etcd_transport::TransportError> {
        HyperTransport::from_builder(self)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(55),
            tcp_keepalive: Some(Duration::from_secs(15)),
            http2_ping_interval: Some(Duration::from_secs(15)),
            http2_ping_timeout: Duration::from_secs(10),
            unix_socket: None,
            resolve: Vec::new(),
            is_http1_only: false,
        }
    }
}

/// etcd's servers accept a ping every 5 s, and close the connection with `ENHANCE_YOUR_CALM` otherwise.
const LEAST_INTERVAL: Duration = Duration::from_secs(10);

/// Far more than any use, and far less than what a clock can add.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
