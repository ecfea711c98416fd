use std::{fmt, sync::Arc, time::Duration};

use etcd_transport::{DynTransport, Transport};
use futures::{StreamExt, stream::BoxStream};
use http::Method;

use crate::{
    base::trace,
    curl,
    endpoints::{info::EndpointInfo, wire::Wire},
    error::{Error, Result},
    operation::{Operation, StreamOperation},
    pipeline::{
        Pipeline,
        call::{Call, Login},
        exchange::{TypedExchange, call_of},
        retry::RetryPolicy,
        stats::Stats,
    },
    raw::RawRequest,
    status::{self, Health, ServerVersion},
};

/// A client of one etcd cluster, over any [`Transport`].
///
/// A clone is cheap and shares everything: connections, the state of the endpoints, credentials. Every operation takes
/// `&self`, and thousands of tasks can use one client at the same time.
///
/// Operations are values, such as [`v3::Put`](crate::v3::Put). [`send`](Self::send) executes an operation with one
/// response, [`open`](Self::open) one with a stream of responses. [`v3()`](Client::v3) and [`v2()`](Client::v2) have a
/// short form for each.
///
/// Dropping the future of an operation cancels it. A write that was under way may or may not be applied. The client can
/// still be used.
///
/// Each attempt has a [time limit](crate::ClientBuilder::timeout), and so do all attempts of an operation
/// [together](RetryPolicy::overall). [`with_timeout`](Self::with_timeout) and [`with_retry`](Self::with_retry) return a
/// client with other limits, for one operation: `client.with_timeout(limit).v3().kv().get(key)`.
///
/// [`into_dyn`](Self::into_dyn) removes the type parameter: `Client` alone is `Client<DynTransport>`.
pub struct Client<T = DynTransport> {
    pipeline: Arc<Pipeline<T>>,
}

