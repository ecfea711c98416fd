use std::time::Duration;

use etcd_transport::Transport;

use crate::{
    Client, Endpoint, Error, Result, RetryPolicy, credentials::Credentials, endpoints::Endpoints,
    exchange::Road, token::Tokens,
};

/// Longer than the 7 s a server takes to find out that it has no quorum: its verdict is worth more than a time-out.
const TIMEOUT: Duration = Duration::from_secs(10);

const ANSWER_LIMIT: usize = 64 << 20;

/// Makes a [`Client`] with settings.
///
/// ```
/// # use etcd_http::{Client, Error, RetryPolicy, transport::Transport};
/// # use std::time::Duration;
/// # fn example<T: Transport>(transport: T) -> Result<Client<T>, Error> {
/// Client::builder(transport)
///     .endpoints(["http://10.0.0.1:2379", "http://10.0.0.2:2379"])
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
    credentials: Option<Result<Credentials>>,
    tokens: Option<Result<Tokens>>,
    retry: RetryPolicy,
    timeout: Duration,
    answer_limit: usize,
}

impl<T: Transport> ClientBuilder<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            endpoints: Vec::new(),
            credentials: None,
            tokens: None,
            retry: RetryPolicy::default(),
            timeout: TIMEOUT,
            answer_limit: ANSWER_LIMIT,
        }
    }

    /// Where the cluster's members listen, in the order of preference. At least one is needed.
    pub fn endpoints<E: AsRef<str>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        let parsed = endpoints.into_iter().map(|text| text.as_ref().parse());
        self.endpoints.extend(parsed);
        self
    }

    /// The user of the v2 API, by HTTP basic authentication. It is sent to `/v2` of the client's endpoints, and nowhere
    /// else.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.credentials = Some(Credentials::basic(user.as_ref(), password.as_ref()));
        self
    }

    /// The user of the v3 API. Its token is fetched when a call first needs it, sent to `/v3` of the client's endpoints and
    /// nowhere else, and renewed when etcd no longer takes it. Where etcd's authentication is off, calls go without.
    pub fn v3_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.tokens = Some(Tokens::new(user.into(), password.into()));
        self
    }

    /// How often, and how soon, a request is sent again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The time for one attempt, from the first byte sent to the last byte received: 10 s unless set. A shorter one than
    /// 7 s turns the verdicts of a server without quorum into time-outs.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest answer in bytes: 64 MiB unless set.
    pub fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = bytes;
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, one is not an `http://` or `https://` URL, or a setting makes no sense.
    pub fn build(self) -> Result<Client<T>> {
        if self.timeout.is_zero() || self.retry.overall.is_zero() {
            let reason = "a time limit of zero leaves no time for an answer";
            return Err(Error::invalid("client", reason));
        }
        if self.retry.attempts == 0 {
            return Err(Error::invalid("client", "at least one attempt is needed"));
        }
        let endpoints = self.endpoints.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Client::from_road(Road {
            endpoints: Endpoints::new(endpoints, self.transport.now())?,
            transport: self.transport,
            credentials: self.credentials.transpose()?,
            tokens: self.tokens.transpose()?,
            retry: self.retry,
            timeout: self.timeout,
            answer_limit: self.answer_limit,
        }))
    }
}
