use std::{sync::Arc, time::Duration};

use etcd_transport::Transport;

use crate::{
    auth::basic::Credentials,
    base::endpoint::Endpoint,
    client::Client,
    endpoints::{
        protocol::Protocol,
        set::{EndpointOrder, Endpoints},
        sync_policy::SyncPolicy,
    },
    error::{Error, Result},
    pipeline::{
        Pipeline,
        api::Apis,
        basic_auth::BasicAuth,
        call_limit::CallLimit,
        observe::{Attempt, Observer},
        response_check::ResponseCheck,
        retry::RetryPolicy,
        retry_budget::{RetryBudget, Tokens},
        stats::Collector,
        token::{Authenticate, AuthenticateSource, TokenSource},
        trace_context::TraceContext,
    },
};

/// Longer than the 7 s that a server takes to detect a lost quorum: its error is more specific than a timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Many times what a read takes, and short enough that a halted member is hardly noticed.
const HEDGE: Duration = Duration::from_secs(2);

const MAX_RESPONSE_SIZE: usize = 64 << 20;

/// Builds a [`Client`] with settings.
///
/// ```
/// # use etcd_http::{Client, Error, RetryPolicy, transport::Transport};
/// # use std::{sync::Arc, time::Duration};
/// # fn example<T: Transport>(transport: T) -> Result<Client<T>, Error> {
/// Client::builder(transport)
///     .endpoints(["https://10.0.0.1:2379", "https://10.0.0.2:2379"])
///     .basic_auth("app", "secret")
///     .timeout(Duration::from_secs(8))
///     .retry(RetryPolicy::default().attempts(3))
///     .build()
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder<T> {
    transport: T,
    apis: Apis,
    endpoints: Vec<Result<Endpoint>>,
    order: EndpointOrder,
    protocol: Protocol,
    prefer_leader: bool,
    sync: SyncPolicy,
    credentials: Option<Result<BasicAuth>>,
    token_source: Option<Result<TokenSource>>,
    allow_insecure_auth: bool,
    response_check: ResponseCheck,
    rejects_stale_reads: bool,
    observer: Observer,
    collects_stats: bool,
    trace_context: TraceContext,
    retry: RetryPolicy,
    retry_budget: Option<RetryBudget>,
    call_limit: Option<(usize, usize)>,
    hedge: Option<Duration>,
    timeout: Duration,
    max_response_size: usize,
}

impl<T: Transport> ClientBuilder<T> {
    pub(crate) fn new(transport: T, apis: Apis) -> Self {
        Self {
            transport,
            apis,
            endpoints: Vec::new(),
            order: EndpointOrder::default(),
            protocol: Protocol::default(),
            prefer_leader: false,
            sync: SyncPolicy::new(),
            credentials: None,
            token_source: None,
            allow_insecure_auth: false,
            response_check: ResponseCheck::default(),
            rejects_stale_reads: false,
            observer: Observer::default(),
            collects_stats: false,
            trace_context: TraceContext::default(),
            retry: RetryPolicy::default(),
            retry_budget: None,
            call_limit: None,
            hedge: Some(HEDGE),
            timeout: TIMEOUT,
            max_response_size: MAX_RESPONSE_SIZE,
        }
    }

