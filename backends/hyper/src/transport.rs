use std::{
    fmt,
    time::{Duration, Instant},
};

use etcd_transport::{
    LongLived, Request, Response, Transport, TransportError, async_trait, http::Version,
};

use crate::{
    connect::Connector,
    http1, http2,
    origin::Origins,
    runtime,
    settings::{HyperTransportBuilder, Settings},
};

/// Carries requests with [hyper](https://docs.rs/hyper) (HTTP/1.1) and [h2](https://docs.rs/h2) (HTTP/2).
///
/// The default has the settings that [`HyperTransportBuilder`] documents. It must run inside a tokio runtime with I/O and time
/// enabled. Outside of one each request fails with [`Rejected`](etcd_transport::TransportErrorKind::Rejected).
///
/// A connection belongs to the runtime in which it was made, and breaks when that runtime ends.
pub struct HyperTransport {
    origins: Origins,
}

impl HyperTransport {
    /// Returns a builder with the default settings.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::default()
    }

    pub(crate) fn from_builder(builder: HyperTransportBuilder) -> Result<Self, TransportError> {
        let transport = Self::with(builder);
        #[cfg(feature = "rustls")]
        transport.origins.check_tls()?;
        Ok(transport)
    }

    /// Creates a transport that rejects `https://` if its TLS settings are wrong.
    fn with(builder: HyperTransportBuilder) -> Self {
        let HyperTransportBuilder {
            settings,
            #[cfg(feature = "rustls")]
            tls,
        } = builder;
        let settings: Settings = settings;
        Self {
            origins: Origins::new(Connector {
                settings,
                #[cfg(feature = "rustls")]
                tls: crate::tls::Tls::new(tls),
            }),
        }
    }
}

impl Default for HyperTransport {
    fn default() -> Self {
        Self::with(HyperTransportBuilder::default())
    }
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        runtime::check()?;
        let origin = self.origins.get(request.uri())?;
        if request.version() != Version::HTTP_2 {
            return http1::send(&origin, request).await;
        }
        let kind = match request.extensions().get::<LongLived>() {
            Some(_) => http2::Kind::LongLived,
            None => http2::Kind::Usual,
        };
        http2::send(&origin, kind, request).await
    }

    async fn sleep(&self, duration: Duration) {
        runtime::sleep(duration).await;
    }

    /// Returns the time of tokio's clock, so that a test can pause it.
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Shows nothing of the settings, which may contain a key.
impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}
