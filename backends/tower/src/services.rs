//! Which service carries a request.

use std::convert::Infallible;

use etcd_transport::{
    Duplex, LongLived, Request, ShardLease, Shards, TransportError,
    http::{Uri, Version, uri::Scheme},
};

use crate::service::BoxService;

/// The services of one transport.
pub(crate) struct Services {
    pub(crate) http1: BoxService,
    /// For long-lived requests, if it is another one.
    pub(crate) http1_long_lived: Option<BoxService>,
    pub(crate) http2: Option<Http2>,
    pub(crate) is_half_duplex: bool,
}

/// The services for HTTP/2, each of which has connections of its own.
pub(crate) struct Http2 {
    usual: BoxService,
    long_lived: Shards<BoxService>,
    make: Box<dyn Fn() -> BoxService + Send + Sync>,
}

/// The service for one request.
pub(crate) enum Chosen<'a> {
    Usual(&'a BoxService),
    LongLived(ShardLease<BoxService>),
}

impl Http2 {
    pub(crate) fn new(
        streams_per_connection: usize,
        make: impl Fn() -> BoxService + Send + Sync + 'static,
    ) -> Self {
        Self {
            usual: make(),
            long_lived: Shards::new(streams_per_connection),
            make: Box::new(make),
        }
    }
}

impl Services {
    pub(crate) fn new(http1: BoxService) -> Self {
        Self {
            http1,
            http1_long_lived: None,
            http2: None,
            is_half_duplex: false,
        }
    }

    /// Returns the service for a request.
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if no service can carry it.
    pub(crate) fn choose(&self, request: &Request) -> Result<Chosen<'_>, TransportError> {
        check(request.uri())?;
        let extensions = request.extensions();
        let is_long_lived = extensions.get::<LongLived>().is_some();
        if self.is_half_duplex && extensions.get::<Duplex>().is_some() {
            return Err(TransportError::rejected(HALF_DUPLEX));
        }
        if request.version() != Version::HTTP_2 {
            let long_lived = self.http1_long_lived.as_ref().filter(|_| is_long_lived);
            return Ok(Chosen::Usual(long_lived.unwrap_or(&self.http1)));
        }
        let Some(http2) = &self.http2 else {
            return Err(TransportError::rejected(WITHOUT_HTTP2));
        };
        if !is_long_lived {
            return Ok(Chosen::Usual(&http2.usual));
        }
        let Ok(lease) = http2
            .long_lived
            .lease(|| Ok::<_, Infallible>((http2.make)()));
        Ok(Chosen::LongLived(lease))
    }
}

impl Chosen<'_> {
    pub(crate) fn service(&self) -> &BoxService {
        match self {
            Self::Usual(service) => service,
            Self::LongLived(lease) => lease,
        }
    }

    /// What the body of the response keeps until it ends.
    pub(crate) fn into_lease(self) -> Option<ShardLease<BoxService>> {
        match self {
            Self::Usual(_) => None,
            Self::LongLived(lease) => Some(lease),
        }
    }
}

/// Rejects what services treat differently from one another.
fn check(uri: &Uri) -> Result<(), TransportError> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(TransportError::rejected("the URI has no authority"));
    };
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err(TransportError::rejected(
            "the URI's scheme is neither http nor https",
        ));
    }
    if authority.as_str().contains('@') {
        return Err(TransportError::rejected("the URI has credentials"));
    }
    Ok(())
}

const HALF_DUPLEX: &str =
    "the service needs the whole request before it responds: see TowerTransport::half_duplex";

const WITHOUT_HTTP2: &str = "no service for HTTP/2 was given: see TowerTransport::with_http2";
