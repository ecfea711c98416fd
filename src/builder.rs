use std::{sync::Arc, time::Duration};

use etcd_transport::Transport;

use crate::{
    auth::{basic::Credentials, token::Tokens},
    client::Client,
    endpoints::{
        endpoint::Endpoint,
        set::{EndpointOrder, Endpoints},
        sync::SyncPolicy,
    },
    error::{Error, Result},
    pipeline::{
        execute::Pipeline,
        observe::{Attempt, Observer},
        response_check::ResponseCheck,
        retry::RetryPolicy,
    },
};

/// Longer than the 7 s a server takes to find out that it has no quorum: its verdict is worth more than a time-out.
const TIMEOUT: Duration = Duration::from_secs(10);

const ANSWER_LIMIT: usize = 64 << 20;

/// Makes a [`Client`] with settings.
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
    endpoints: Vec<Result<Endpoint>>,
    order: EndpointOrder,
    prefer_leader: bool,
    sync: SyncPolicy,
    credentials: Option<Result<Credentials>>,
    tokens: Option<Result<Tokens>>,
    allow_insecure_auth: bool,
    response_check: ResponseCheck,
    observer: Observer,
    retry: RetryPolicy,
    timeout: Duration,
    max_response_size: usize,
}

impl<T: Transport> ClientBuilder<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            endpoints: Vec::new(),
            order: EndpointOrder::default(),
            prefer_leader: false,
            sync: SyncPolicy::new(),
            credentials: None,
            tokens: None,
            allow_insecure_auth: false,
            response_check: ResponseCheck::default(),
            observer: Observer::default(),
            retry: RetryPolicy::default(),
            timeout: TIMEOUT,
            max_response_size: ANSWER_LIMIT,
        }
    }

    /// Where the cluster's members listen, in the [order](Self::endpoint_order) of preference. At least one is needed.
    /// These stay the client's for good, whatever a [sync](Client::sync) brings.
    pub fn endpoints<E: AsRef<str>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        let parsed = endpoints.into_iter().map(|text| text.as_ref().parse());
        self.endpoints.extend(parsed);
        self
    }

    /// In which order endpoints are tried: [as given](EndpointOrder::AsGiven) unless set. The one that answered last is kept
    /// in any case, for as long as it answers.
    pub fn endpoint_order(mut self, order: EndpointOrder) -> Self {
        self.order = order;
        self
    }

    /// Whether writes go to the leader first, where it is known: no, unless set. Any member takes a write, and passes it
    /// on to the leader; this saves that hop. The leader is known from a [sync](Client::sync) until an answer
    /// tells of a later raft term. Reads go to any member all the same.
    pub fn prefer_leader(mut self, prefer: bool) -> Self {
        self.prefer_leader = prefer;
        self
    }

    /// Which of the addresses that a [sync](Client::sync) brings are used.
    pub fn sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }

    /// The user of the v2 API, by HTTP basic authentication. It is sent to `/v2` of the client's endpoints, and nowhere
    /// else: not over a redirect to another host, and not over plain http to another machine, unless
    /// [allowed](Self::allow_insecure_auth).
    ///
    /// The copy kept here is zeroed when the last client is gone; those that the HTTP stack makes are its own.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.credentials = Some(Credentials::basic(user.as_ref(), password.as_ref()));
        self
    }

    /// The user of the v3 API. Its token is fetched when a call first needs it, sent to `/v3` of the client's endpoints and
    /// nowhere else, and renewed when etcd no longer takes it. All who need it at that time wait for one request, and are told
    /// the same, be it a token or an error. Where etcd's authentication is off, calls go without.
    ///
    /// Where it is on, and a certificate of the client's is shown, this must be one without a common name: etcd's gateway
    /// refuses every call with another, whatever the token.
    pub fn v3_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.tokens = Some(Tokens::new(user.into(), password.into()));
        self
    }

    /// Whether credentials may go over plain `http://` to other machines, where anybody on the way can read them: no,
    /// unless set. To this machine they always may.
    pub fn allow_insecure_auth(mut self, allow: bool) -> Self {
        self.allow_insecure_auth = allow;
        self
    }

    /// Whether another cluster may take the place of the one that answered first: no, unless set. Its answers are errors
    /// then ([`Error::is_cluster_changed`]), each message of a stream too; no renewal of a lease counts that it gives, or
    /// refuses. A cluster that was restored from a backup is another one.
    pub fn allow_cluster_change(mut self, allow: bool) -> Self {
        self.response_check.allow_cluster_change = allow;
        self
    }

    /// Whether a read through the v2 keys API may not go back in time: it may, unless set. A member that lags behind
    /// answers from an older state than one that was asked before. With this, such an answer counts for nothing and
    /// the next endpoint is asked; if all lag, the read ends in [`Error::is_stale_read`].
    ///
    /// What counts is what this client has seen, clones included. For a read that is up to date with all other clients,
    /// see [`v2::Get::quorum`](crate::v2::Get::quorum).
    pub fn reject_stale_reads(mut self, reject: bool) -> Self {
        self.response_check.reject_stale_reads = reject;
        self
    }

    /// Calls this function at the end of every attempt, for metrics. It runs on the task that made the attempt: let it be
    /// quick, and let it not panic. One function only; the last one counts.
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

    /// How often, and how soon, a request is sent again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The time for one attempt, from the first byte sent to the last byte received: 10 s unless set. For all attempts
    /// together, see [`RetryPolicy::overall`]; for single operations, [`Client::with_timeout`]. A watch's polls have no
    /// limit but their own, and connecting has the transport's. A shorter one than
    /// 7 s turns the verdicts of a server without quorum into time-outs.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest answer in bytes: 64 MiB unless set. A listing takes a few times its bytes when it is decoded; the worst
    /// that somebody could make up, up to fifty times, and a raw request's JSON a hundred.
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = bytes;
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, one is not an `http://` or `https://` URL, credentials would go over
    /// plain http to another machine, or a setting makes no sense.
    pub fn build(self) -> Result<Client<T>> {
        if self.timeout.is_zero() || self.retry.overall.is_zero() {
            let reason = "a time limit of zero leaves no time for an answer";
            return Err(Error::invalid("client", reason));
        }
        if self.retry.attempts == 0 {
            return Err(Error::invalid("client", "at least one attempt is needed"));
        }
        let endpoints = self.endpoints.into_iter().collect::<Result<Vec<_>>>()?;
        let credentials = self.credentials.transpose()?;
        let tokens = self.tokens.transpose()?;
        let has_credentials = credentials.is_some() || tokens.is_some();
        let only_secure = has_credentials && !self.allow_insecure_auth;
        if only_secure && let Some(open) = endpoints.iter().find(|it| !Credentials::may_go_to(it)) {
            let reason = format!(
                "the credentials could be read by anybody on the way to {open}: \
                 use https://, or accept it with `allow_insecure_auth`"
            );
            return Err(Error::invalid("client", reason));
        }
        Ok(Client::from_road(Pipeline {
            endpoints: Arc::new(Endpoints::new(endpoints, self.order, self.transport.now())?),
            transport: Arc::new(self.transport),
            credentials: credentials.map(Arc::new),
            tokens: tokens.map(Arc::new),
            response_check: Arc::new(self.response_check),
            sync: self.sync.only_secure(only_secure),
            observer: self.observer,
            prefer_leader: self.prefer_leader,
            retry: self.retry,
            timeout: self.timeout,
            max_response_size: self.max_response_size,
        }))
    }
}
