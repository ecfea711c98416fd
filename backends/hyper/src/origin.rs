use std::{ptr, sync::Arc};

use arc_swap::ArcSwap;
use etcd_transport::{
    TransportError,
    http::{
        HeaderValue, Uri,
        uri::{Authority, Scheme},
    },
};

use crate::{connect::Connector, http1, http2};

/// The connections to one server.
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    pub(crate) authority: Authority,
    /// The header `Host` of HTTP/1.1.
    pub(crate) host: HeaderValue,
    pub(crate) http1: http1::Pool,
    pub(crate) http2: http2::Pool,
    /// For [`LongLived`](etcd_transport::LongLived) requests over HTTP/2.
    pub(crate) http2_long_lived: http2::Pool,
    pub(crate) connector: Connector,
}

/// All servers that a transport has sent requests to: readers take no lock.
pub(crate) struct Origins {
    connector: Connector,
    known: ArcSwap<Vec<Arc<Origin>>>,
}

impl Origins {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            known: ArcSwap::default(),
        }
    }

    /// Returns why `https://` is not possible.
    #[cfg(feature = "rustls")]
    pub(crate) fn check_tls(&self) -> Result<(), TransportError> {
        self.connector.check(true)
    }

    /// Returns the server of a URI.
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if the URI is not one of `http://` or `https://` with an
    /// authority and without credentials.
    pub(crate) fn get(&self, uri: &Uri) -> Result<Arc<Origin>, TransportError> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(TransportError::rejected("the URI has no authority"));
        };
        let is_tls = *scheme == Scheme::HTTPS;
        let known = self.known.load();
        if let Some(origin) = find(&known, is_tls, authority) {
            return Ok(Arc::clone(origin));
        }
        if !is_tls && *scheme != Scheme::HTTP {
            return Err(TransportError::rejected(
                "the URI's scheme is neither http nor https",
            ));
        }
        if authority.as_str().contains('@') {
            return Err(TransportError::rejected("the URI has credentials"));
        }
        self.connector.check(is_tls)?;
        self.add(is_tls, authority)
    }

    fn add(&self, is_tls: bool, authority: &Authority) -> Result<Arc<Origin>, TransportError> {
        let host = HeaderValue::from_str(authority.as_str()).map_err(TransportError::rejected)?;
        let added = Arc::new(Origin {
            is_tls,
            authority: authority.clone(),
            host,
            http1: http1::Pool::default(),
            http2: http2::Pool::default(),
            http2_long_lived: http2::Pool::default(),
            connector: self.connector.clone(),
        });
        let mut result = Arc::clone(&added);
        self.known.rcu(|known| {
            let mut known = Vec::clone(known);
            if let Some(origin) = find(&known, is_tls, authority) {
                // Another thread was faster.
                result = Arc::clone(origin);
                return known;
            }
            result = Arc::clone(&added);
            if known.len() >= MAX_ORIGINS {
                // Exchanges that are open go on; the idle connections are closed.
                known.remove(0);
            }
            known.push(Arc::clone(&added));
            known
        });
        Ok(result)
    }
}

fn find<'a>(
    known: &'a [Arc<Origin>],
    is_tls: bool,
    authority: &Authority,
) -> Option<&'a Arc<Origin>> {
    known
        .iter()
        .find(|origin| origin.is_tls == is_tls && is_same(&origin.authority, authority))
}

/// Whether both are the same, which they usually share: to compare them costs more.
fn is_same(one: &Authority, other: &Authority) -> bool {
    ptr::eq(one.as_str(), other.as_str()) || one == other
}

/// How many servers are remembered: far more than a cluster has members.
const MAX_ORIGINS: usize = 100;
