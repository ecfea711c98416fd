use std::{
    error::Error as _,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use etcd_transport::{
    Request, Response, Transport, TransportError, async_trait,
    http::{self, Uri, Version, uri::Scheme},
};
use reqwest::{Client, ClientBuilder};

use crate::{body, client, target::Targets};

/// Carries requests by [reqwest](https://docs.rs/reqwest).
///
/// The default sends by [`client_builder`](Self::client_builder) as it stands; [`new`](Self::new) takes a client of
/// yours. It runs on tokio: `send` and `sleep` panic outside a tokio runtime, as reqwest and tokio do.
pub struct ReqwestTransport {
    client: BuiltClient,
    http2: OnceLock<BuiltClient>,
    targets: Targets,
}

/// A client, or why there is none: asked for again with each request, and then the reason for its refusal.
type BuiltClient = Result<Client, Arc<dyn std::error::Error + Send + Sync>>;

impl ReqwestTransport {
    /// Sends by this client.
    ///
    /// What [`client_builder`](Self::client_builder) switches off is yours to switch off: redirects, reqwest's retries,
    /// proxies, decompression and overall timeouts each break a promise that etcd-http leans on.
    /// By `https://` it sends requests for HTTP/2, too; by `http://` these are refused unless
    /// [`with_http2`](Self::with_http2) has given a client for them.
    pub fn new(client: Client) -> Self {
        let none = "no client for HTTP/2 was given: see ReqwestTransport::with_http2";
        let none: Box<dyn std::error::Error + Send + Sync> = none.into();
        Self {
            client: Ok(client),
            http2: OnceLock::from(Err(none.into())),
            targets: Targets::default(),
        }
    }

    /// Sends requests for HTTP/2 by `http://` by this client, which is to be built with
    /// [`http2_prior_knowledge`](ClientBuilder::http2_prior_knowledge).
    ///
    /// The default transport needs none: it builds one when the first such request comes.
    pub fn with_http2(self, client: Client) -> Self {
        Self {
            http2: OnceLock::from(Ok(client)),
            ..self
        }
    }

    /// The settings we recommend, for you to add to (certificates, default headers, a resolver) and to build from.
    ///
    /// No redirects, no retries, no proxy (not from the environment either), no decompression, no `Referer`, and no
    /// timeout but two seconds for connecting: the client above decides on all of these.
    /// `TCP_NODELAY`, and TCP keep-alive after 15 seconds, so that a long poll notices a peer that is gone. By HTTP/2 a
    /// stream that nobody reads holds up no other.
    ///
    /// With the feature `rustls` this makes *ring* the process's default provider, where there is none yet.
    pub fn client_builder() -> ClientBuilder {
        client::builder()
    }

    fn client(&self, version: Version, uri: &Uri) -> Result<&Client, TransportError> {
        // With TLS both ends agree on HTTP/2 or they do not: hyper sends nothing then, see `is_of_the_version`.
        let is_by_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let client = if version == Version::HTTP_2 && !is_by_tls {
            self.http2
                .get_or_init(|| build(client::builder().http2_prior_knowledge()))
        } else {
            &self.client
        };
        client
            .as_ref()
            .map_err(|reason| TransportError::rejected(Arc::clone(reason)))
    }
}

impl Default for ReqwestTransport {
    fn default() -> Self {
        Self {
            client: build(client::builder()),
            http2: OnceLock::new(),
            targets: Targets::default(),
        }
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (head, content) = request.into_parts();
        let client = self.client(head.version, &head.uri)?;
        let url = self.targets.url(&head.uri)?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = body::outgoing(content);
        if head.version == Version::HTTP_2 {
            *request.version_mut() = Version::HTTP_2;
        }
        let response = client.execute(request).await.map_err(send_error)?;
        let response = http::Response::<reqwest::Body>::from(response);
        Ok(response.map(body::incoming))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// By tokio's clock, so that a test can pause it.
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Says nothing of the client, whose default headers may hold a secret.
impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").finish_non_exhaustive()
    }
}

fn build(builder: ClientBuilder) -> BuiltClient {
    builder.build().map_err(|error| Arc::new(error) as _)
}

fn send_error(error: reqwest::Error) -> TransportError {
    // Whoever reports the error knows the endpoint, and what of the path and the query may be shown.
    let error = error.without_url();
    if error.is_connect() {
        TransportError::connect(error)
    } else if error.is_builder() || is_of_the_version(&error) {
        TransportError::rejected(error)
    } else {
        TransportError::interrupted(error)
    }
}

/// The request was for HTTP/2, and the connection is not. hyper has no predicate for it.
fn is_of_the_version(error: &reqwest::Error) -> bool {
    let said = error.source().map(ToString::to_string);
    said.is_some_and(|said| said.contains("UserUnsupportedVersion"))
}
