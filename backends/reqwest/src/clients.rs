//! Which reqwest client, and so which connection pool, carries a request.

use std::{error::Error, path::PathBuf, sync::Arc};

use etcd_transport::{
    TransportError,
    http::{Uri, Version, uri::Scheme},
};
use reqwest::{Client, ClientBuilder};

use crate::{
    builder,
    followed_files::FollowedFiles,
    pool::{BuiltClient, ChosenClient, Pool},
};

/// Adds settings to a client, or says why it cannot.
pub(crate) trait Configure: Fn(ClientBuilder) -> Configured + Send + Sync + 'static {}

impl<F: Fn(ClientBuilder) -> Configured + Send + Sync + 'static> Configure for F {}

pub(crate) type Configured = Result<ClientBuilder, Box<dyn Error + Send + Sync>>;

/// The clients of one transport.
pub(crate) struct Clients {
    /// HTTP/1.1, or over TLS what both ends agree on.
    negotiated: Pool,
    /// HTTP/2 by prior knowledge.
    http2: Pool,
}

impl Clients {
    /// Builds clients, when they are needed, from the recommended settings and `configure`; and those that may use TLS again when
    /// one of the files has changed.
    pub(crate) fn configured(files: Vec<PathBuf>, configure: impl Configure) -> Self {
        let files = (!files.is_empty()).then(|| FollowedFiles::new(files));
        let configure = Arc::new(configure);
        let negotiated = {
            let configure = Arc::clone(&configure);
            move || build(configure(builder::recommended()))
        };
        let http2 = move || build(configure(builder::recommended().http2_prior_knowledge()));
        Self {
            negotiated: Pool::building(files, negotiated),
            http2: Pool::building(None, http2),
        }
    }

    /// Uses this client, and none for HTTP/2 by prior knowledge.
    pub(crate) fn given(client: Client) -> Self {
        let reason = "no client for HTTP/2 was given: see ReqwestTransport::with_http2";
        let reason: Box<dyn Error + Send + Sync> = reason.into();
        Self {
            negotiated: Pool::Given(Ok(client)),
            http2: Pool::Given(Err(reason.into())),
        }
    }

    /// Uses this client for HTTP/2 by prior knowledge.
    pub(crate) fn with_http2(self, client: Client) -> Self {
        Self {
            http2: Pool::Given(Ok(client)),
            ..self
        }
    }

    pub(crate) fn set_streams_per_connection(&mut self, streams: usize) {
        self.negotiated.set_streams_per_connection(streams);
        self.http2.set_streams_per_connection(streams);
    }

    /// Builds the first client.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub(crate) fn check(&self) -> Result<(), TransportError> {
        self.negotiated.shared().map(drop)
    }

    /// No connection could be made.
    pub(crate) fn connection_failed(&self) {
        self.negotiated.connection_failed();
    }

    /// Returns the client for a request.
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if the client could not be built.
    pub(crate) fn choose(
        &self,
        version: Version,
        uri: &Uri,
        is_long_lived: bool,
    ) -> Result<ChosenClient, TransportError> {
        // Over TLS the ends agree on HTTP/2 or they do not: then hyper sends nothing, see `failure::is_unsupported_version`.
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let is_prior_knowledge = version == Version::HTTP_2 && !is_tls;
        let pool = if is_prior_knowledge {
            &self.http2
        } else {
            &self.negotiated
        };
        // Over HTTP/1.1 each exchange has a connection to itself in any case, and reqwest's pool has no limit.
        if is_long_lived && (is_tls || is_prior_knowledge) {
            pool.long_lived()
        } else {
            pool.shared().map(ChosenClient::Shared)
        }
    }
}

fn build(configured: Configured) -> BuiltClient {
    let built = configured.and_then(|builder| builder.build().map_err(Into::into));
    built.map_err(Arc::from)
}
