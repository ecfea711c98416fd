use std::{fmt, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::stream::BoxStream;
use http::Method;

use crate::{
    builder::ClientBuilder,
    curl,
    endpoints::{endpoint::Endpoint, state::EndpointState, wire::Wire},
    error::Result,
    operation::{Operation, StreamOperation},
    pipeline::{
        Pipeline, call::Login, exchange::TypedExchange, observe::trace, retry::RetryPolicy,
    },
    raw::RawRequest,
    status::{self, Health, ServerVersion},
};

/// A client of one etcd cluster, over any [`Transport`].
///
/// A clone is cheap and shares everything: the connections, what is known of the endpoints, the credentials. Every
/// operation takes `&self`; thousands of tasks may use one client at once.
///
/// Operations are values ([`v2::Set`](crate::v2::Set) and its kin), carried out by [`send`](Self::send) or, where answers
/// keep coming, by [`open`](Self::open). [`v2()`](Client::v2) and [`v3()`](Client::v3) have a short form for each.
///
/// Dropping the future of an operation cancels it. A write that was under way then may or may not be carried out; the
/// client itself is as good as before.
///
/// An attempt has a [time limit](ClientBuilder::timeout), and so have all attempts of an operation
/// [together](RetryPolicy::overall). [`with_timeout`](Self::with_timeout) and [`with_retry`](Self::with_retry) give a
/// client with others: for one operation, `client.with_timeout(limit).v2().get(key)`.
///
/// A client that has no type parameter to carry along is made by [`into_dyn`](Self::into_dyn): `Client` alone is
/// `Client<Arc<dyn Transport>>`.
pub struct Client<T = Arc<dyn Transport>> {
    pipeline: Arc<Pipeline<T>>,
}

impl<T: Transport + Default> Client<T> {
    /// A client for these endpoints, over a transport with its default settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no endpoint, or one is not an `http://` or `https://` URL.
    pub fn connect<E: AsRef<str>>(endpoints: impl IntoIterator<Item = E>) -> Result<Self> {
        Self::new(T::default(), endpoints)
    }
}

impl<T: Transport> Client<T> {
    /// A client for these endpoints, over this transport. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn new<E: AsRef<str>>(
        transport: T,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Result<Self> {
        Self::builder(transport).endpoints(endpoints).build()
    }

    /// A client with settings: credentials, time limits, retries.
    pub fn builder(transport: T) -> ClientBuilder<T> {
        ClientBuilder::new(transport)
    }

    /// This client without its type parameter: `Client`, over a transport behind a pointer. It shares everything.
    ///
    /// ```
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// use etcd_http::Client;
    ///
    /// struct Config {
    ///     etcd: Client,
    /// }
    ///
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let transport = etcd.clone();
    /// let config = Config {
    ///     etcd: Client::new(transport, ["http://127.0.0.1:2379"])?.into_dyn(),
    /// };
    /// config.etcd.v2().set("/color", "blue").await?;
    /// # Ok::<(), etcd_http::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn into_dyn(self) -> Client {
        let Pipeline {
            transport,
            endpoints,
            credentials,
            tokens,
            response_check,
            sync,
            observer,
            prefer_leader,
            retry,
            timeout,
            max_response_size,
        } = Pipeline::clone(&self.pipeline);
        Client::over(Pipeline {
            transport: Arc::new(transport as Arc<dyn Transport>),
            endpoints,
            credentials,
            tokens,
            response_check,
            sync,
            observer,
            prefer_leader,
            retry,
            timeout,
            max_response_size,
        })
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); what a failed write may have done is its [`outcome`](crate::Error::outcome).
    pub async fn send<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.perform(&operation).await
    }

    /// Carries out an exchange, and decodes the answer.
    pub(crate) async fn perform<D: Send>(
        &self,
        exchange: &(dyn TypedExchange<Decoded = D> + '_),
    ) -> Result<D> {
        trace::future(exchange.call().operation, async {
            let answer = self.pipeline.execute(exchange).await?;
            exchange.decode(answer)
        })
        .await
    }

    /// Starts an operation whose answers keep coming. Nothing is sent before the stream is polled; dropping it ends it.
    pub fn open<O: StreamOperation>(&self, operation: O) -> BoxStream<'static, Result<O::Item>> {
        trace::stream(O::NAME, operation.open(self))
    }

    /// Any request, on the same pipeline as every other: `client.send(client.request(Method::GET, "/v2/keys/foo"))`, or
    /// with options in between. See [`RawRequest`].
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RawRequest {
        RawRequest::new(method, path)
    }

    /// `GET /version`: the versions of the server and of its cluster.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn version(&self) -> Result<ServerVersion> {
        self.send(status::GetVersion).await
    }

    /// `GET /health`: whether the server can serve. "Not healthy" is an output, not an error.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn health(&self) -> Result<Health> {
        self.send(status::GetHealth).await
    }

    /// `GET /livez`: whether the server is alive, or should be restarted. "No" is an output, not an error.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) where etcd is older than this check (3.4.29, 3.5.11), or has the v2
    /// API switched on.
    pub async fn livez(&self) -> Result<Health> {
        self.send(status::GetCheck::LIVE).await
    }

    /// `GET /readyz`: whether the server is ready to serve. "No" is an output, not an error.
    ///
    /// # Errors
    /// As for [`livez`](Self::livez).
    pub async fn readyz(&self) -> Result<Health> {
        self.send(status::GetCheck::READY).await
    }

    /// `GET /metrics`: what the server counts, in the format of Prometheus.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn metrics(&self) -> Result<String> {
        self.send(status::GetMetrics).await
    }

    /// This client, with another time limit for one attempt. It shares everything else.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::over(Pipeline {
            timeout,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// This client, with another policy of attempts, pauses, and the time for all of them. It shares everything else.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        Self::over(Pipeline {
            retry: policy,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// The endpoints as they are now: those given, and what a [sync](Self::sync) has added.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let set = self.pipeline.endpoints.current();
        set.iter().map(EndpointState::endpoint).cloned().collect()
    }

    /// The operation as a command for `sh` with curl, to be run at the endpoint that is asked first. Credentials are left
    /// out: for v2 it takes `user:password` from the environment's `ETCDCTL_USER`, as etcdctl does; for v3, a token from
    /// `ETCD_TOKEN`.
    ///
    /// Keys and values are in it. Passwords that an operation of the auth API sends are not.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the options do not make a request that etcd could carry out.
    pub fn to_curl<O: Operation>(&self, operation: &O) -> Result<String> {
        let call = operation.call();
        let set = self.pipeline.endpoints.current();
        let first = set.pick(&[], self.pipeline.transport.now());
        let login = match call.login {
            Login::Basic if self.pipeline.credentials.is_none() => Login::None,
            Login::Token if self.pipeline.tokens.is_none() => Login::None,
            login => login,
        };
        let encoded = operation.encode(Wire::Http)?;
        Ok(curl::command(&encoded, first.endpoint(), login))
    }

    /// The transport below.
    pub fn transport(&self) -> &T {
        &self.pipeline.transport
    }

    pub(crate) fn over(pipeline: Pipeline<T>) -> Self {
        Self {
            pipeline: Arc::new(pipeline),
        }
    }

    pub(crate) fn pipeline(&self) -> &Pipeline<T> {
        &self.pipeline
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self {
            pipeline: Arc::clone(&self.pipeline),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pipeline", &self.pipeline)
            .finish()
    }
}