    /// Sets the client URLs of the cluster's members, in [order](Self::endpoint_order) of preference. At least one is
    /// required. A [sync](Client::sync) never removes these endpoints.
    pub fn endpoints<E: AsRef<str>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        let parsed = endpoints.into_iter().map(|text| text.as_ref().parse());
        self.endpoints.extend(parsed);
        self
    }

    /// Sets the order in which endpoints are tried. Defaults to [as given](EndpointOrder::AsGiven). In any order, the
    /// client stays with an endpoint as long as it responds.
    pub fn endpoint_order(mut self, order: EndpointOrder) -> Self {
        self.order = order;
        self
    }

    /// Sets whether writes go to the leader first, if it is known. Defaults to `false`. Any member accepts a write and
    /// forwards it to the leader; this saves that hop. The leader is known from a [sync](Client::sync) until a response
    /// has a later raft term. Reads are not affected.
    pub fn prefer_leader(mut self, prefer: bool) -> Self {
        self.prefer_leader = prefer;
        self
    }

    /// Sets which of the addresses that a [sync](Client::sync) finds are used. Defaults to [`SyncPolicy::new`].
    pub fn sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }

    /// Sets the user of the v2 API, for HTTP basic authentication. The credentials are sent only to `/v2` of the
    /// client's endpoints: not to another host after a redirect, and not over plain `http://` to another machine unless
    /// [allowed](Self::allow_insecure_auth).
    ///
    /// The client's copy is zeroed when the last clone of the client is dropped. Copies that the HTTP stack makes are
    /// not.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let credentials = Credentials::basic(user.as_ref(), password.as_ref());
        self.credentials = Some(credentials.map(|it| BasicAuth::Fixed(Arc::new(it))));
        self
    }

    /// Sets where the credentials of the v2 API come from.
    pub(crate) fn basic_from(mut self, source: AuthenticateSource) -> Self {
        let source = Arc::new(TokenSource::new(source));
        self.credentials = Some(Ok(BasicAuth::Provided(source)));
        self
    }

    /// Sets how tokens are fetched.
    pub(crate) fn tokens(mut self, authenticate: Result<Authenticate>) -> Self {
        let source = authenticate.map(AuthenticateSource::Fixed);
        self.token_source = Some(source.map(TokenSource::new));
        self
    }

    /// Sets how tokens are fetched, with credentials that change.
    pub(crate) fn tokens_from(mut self, source: AuthenticateSource) -> Self {
        self.token_source = Some(Ok(TokenSource::new(source)));
        self
    }

    /// Sets how calls of the v3 API travel: by gRPC or by etcd's JSON gateway. Defaults to [`Protocol::Auto`], which finds it
    /// out for each endpoint.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # fn example<T: Transport>(transport: T) {
    /// use etcd_http::Protocol;
    ///
    /// let client = Client::builder(transport).protocol(Protocol::Grpc);
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets whether credentials may be sent over plain `http://` to other machines, where they can be intercepted.
    /// Defaults to `false`. They may always be sent to this machine.
    pub fn allow_insecure_auth(mut self, allow: bool) -> Self {
        self.allow_insecure_auth = allow;
        self
    }

    /// Sets whether the client accepts responses from another cluster than the first one that responded. Defaults to
    /// `false`: such responses are errors ([`Error::is_cluster_changed`]), and so are messages of streams and renewals
    /// of leases. A cluster that was restored from a backup is another cluster. So is one that was recreated with the same
    /// ids, as far as the raft term of its members shows it.
    pub fn allow_cluster_change(mut self, allow: bool) -> Self {
        self.response_check.allow_cluster_change = allow;
        self
    }

    /// Sets whether reads must not go back in time. Defaults to `false`. A member that lags behind responds with an older state
    /// than the member that responded before. With this setting, the client rejects such a response and tries the next endpoint; if
    /// all lag behind, the read fails with [`Error::is_stale_read`].
    ///
    /// It concerns reads of the v2 keys API, by the store's index, and reads of keys of v3, by its revision: those that are
    /// [serializable](crate::v3::Range::serializable), as all others are up to date in any case. Responses to writes and messages of
    /// watches count as seen. [`Client::with_reject_stale_reads`] sets it for single calls.
    ///
    /// The comparison covers what this client and its clones have seen. For a read that is up to date with all other
    /// clients, see [`v2::Get::quorum`](crate::v2::Get::quorum); in v3 it is the default.
    pub fn reject_stale_reads(mut self, reject: bool) -> Self {
        self.rejects_stale_reads = reject;
        self
    }

    /// Calls this function at the end of every attempt, for metrics. It runs on the task that made the attempt: it must
    /// be quick and must not panic. A second call replaces the function.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # fn example<T: Transport>(transport: T) {
    /// let client = Client::builder(transport).observe(|attempt| {
    ///     println!("{} {} {:?}", attempt.operation, attempt.outcome, attempt.elapsed);
    /// });
    /// # }
    /// ```
    pub fn observe(mut self, observe: impl Fn(&Attempt) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observe);
        self
    }

    /// Sets whether the client counts what it does, for [`Client::stats`]. Defaults to `false`. It takes a few atomic additions for
    /// each attempt.
    pub fn collect_stats(mut self, collect: bool) -> Self {
        self.collects_stats = collect;
        self
    }

    /// Passes on the trace that a request belongs to: the function returns the value of the header `traceparent`
    /// (<https://www.w3.org/TR/trace-context/>) of the present task, or `None`. It is called for each request, on the task that
    /// sends it, and must be quick. etcd 3.5 and later continue the trace of a call by gRPC, if they are started with
    /// `--experimental-enable-distributed-tracing`; proxies do so too.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # fn example<T: Transport>(transport: T, current_trace: fn() -> Option<(u128, u64)>) {
    /// let client = Client::builder(transport).traceparent(move || {
    ///     let (trace, span) = current_trace()?;
    ///     Some(format!("00-{trace:032x}-{span:016x}-01"))
    /// });
    /// # }
    /// ```
    pub fn traceparent(
        mut self,
        current: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.trace_context = TraceContext::new(current);
        self
    }

    /// Sets how often and how soon a request is retried. Defaults to [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Limits retries, of all calls together, to a share of successes: see [`RetryBudget`]. Defaults to none: each call is retried as
    /// the [`RetryPolicy`] says. While the budget is low, no read is [sent to another endpoint as well](Self::hedge_reads) either.
    /// Streams have pauses that grow, and no budget.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = Some(budget);
        self
    }

    /// Limits how many calls of this client and its clones are under way at a time. Up to `waiting` others wait for their turn, in the
    /// order in which they came, at most for [`RetryPolicy::overall`]; any more fail at once with [`Error::is_overloaded`], and are
    /// not sent. Defaults to no limit.
    ///
    /// A call with its retries counts once. Streams, and calls that wait for something to happen, such as
    /// [`v3::Lock`](crate::v3::Lock), are not limited.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # fn example<T: Transport>(transport: T) {
    /// let client = Client::builder(transport).max_concurrent_calls(100, 1000);
    /// # }
    /// ```
    pub fn max_concurrent_calls(mut self, calls: usize, waiting: usize) -> Self {
        self.call_limit = Some((calls, waiting));
        self
    }

    /// Sets after how long without a response a read is sent to another endpoint as well. Defaults to 2 s; `None` never does.
    ///
    /// The first response wins, and its endpoint is used from then on: a halted member delays a read by this time instead of
    /// the [time limit of an attempt](Self::timeout). It applies to reads of keys, leases, members, elections, users and
    /// roles, and to transactions that only read; no write is sent twice. With one endpoint it has no effect.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # use std::time::Duration;
    /// # fn example<T: Transport>(transport: T) {
    /// let client = Client::builder(transport).hedge_reads(Duration::from_millis(500));
    /// # }
    /// ```
    pub fn hedge_reads(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.hedge = after.into();
        self
    }

    /// Sets the time limit of one attempt, from the first byte sent to the last byte received. Defaults to 10 s. For
    /// all attempts together, see [`RetryPolicy::overall`]; for single operations, [`Client::with_timeout`]. It does
    /// not apply to watches, nor to the waits of [`v3::Lock`](crate::v3::Lock::time_limit) and
    /// [`v3::Campaign`](crate::v3::Campaign::time_limit), and connecting has the transport's own limit. A server takes up to 7 s to report that it
    /// has no quorum; with a shorter limit, such errors become timeouts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time limit of one attempt, if there is one, and lowers it to that of all attempts together: an attempt that
    /// is ended by its own limit tells that the endpoint is slow.
    pub(crate) fn timeout_within(mut self, timeout: Option<Duration>, overall: Duration) -> Self {
        self.timeout = timeout.unwrap_or(self.timeout).min(overall);
        self
    }

    /// Sets the maximum size of a response, in bytes. Defaults to 64 MiB. The lists of a decoded response may take four
    /// times as much; a listing of etcd's takes up to three times its size. All in all, a malicious response takes up to
    /// eleven times this size while it is decoded.
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = bytes;
        self
    }

    /// Builds the client, and [pings](Client::ping) an endpoint: for a program that must not start without etcd.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// # async fn example<T: Transport>(transport: T) -> Result<(), Error> {
    /// let client = Client::builder(transport)
    ///     .endpoints(["https://10.0.0.1:2379", "https://10.0.0.2:2379"])
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`build`](Self::build) and [`Client::ping`].
    pub async fn connect(self) -> Result<Client<T>> {
        let client = self.build()?;
        client.ping().await?;
        Ok(client)
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no endpoint, if one is not an `http://` or `https://` URL, if credentials would
    /// be sent over plain `http://` to another machine, or if a setting is out of range.
    pub fn build(self) -> Result<Client<T>> {
        if self.timeout.is_zero() || self.retry.overall.is_zero() {
            let reason = "the time limit must not be zero";
            return Err(Error::invalid("client", reason));
        }
        if self.retry.attempts == 0 {
            return Err(Error::invalid("client", "at least one attempt is required"));
        }
        if self.hedge.is_some_and(|after| after.is_zero()) {
            let reason =
                "a read is sent to another endpoint after a time longer than zero, or never";
            return Err(Error::invalid("client", reason));
        }
        let endpoints = self.endpoints.into_iter().collect::<Result<Vec<_>>>()?;
        let credentials = self.credentials.transpose()?;
        let token_source = self.token_source.transpose()?;
        let has_credentials = credentials.is_some() || token_source.is_some();
        let only_secure = has_credentials && !self.allow_insecure_auth;
        if only_secure && let Some(open) = endpoints.iter().find(|it| !it.is_secure()) {
            let reason = format!(
                "the credentials could be read by anybody on the way to {open}: \
                 use https://, or accept it with `allow_insecure_auth`"
            );
            return Err(Error::invalid("client", reason));
        }
        let call_limit = match self.call_limit {
            Some((0, _)) => return Err(Error::invalid("client", "at least one call is required")),
            Some((calls, waiting)) => Some(CallLimit::new(calls, waiting)),
            None => None,
        };
        if self.rejects_stale_reads {
            self.response_check.begin_recording();
        }
        let stats = self.collects_stats.then(Arc::<Collector>::default);
        Ok(Client::over(Pipeline {
            endpoints: Arc::new(Endpoints::new(
                endpoints,
                self.order,
                self.protocol,
                self.transport.now(),
            )?),
            transport: Arc::new(self.transport),
            apis: self.apis,
            credentials,
            token_source: token_source.map(Arc::new),
            response_check: Arc::new(self.response_check),
            rejects_stale_reads: self.rejects_stale_reads,
            sync: self.sync.only_secure(only_secure),
            observer: self.observer.counting(stats.clone()),
            stats,
            trace_context: self.trace_context,
            retry_tokens: self.retry_budget.map(|it| Arc::new(Tokens::new(it))),
            call_limit: call_limit.map(Arc::new),
            prefer_leader: self.prefer_leader,
            retry: self.retry,
            hedge: self.hedge,
            timeout: self.timeout,
            max_response_size: self.max_response_size,
            lifecycle: Arc::default(),
            is_privileged: false,
        }))
    }
}
