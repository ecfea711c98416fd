//! Events of connections, if the feature `tracing` is enabled.

#[cfg(feature = "tracing")]
pub(crate) use enabled::*;

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::*;

#[cfg(feature = "tracing")]
mod enabled {
    use std::{error::Error, time::Duration};

    use etcd_transport::{TransportError, http::uri::Authority};

    use crate::connect::Alpn;

    /// A connection that is open. Dropping it is an event.
    pub(crate) struct OpenConnection {
        authority: Authority,
        version: &'static str,
    }

    impl OpenConnection {
        /// A connection was made, which took this time.
        pub(crate) fn made(authority: &Authority, alpn: Alpn, elapsed: Duration) -> Self {
            let version = version(alpn);
            tracing::debug!(
                target: "etcd_transport_hyper",
                server = authority.as_str(),
                network.protocol.version = version,
                elapsed = elapsed.as_secs_f64(),
                "a connection was made"
            );
            Self {
                authority: authority.clone(),
                version,
            }
        }
    }

    impl Drop for OpenConnection {
        fn drop(&mut self) {
            tracing::debug!(
                target: "etcd_transport_hyper",
                server = self.authority.as_str(),
                network.protocol.version = self.version,
                "a connection was closed"
            );
        }
    }

    /// No connection could be made.
    pub(crate) fn not_connected(authority: &Authority, alpn: Alpn, error: &TransportError) {
        let reason = error.source().map(ToString::to_string);
        tracing::debug!(
            target: "etcd_transport_hyper",
            server = authority.as_str(),
            network.protocol.version = version(alpn),
            reason = reason.as_deref(),
            "no connection could be made"
        );
    }

    fn version(alpn: Alpn) -> &'static str {
        match alpn {
            Alpn::Http1 => "1.1",
            Alpn::Http2 => "2",
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use std::time::Duration;

    use etcd_transport::{TransportError, http::uri::Authority};

    use crate::connect::Alpn;

    pub(crate) struct OpenConnection;

    impl OpenConnection {
        pub(crate) fn made(_: &Authority, _: Alpn, _: Duration) -> Self {
            Self
        }
    }

    pub(crate) fn not_connected(_: &Authority, _: Alpn, _: &TransportError) {}
}
