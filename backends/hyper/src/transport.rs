use std::{
    fmt,
    future::ready,
    pin::Pin,
    time::{Duration, Instant},
};

use etcd_transport::{LongLived, Request, Response, Transport, TransportError, http::Version};

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
/// A connection belongs to the runtime in which it was made: it carries only requests that are sent there, and breaks when that runtime
/// ends.
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

/// What `#[async_trait]` makes of the methods, written out: each future is boxed in the size that its protocol needs, and the
/// request is moved into it once. The runtime is that in which the future is polled.
impl Transport for HyperTransport {
    fn send<'a, 'f>(
        &'a self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        let origin = match self.origins.get(request.uri()) {
            Ok(origin) => origin,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        if request.version() != Version::HTTP_2 {
            return Box::pin(http1::send(origin, request));
        }
        let kind = match request.extensions().get::<LongLived>() {
            Some(_) => http2::Kind::LongLived,
            None => http2::Kind::Usual,
        };
        Box::pin(http2::send(origin, kind, request))
    }

    fn sleep<'a, 'f>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(runtime::sleep(duration))
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
