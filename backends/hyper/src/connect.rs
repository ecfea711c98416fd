//! Connections: name resolution, TCP or a Unix domain socket, TLS.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use etcd_transport::{TransportError, http::uri::Authority};
use futures::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};

use crate::{
    settings::Settings,
    trace::{self, OpenConnection},
};

/// Makes the connections of one transport.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) settings: Settings,
    #[cfg(feature = "rustls")]
    pub(crate) tls: crate::tls::Tls,
}

/// Which protocol a connection is for: the one that is offered to a TLS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    Http1,
    Http2,
}

/// A connection, encrypted or not.
pub(crate) struct Stream {
    io: Box<dyn AsyncStream>,
    /// Dropped with it.
    _open: Option<OpenConnection>,
}

trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for S {}

impl Connector {
    /// Connects, within the time for it.
    ///
    /// # Errors
    /// [`Connect`](etcd_transport::TransportErrorKind::Connect),
    /// [`Untrusted`](etcd_transport::TransportErrorKind::Untrusted), or
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if this connection cannot be made by this build or with
    /// this server.
    pub(crate) async fn connect(
        &self,
        is_tls: bool,
        authority: &Authority,
        alpn: Alpn,
    ) -> Result<Stream, TransportError> {
        let limit = self.settings.connect_timeout;
        let connecting = async {
            let stream = match &self.settings.unix_socket {
                Some(path) => unix(path).await,
                None => self.tcp(is_tls, authority).await,
            };
            let stream = stream.map_err(TransportError::connect)?;
            if is_tls {
                self.encrypt(stream, authority, alpn).await
            } else {
                Ok(stream)
            }
        };
        let began = Instant::now();
        let connected = timeout(limit, connecting).await.unwrap_or_else(|_| {
            let reason = format!("no connection within {limit:?}");
            Err(TransportError::connect(reason))
        });
        match connected {
            Ok(Stream { io, .. }) => {
                let open = OpenConnection::made(authority, alpn, began.elapsed());
                Ok(Stream {
                    io,
                    _open: Some(open),
                })
            }
            Err(error) => {
                trace::not_connected(authority, alpn, &error);
                Err(error)
            }
        }
    }

    async fn tcp(&self, is_tls: bool, authority: &Authority) -> io::Result<Stream> {
        let port = authority
            .port_u16()
            .unwrap_or(if is_tls { 443 } else { 80 });
        let host = authority.host();
        // The brackets of an IPv6 address belong to the URI.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let given = self.settings.resolve.iter().find(|(name, _)| name == host);
        let stream = match given {
            Some((_, address)) => TcpStream::connect(address).await?,
            None => first_of(lookup_host((host, port)).await?).await?,
        };
        stream.set_nodelay(true)?;
        if let Some(interval) = self.settings.tcp_keepalive {
            let keepalive = TcpKeepalive::new().with_time(interval);
            #[cfg(not(target_os = "openbsd"))]
            let keepalive = keepalive.with_interval(interval);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(Stream::new(stream))
    }

    #[cfg(feature = "rustls")]
    async fn encrypt(
        &self,
        stream: Stream,
        authority: &Authority,
        alpn: Alpn,
    ) -> Result<Stream, TransportError> {
        self.tls.connect(stream, authority.host(), alpn).await
    }

    #[cfg(not(feature = "rustls"))]
    async fn encrypt(&self, _: Stream, _: &Authority, _: Alpn) -> Result<Stream, TransportError> {
        Err(TransportError::rejected(WITHOUT_TLS))
    }

    /// Returns why no connection for `https://` can be made.
    pub(crate) fn check(&self, is_tls: bool) -> Result<(), TransportError> {
        if is_tls && !cfg!(feature = "rustls") {
            return Err(TransportError::rejected(WITHOUT_TLS));
        }
        #[cfg(feature = "rustls")]
        if is_tls {
            self.tls.check()?;
        }
        Ok(())
    }
}

/// Connects to the first address that responds. A further one is tried when the one before has failed, or is silent for a
/// while: an address family that does not work is not to use up the time.
async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses;
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        attempts.extend(next.map(TcpStream::connect));
        let connected = if is_last {
            attempts.next().await
        } else {
            match select(attempts.next(), Box::pin(sleep(HEAD_START))).await {
                Either::Left((connected, _)) => connected,
                Either::Right(_) => continue,
            }
        };
        match connected {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => failure = error,
            None if is_last => return Err(failure),
            None => {}
        }
    }
}

#[cfg(unix)]
async fn unix(path: &Path) -> io::Result<Stream> {
    tokio::net::UnixStream::connect(path).await.map(Stream::new)
}

#[cfg(not(unix))]
async fn unix(_: &Path) -> io::Result<Stream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no Unix domain sockets",
    ))
}

impl Stream {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            io: Box::new(stream),
            _open: None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// How long an address is tried alone: the delay that RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

const WITHOUT_TLS: &str = "built without TLS: enable the feature hyper-rustls of etcd-http (or rustls of etcd-transport-hyper) for https://";
