use std::{fmt, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::stream::BoxStream;
use http::Method;

use crate::{
    builder::ClientBuilder,
    curl::{self, Login},
    endpoints::{endpoint::Endpoint, set::EndpointState},
    error::{Error, Result},
    operation::{Call, Operation, StreamOperation},
    pipeline::{execute::Pipeline, observe::trace, retry::RetryPolicy},
    raw::RawRequest,
    status::{self, Health, ServerVersion},
    v2::V2,
    v3::V3,
};

/// A client of one etcd cluster, over any [`Transport`].
///
/// A clone is cheap and shares everything: the connections, what is known of the endpoints, the credentials. Every
/// operation takes `&self`; thousands of tasks may use one client at once.
///
/// Operations are values ([`v2::Set`](crate::v2::Set) and its kin), carried out by [`send`](Self::send) or, where answers
/// keep coming, by [`open`](Self::open). [`v2()`](Self::v2) and [`v3()`](Self::v3) have a short form for each.
///
/// Dropping the future of an operation cancels it. A write that was under way then may or may not be carried out; the
/// client itself is as good as before.
///
/// An attempt has a [time limit](ClientBuilder::timeout), and so have all attempts of an operation
/// [together](RetryPolicy::overall). [`with_timeout`](Self::with_timeout) and [`with_retry`](Self::with_retry) give a
/// client with others: for one operation, `client.with_timeout(limit).v2().get(key)`.
pub struct Client<T> {
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

    /// The v2 API: keys, members, stats, auth. etcd 3.4 and 3.5 have it when started with `--enable-v2`.
    pub fn v2(&self) -> V2<'_, T> {
        V2::new(self)
    }

    /// The v3 API: keys and values, watches, leases, locks, elections, auth, cluster, maintenance. etcd 3.4 and later have it.
    pub fn v3(&self) -> V3<'_, T> {
        V3::new(self)
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); what a failed write may have done is in its [`outcome`](crate::Error::outcome).
    pub async fn send<O: Operation>(&self, operation: O) -> Result<O::Output> {
        trace::future(O::NAME, async {
            let call = operation.encode()?;
            let reply = self.pipeline.execute(&call).await?;
            operation
                .decode(reply)
                .map_err(|error| self.explain(&call, error))
        })
        .await
    }

    /// Starts an operation whose answers keep coming. Nothing is sent before the stream is polled; dropping it ends it.
    pub fn open<O: StreamOperation>(&self, operation: O) -> BoxStream<'static, Result<O::Item>> {
        trace::stream(O::NAME, operation.open(self))
    }

    /// Any request, on the same pipeline as every other: `client.send(client.request(Method::GET, "/v2/keys/foo"))`, or
    /// with options in between. See [`RawRequest`].
    pub fn request(&self, method: Method, path: impl Into<String>) -> RawRequest {
        RawRequest::new(method, path)
    }

    /// `GET /version`: the versions of the server and of its cluster.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn version(&self) -> Result<ServerVersion> {
        self.send(status::GetVersion).await
    }

    /// `GET /health`: whether the server can serve. «Not healthy» is an answer, not an error.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn health(&self) -> Result<Health> {
        self.send(status::GetHealth).await
    }

    /// `GET /livez`: whether the server is alive, or should be started anew. «No» is an answer, not an error.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) where etcd is older than this check (3.4.29, 3.5.11), or has the v2
    /// API switched on.
    pub async fn livez(&self) -> Result<Health> {
        self.send(status::GetCheck::LIVE).await
    }

    /// `GET /readyz`: whether the server is ready to serve. «No» is an answer, not an error.
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
        Self::from_road(Pipeline {
            timeout,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// This client, with another policy of attempts, pauses, and the time for all of them. It shares everything else.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        Self::from_road(Pipeline {
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
    /// Those of the operation's [`encode`](Operation::encode).
    pub fn to_curl<O: Operation>(&self, operation: &O) -> Result<String> {
        let call = operation.encode()?;
        let place = self
            .pipeline
            .endpoints
            .current()
            .pick(&[], self.pipeline.transport.now());
        let credentials = self.pipeline.credentials.as_ref();
        let login = if credentials.is_some_and(|has| has.header(&call).is_some()) {
            Login::User
        } else if self.pipeline.needs_token(&call) {
            Login::Token
        } else {
            Login::Nothing
        };
        Ok(curl::command(&call, place.endpoint(), login))
    }

    /// The transport below.
    pub fn transport(&self) -> &T {
        &self.pipeline.transport
    }

    pub(crate) fn from_road(pipeline: Pipeline<T>) -> Self {
        Self {
            pipeline: Arc::new(pipeline),
        }
    }

    /// The error, with what this client knows of a refusal and etcd does not say.
    pub(crate) fn explain(&self, call: &Call, error: Error) -> Error {
        error.explained(call, self.pipeline.credentials.is_some())
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