impl<T: Transport> Client<T> {
    /// Returns this client without its type parameter: a `Client` over any [`DynTransport`]. It shares everything.
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
            apis,
            endpoints,
            credentials,
            token_source,
            response_check,
            rejects_stale_reads,
            sync,
            observer,
            prefer_leader,
            retry,
            hedge,
            timeout,
            max_response_size,
            lifecycle,
            stats,
            trace_context,
            retry_tokens,
            call_limit,
            is_privileged,
        } = Pipeline::clone(&self.pipeline);
        Client::over(Pipeline {
            transport: Arc::new(DynTransport::from(transport as Arc<dyn Transport>)),
            apis,
            endpoints,
            credentials,
            token_source,
            response_check,
            rejects_stale_reads,
            sync,
            observer,
            prefer_leader,
            retry,
            hedge,
            timeout,
            max_response_size,
            lifecycle,
            stats,
            trace_context,
            retry_tokens,
            call_limit,
            is_privileged,
        })
    }

    /// Executes one operation.
    ///
    /// # Errors
    /// See [`Error`](crate::Error). Whether a failed write may have been applied is its
    /// [`outcome`](crate::Error::outcome).
    pub async fn send<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.perform(&operation).await
    }

    /// Executes an exchange and decodes the response.
    pub(crate) async fn perform<D: Send>(
        &self,
        exchange: &(dyn TypedExchange<Decoded = D> + '_),
    ) -> Result<D> {
        let call = call_of(exchange, self.pipeline.apis);
        let Call {
            operation,
            is_write,
            ..
        } = call;
        let work = async {
            let pipeline = &self.pipeline;
            let count = |is_failed| {
                if let Some(stats) = &pipeline.stats {
                    stats.called(operation, is_failed);
                }
            };
            let in_call =
                |error: Error| error.in_call(operation, is_write, exchange.method_and_path());
            let begun = pipeline.begin(&call).await;
            let _under_way = begun.inspect_err(|_| count(true)).map_err(in_call)?;
            let executed = pipeline.execute_call(exchange, &call).await;
            let result = executed.and_then(|answer| exchange.decode(answer));
            count(result.is_err());
            result.map_err(in_call)
        };
        trace::future(operation, work, Error::type_name).await
    }

    /// Opens an operation with a stream of responses. Nothing is sent before the stream is polled. Dropping the stream
    /// ends the request.
    pub fn open<O: StreamOperation>(&self, operation: O) -> BoxStream<'static, Result<O::Item>> {
        let pipeline = &self.pipeline;
        let mut stream = trace::stream(O::NAME, operation.open(self));
        if let Some(stats) = &pipeline.stats {
            let open = stats.opened(O::NAME);
            stream = Box::pin(stream.inspect(move |_| {
                let _until_dropped = &open;
            }));
        }
        pipeline
            .lifecycle
            .guard(O::NAME, pipeline.is_privileged, stream)
    }

    /// Creates a request for any method and path: `client.send(client.request(Method::GET, "/v2/keys/foo"))`. It passes
    /// through the same pipeline as every operation. See [`RawRequest`].
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RawRequest {
        RawRequest::new(method, path)
    }

    /// Returns the versions of the server and of its cluster: `GET /version`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn version(&self) -> Result<ServerVersion> {
        self.send(status::GetVersion).await
    }

    /// Returns whether the server can serve: `GET /health`. "Not healthy" is an output, not an error.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn health(&self) -> Result<Health> {
        self.send(status::GetHealth).await
    }

    /// Returns whether the server is alive or should be restarted: `GET /livez`. "No" is an output, not an error.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if etcd is older than 3.4.29 or 3.5.11, or if its v2 API is
    /// enabled.
    pub async fn livez(&self) -> Result<Health> {
        self.send(status::GetCheck::LIVE).await
    }

    /// Returns whether the server is ready to serve: `GET /readyz`. "No" is an output, not an error.
    ///
    /// # Errors
    /// As for [`livez`](Self::livez).
    pub async fn readyz(&self) -> Result<Health> {
        self.send(status::GetCheck::READY).await
    }

    /// Returns the server's metrics in the format of Prometheus: `GET /metrics`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn metrics(&self) -> Result<String> {
        self.send(status::GetMetrics).await
    }

    /// Returns this client with another time limit for one attempt. It shares everything else.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::over(Pipeline {
            timeout,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// Returns this client with another retry policy: attempts, pauses, and their overall time. It shares everything
    /// else.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        Self::over(Pipeline {
            retry: policy,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// Returns this client with reads that [must not go back in time](crate::ClientBuilder::reject_stale_reads), or may. It shares
    /// everything else, also what was seen. If the client was built without it, this is what has been seen since the first call of
    /// this.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::Range;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let monotonic = client.with_reject_stale_reads(true);
    /// let color = monotonic.send(Range::new("color").serializable(true)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_reject_stale_reads(&self, reject: bool) -> Self {
        if reject {
            self.pipeline.response_check.begin_recording();
        }
        Self::over(Pipeline {
            rejects_stale_reads: reject,
            ..Pipeline::clone(&self.pipeline)
        })
    }

    /// Returns the current endpoints: those given, and those that a [sync](Self::sync) has added. For each it tells whether it
    /// is up, and whether calls of the v3 API travel there by gRPC or by the gateway, and why.
    pub fn endpoints(&self) -> Vec<EndpointInfo> {
        let now = self.pipeline.transport.now();
        let set = self.pipeline.endpoints.current();
        set.iter().map(|state| state.info(now)).collect()
    }

    /// Returns what this client and its clones have done so far, if [it is counted](crate::ClientBuilder::collect_stats): calls,
    /// attempts, retries, bytes and open streams, by operation and endpoint.
    ///
    /// ```
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// # use etcd_http::Client;
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    /// let client = builder.collect_stats(true).build()?;
    /// client.v3().kv().put("color", "blue").await?;
    /// let stats = client.stats().unwrap_or_default();
    /// assert_eq!((stats.calls(), stats.retries()), (1, 0));
    /// # Ok::<(), etcd_http::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn stats(&self) -> Option<Stats> {
        Some(self.pipeline.stats.as_ref()?.stats())
    }

    /// Returns how many tokens of the [retry budget](crate::ClientBuilder::retry_budget) are left, if there is one. While they are at
    /// most half of its tokens, failed attempts are not repeated.
    pub fn retry_tokens(&self) -> Option<f64> {
        Some(self.pipeline.retry_tokens.as_ref()?.left())
    }

    /// Returns the operation as a curl command for `sh`, addressed to the endpoint that would be tried first. It
    /// contains no credentials: for v2 it takes `user:password` from the environment variable `ETCDCTL_USER`, as
    /// etcdctl does; for v3, a token from `ETCD_TOKEN`.
    ///
    /// It contains keys and values, but not the passwords that an operation of the auth API sends.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the options do not make a request that etcd could execute.
    pub fn to_curl<O: Operation>(&self, operation: &O) -> Result<String> {
        let call = call_of(operation, self.pipeline.apis);
        let set = self.pipeline.endpoints.current();
        let first = set.pick(&[], self.pipeline.transport.now());
        let login = match call.login {
            Login::Basic if self.pipeline.credentials.is_none() => Login::None,
            Login::Token if self.pipeline.token_source.is_none() => Login::None,
            login => login,
        };
        let encoded = operation.encode(Wire::Http)?;
        Ok(curl::command(&encoded, first.endpoint(), login))
    }

    /// Returns the transport.
    pub fn transport(&self) -> &T {
        &self.pipeline.transport
    }

    /// Returns this client with calls that are sent while it is being closed: those that end sessions.
    pub(crate) fn privileged(&self) -> Self {
        Self::over(Pipeline {
            is_privileged: true,
            ..Pipeline::clone(&self.pipeline)
        })
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
