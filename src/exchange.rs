use std::{pin::pin, time::Duration};

use etcd_transport::{Body, CollectError, IdleLimit, Request, Transport, TransportError};
use futures::future::{Either, select};
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    response::Parts,
    uri::PathAndQuery,
};

use crate::{
    Call, Error, Outcome, Reply, Result, RetryPolicy,
    credentials::Credentials,
    endpoints::Endpoints,
    error::{Site, TimeoutError, TransportFailure, UnexpectedAnswer},
    redirect,
    retry::Failed,
    token::Tokens,
    v3::refusal,
};

/// The one way from a [`Call`] to its [`Reply`]: endpoint, credentials, transport against the clock, again or not.
#[derive(Debug)]
pub(crate) struct Road<T> {
    pub(crate) transport: T,
    pub(crate) endpoints: Endpoints,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) retry: RetryPolicy,
    /// For one attempt, from the first byte sent to the last byte received.
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) answer_limit: usize,
}

impl<T: Transport> Road<T> {
    /// Sends a call, again where [`RetryPolicy`] allows, and returns the answer: any status but those of a server that
    /// cannot serve at the moment, and these too once there is no attempt left.
    pub(crate) async fn attempts(&self, call: &Call) -> Result<Reply> {
        let started = self.transport.now();
        let retry = call.patience.retry(&self.retry);
        let timeout = call.patience.timeout(self.timeout);
        let mut tried = Vec::new();
        let mut attempt = 0;
        let mut in_doubt = false;
        loop {
            attempt += 1;
            let now = self.transport.now();
            let left = retry
                .overall
                .saturating_sub(now.saturating_duration_since(started));
            let index = self.endpoints.pick(&tried, now);
            let result = self.attempt(call, index, timeout.min(left)).await;
            let failure = match result.and_then(|reply| judged(call, reply)) {
                Ok(reply) => {
                    self.endpoints.answered(reply.endpoint);
                    return Ok(signed(reply, attempt, in_doubt));
                }
                Err(failure) => failure,
            };
            let now = self.transport.now();
            self.note(&failure, index, now);
            let pause = if failure.is_final() {
                None
            } else {
                retry.decide(&Failed {
                    attempt,
                    endpoints: u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX),
                    unsent: failure.is_unsent(),
                    repeat: call.repeat,
                    elapsed: now.saturating_duration_since(started),
                    jitter: fastrand::f64(),
                })
            };
            let Some(pause) = pause else {
                return match failure {
                    Failure::Unavailable(reply) | Failure::Refused(reply) => {
                        Ok(signed(*reply, attempt, in_doubt))
                    }
                    failure => Err(failure.into_error(self.site(call, index, attempt))),
                };
            };
            in_doubt |= !failure.is_unsent();
            tried.push(index);
            if tried.len() == self.endpoints.len() {
                tried.clear();
            }
            if !pause.is_zero() {
                self.transport.sleep(pause).await;
            }
        }
    }

    /// Sends a call to one endpoint, once, and waits for the head of its answer.
    pub(crate) async fn head(
        &self,
        call: &Call,
        target: &PathAndQuery,
        index: usize,
        idle: Option<IdleLimit>,
    ) -> Result<(Parts, Body), Failure> {
        let uri = self
            .endpoints
            .get(index)
            .uri(target)
            .map_err(|error| Failure::Transport(TransportError::rejected(error)))?;
        let mut request = Request::new(Body::from(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if let Some(content_type) = call.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if call.require_leader {
            headers.insert("grpc-metadata-hasleader", HeaderValue::from_static("true"));
        }
        if let Some(header) = self.credentials.as_ref().and_then(|has| has.header(call)) {
            headers.insert(AUTHORIZATION, header.clone());
        }
        if let Some(token) = &call.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(deadline) = call.patience.deadline() {
            headers.insert("grpc-timeout", deadline);
        }
        if let Some(idle) = idle {
            request.extensions_mut().insert(idle);
        }
        let response = self
            .transport
            .send(request)
            .await
            .map_err(Failure::Transport)?;
        Ok(response.into_parts())
    }

    /// The whole answer whose head came from this endpoint.
    pub(crate) async fn whole(
        &self,
        call: &Call,
        index: usize,
        (head, body): (Parts, Body),
    ) -> Result<Reply, Failure> {
        Ok(Reply {
            status: head.status,
            body: body.collect(self.answer_limit).await?,
            headers: head.headers,
            site: self.site(call, index, 1),
            endpoint: index,
            in_doubt: false,
        })
    }

    /// The work, unless the time is up before.
    pub(crate) async fn within<O>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<O, Failure>>,
    ) -> Result<O, Failure> {
        let sleep = self.transport.sleep(limit);
        match select(pin!(work), sleep).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(Failure::TimedOut(limit)),
        }
    }

    /// Keeps in mind what a failure says about an endpoint.
    pub(crate) fn note(&self, failure: &Failure, index: usize, now: std::time::Instant) {
        if failure.is_the_endpoints() {
            self.endpoints.failed(index, now);
        }
    }

    pub(crate) fn site(&self, call: &Call, index: usize, attempts: u32) -> Site {
        Site {
            operation: call.operation,
            endpoint: self.endpoints.get(index).clone(),
            attempts,
        }
    }

    /// Where the next request would go.
    pub(crate) fn next_site(&self, operation: &'static str) -> Site {
        let index = self.endpoints.pick(&[], self.transport.now());
        Site {
            operation,
            endpoint: self.endpoints.get(index).clone(),
            attempts: 1,
        }
    }

    /// One attempt: one request, and those that redirects lead to.
    pub(crate) async fn attempt(&self, call: &Call, index: usize, limit: Duration) -> Result<Reply, Failure> {
        let follow = async {
            let mut hops = redirect::Hops::new(call, index);
            loop {
                let idle = call.patience.idle_limit();
                let head = self.head(call, hops.target(), hops.index(), idle).await?;
                let reply = self.whole(call, hops.index(), head).await?;
                let elsewhere = hops.follow(&reply, &self.endpoints);
                if !elsewhere.map_err(Failure::Redirect)? {
                    return Ok(reply);
                }
            }
        };
        self.within(limit, follow).await
    }
}

/// Why an attempt brought no answer that counts.
#[derive(Debug)]
pub(crate) enum Failure {
    Transport(TransportError),
    TimedOut(Duration),
    /// The server says that it cannot serve at the moment.
    Unavailable(Box<Reply>),
    /// The same, and it surely did not carry the call out.
    Refused(Box<Reply>),
    /// In bytes.
    TooLarge(usize),
    /// A redirect that is not followed.
    Redirect(String),
}

impl Failure {
    /// The server surely saw nothing, or refused.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_unsent(),
            Self::Refused(_) => true,
            _ => false,
        }
    }

    /// Asking again would only bring the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == etcd_transport::TransportErrorKind::Rejected,
            Self::TimedOut(_) | Self::Unavailable(_) | Self::Refused(_) => false,
            Self::TooLarge(_) | Self::Redirect(_) => true,
        }
    }

    /// Another endpoint might do better.
    fn is_the_endpoints(&self) -> bool {
        match self {
            // 500 is raft's: every member would say it.
            Self::Unavailable(reply) => reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            other => !other.is_final(),
        }
    }

    pub(crate) fn into_error(self, site: Site) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(TransportFailure::new(site, error)),
            Self::TimedOut(limit) => Error::Timeout(TimeoutError::new(site, limit)),
            Self::Unavailable(reply) | Self::Refused(reply) => reply.into_error(),
            Self::TooLarge(limit) => {
                let what = format!(
                    "the answer is larger than the client's limit of {limit} bytes: \
                     raise `answer_limit`, or ask for less"
                );
                Error::Unexpected(UnexpectedAnswer::new(site, what, Outcome::Unknown))
            }
            Self::Redirect(what) => {
                Error::Unexpected(UnexpectedAnswer::new(site, what, Outcome::Rejected))
            }
        }
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Transport(error) => Self::Transport(error),
            CollectError::TooLarge { limit } => Self::TooLarge(limit),
            other => Self::Transport(TransportError::interrupted(other)),
        }
    }
}

/// A reply, if it is an answer; otherwise the server, or a proxy before it, cannot serve at the moment.
fn judged(call: &Call, reply: Reply) -> Result<Reply, Failure> {
    match refusal::of(call, &reply) {
        Some(refusal) if !refusal.is_unavailable() => Ok(reply),
        Some(refusal) if refusal.outcome() == Outcome::Rejected => {
            Err(Failure::Refused(Box::new(reply)))
        }
        Some(_) => Err(Failure::Unavailable(Box::new(reply))),
        None if matches!(reply.status.as_u16(), 500 | 502 | 503 | 504) => {
            Err(Failure::Unavailable(Box::new(reply)))
        }
        None => Ok(reply),
    }
}

fn signed(mut reply: Reply, attempts: u32, in_doubt: bool) -> Reply {
    reply.site.attempts = attempts;
    reply.in_doubt = in_doubt;
    reply
}
