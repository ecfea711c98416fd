use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_transport::{Body, CollectError, IdleLimit, Request, Transport, TransportError};
use futures::future::{Either, select};
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE},
    response::Parts,
    uri::PathAndQuery,
};

use crate::{
    auth::{basic::Credentials, token::Tokens},
    endpoints::{
        set::{EndpointSet, EndpointState, Endpoints},
        sync::SyncPolicy,
    },
    error::{
        Error, ErrorContext, Outcome, Result, TimeoutError, TransportFailure, UnexpectedAnswer,
        Unsupported,
    },
    operation::{Call, Repeat, Reply},
    pipeline::{
        observe::{Attempt, AttemptOutcome, Observer},
        redirect,
        response_check::{self, Refused, ResponseCheck},
        retry::{Failed, RetryPolicy},
    },
    v3::protocol::{gateway, status},
};

/// The one way from a [`Call`] to its [`Reply`]: endpoint, credentials, transport against the clock, again or not.
///
/// A clone shares everything but the limits. Nothing in it is locked: what changes is atomic, or replaced whole.
#[derive(Debug)]
pub(crate) struct Pipeline<T> {
    pub(crate) transport: Arc<T>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) response_check: Arc<ResponseCheck>,
    pub(crate) sync: SyncPolicy,
    pub(crate) observer: Observer,
    /// Writes go to the leader first, where it is known.
    pub(crate) prefer_leader: bool,
    pub(crate) retry: RetryPolicy,
    /// For one attempt, from the first byte sent to the last byte received.
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) max_response_size: usize,
}

impl<T> Clone for Pipeline<T> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            endpoints: Arc::clone(&self.endpoints),
            credentials: self.credentials.clone(),
            tokens: self.tokens.clone(),
            response_check: Arc::clone(&self.response_check),
            sync: self.sync.clone(),
            observer: self.observer.clone(),
            prefer_leader: self.prefer_leader,
            retry: self.retry.clone(),
            timeout: self.timeout,
            max_response_size: self.max_response_size,
        }
    }
}

impl<T: Transport> Pipeline<T> {
    /// Sends a call, again where [`RetryPolicy`] allows, and returns the answer: any status but those of a server that
    /// cannot serve at the moment, and these too once there is no attempt left.
    pub(crate) async fn execute_with_retry(&self, call: &Call) -> Result<Reply> {
        let set = self.endpoints.current();
        let started = self.transport.now();
        let mut now = started;
        let retry = call.deadline.retry(&self.retry);
        let timeout = call.deadline.timeout(self.timeout);
        let mut tried = self.endpoints.unsupporting(&set, call, started);
        if tried.len() == set.len() {
            return Err(self.unsupported(call));
        }
        let mut is_passed_on = !tried.is_empty();
        let mut attempt = 0;
        let mut in_doubt = false;
        loop {
            attempt += 1;
            let overall = call.deadline.timeout(retry.overall);
            let left = overall.saturating_sub(now.saturating_duration_since(started));
            let leader = if self.prefer_leader && call.repeat != Repeat::Always {
                set.pick_leader(&tried, now)
            } else {
                None
            };
            let is_leader = leader.is_some();
            let place = leader.unwrap_or_else(|| set.pick(&tried, now));
            let result = self.send_once(call, &place, &set, timeout.min(left)).await;
            let failure = match result.and_then(|reply| classify(call, reply)) {
                Ok(reply) => {
                    self.observer.tell(|| Attempt {
                        status: Some(reply.status),
                        endpoint: reply.place.endpoint().clone(),
                        ..attempted(call, &place, attempt, self.since(now))
                    });
                    if is_leader || is_passed_on {
                        // It was asked for being the leader, or for what others lack, and draws no other calls.
                        reply.place.answered();
                    } else {
                        self.endpoints.answered(&reply.place);
                    }
                    return Ok(with_attempts(reply, attempt, in_doubt));
                }
                Err(failure) => failure,
            };
            let began = std::mem::replace(&mut now, self.transport.now());
            self.observer.tell(|| {
                let (outcome, status) = AttemptOutcome::of_failure(&failure);
                Attempt {
                    status,
                    outcome,
                    ..attempted(call, &place, attempt, now.saturating_duration_since(began))
                }
            });
            self.note(&failure, &place, now);
            if let Failure::Unsupported(reply) = &failure {
                self.endpoints.lacks(&reply.place, call, now);
                is_passed_on = true;
            }
            let unsupporting = self.endpoints.unsupporting(&set, call, now);
            let pause = if failure.is_final() || unsupporting.len() == set.len() {
                None
            } else {
                retry.decide(&Failed {
                    attempt,
                    endpoints: u32::try_from(set.len()).unwrap_or(u32::MAX),
                    unsent: failure.is_unsent(),
                    repeat: call.repeat,
                    elapsed: now.saturating_duration_since(started),
                    jitter: fastrand::f64(),
                })
            };
            let Some(pause) = pause else {
                return match failure {
                    Failure::Unavailable(reply)
                    | Failure::Denied(reply)
                    | Failure::Unsupported(reply) => Ok(with_attempts(*reply, attempt, in_doubt)),
                    failure => Err(failure.into_error(self.context(call, &place, attempt))),
                };
            };
            in_doubt |= !failure.is_unsent();
            tried.push(place);
            if tried.len() == set.len() {
                tried = unsupporting;
            }
            if !pause.is_zero() {
                self.transport.sleep(pause).await;
                now = self.transport.now();
            }
        }
    }

    /// Where to send a call that does not go on to another endpoint by itself.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no endpoint has it, as far as is known.
    pub(crate) fn place_for(&self, call: &Call) -> Result<EndpointState> {
        let now = self.transport.now();
        let set = self.endpoints.current();
        let unsupporting = self.endpoints.unsupporting(&set, call, now);
        if unsupporting.len() == set.len() {
            return Err(self.unsupported(call));
        }
        Ok(set.pick(&unsupporting, now))
    }

    /// The error for a call that is not sent: every endpoint has said that it does not have it.
    fn unsupported(&self, call: &Call) -> Error {
        Error::Unsupported(Unsupported::known(self.next_context(call.operation)))
    }

    /// Sends a call to one endpoint, once, and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        call: &Call,
        target: &PathAndQuery,
        place: &EndpointState,
        idle: Option<IdleLimit>,
    ) -> Result<(Parts, Body), Failure> {
        let request = self.request(call, target, place, idle)?;
        self.send_request(call, request).await
    }

    /// The request that a call is to this endpoint.
    pub(crate) fn request(
        &self,
        call: &Call,
        target: &PathAndQuery,
        place: &EndpointState,
        idle: Option<IdleLimit>,
    ) -> Result<Request, Failure> {
        let uri = place
            .endpoint()
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
        if let Some(deadline) = call.deadline.grpc_timeout() {
            headers.insert("grpc-timeout", deadline);
        }
        if call.is_sequence {
            // By HTTP/1.1, once an answer begins, etcd's server throws away what was not read of the request, so that the
            // connection can be used again: in the midst of a sequence, unless the connection is to be closed.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(idle) = idle {
            request.extensions_mut().insert(idle);
        }
        Ok(request)
    }

    /// Sends the request of a call, and waits for the head of its answer.
    pub(crate) async fn send_request(
        &self,
        call: &Call,
        request: Request,
    ) -> Result<(Parts, Body), Failure> {
        let response = self
            .transport
            .send(request)
            .await
            .map_err(Failure::Transport)?;
        let (head, body) = response.into_parts();
        self.response_check
            .accept(call, &head)
            .map_err(Failure::Refused)?;
        if self.prefer_leader
            && let Some(term) = response_check::term(&head.headers)
        {
            self.endpoints.heard_of_term(term);
        }
        Ok((head, body))
    }

    /// The whole answer whose head came from this endpoint.
    pub(crate) async fn collect(
        &self,
        call: &Call,
        place: &EndpointState,
        (head, body): (Parts, Body),
    ) -> Result<Reply, Failure> {
        Ok(Reply {
            status: head.status,
            body: body.collect(self.max_response_size).await?,
            headers: head.headers,
            context: self.context(call, place, 1),
            place: place.clone(),
            in_doubt: false,
        })
    }

    /// Whether an answer, or a message of one that streams, is from the right cluster, by its own words. Those of v3 say it
    /// in their header, where they have one.
    pub(crate) fn guard_message(
        &self,
        call: &Call,
        status: StatusCode,
        json: &[u8],
    ) -> Result<(), Failure> {
        if call.is_v3()
            && status.is_success()
            && let Some(cluster) = gateway::cluster_id(json)
        {
            let checked = self.response_check.check_cluster(cluster, status);
            checked.map_err(Failure::Refused)?;
        }
        Ok(())
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

    pub(crate) fn since(&self, instant: Instant) -> Duration {
        self.transport.now().saturating_duration_since(instant)
    }

    /// Keeps in mind what a failure says about an endpoint.
    pub(crate) fn note(&self, failure: &Failure, place: &EndpointState, now: Instant) {
        if failure.is_endpoint_fault() {
            place.failed(now);
        }
    }

    pub(crate) fn context(
        &self,
        call: &Call,
        place: &EndpointState,
        attempts: u32,
    ) -> ErrorContext {
        ErrorContext {
            operation: call.operation,
            endpoint: place.endpoint().clone(),
            attempts,
        }
    }

    /// Where the next request would go.
    pub(crate) fn next_context(&self, operation: &'static str) -> ErrorContext {
        let place = self.endpoints.current().pick(&[], self.transport.now());
        ErrorContext {
            operation,
            endpoint: place.endpoint().clone(),
            attempts: 1,
        }
    }

    /// One attempt: one request, and those that redirects lead to.
    pub(crate) async fn send_once(
        &self,
        call: &Call,
        place: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let seen = self.response_check.seen_before(call);
        let follow = async {
            let mut hops = redirect::Hops::new(call, place);
            loop {
                let idle = call.deadline.idle_limit();
                let head = self.send(call, hops.target(), hops.place(), idle).await?;
                let reply = self.collect(call, hops.place(), head).await?;
                self.guard_message(call, reply.status, &reply.body)?;
                if !hops.follow(&reply, set).map_err(Failure::Redirect)? {
                    return Ok(reply);
                }
            }
        };
        let reply = self.within(limit, follow).await?;
        if let Some(seen) = seen {
            let checked = self
                .response_check
                .accept_index(&seen, reply.status, &reply.headers);
            checked.map_err(Failure::Refused)?;
        }
        Ok(reply)
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
    Denied(Box<Reply>),
    /// It does not have this call.
    Unsupported(Box<Reply>),
    /// In bytes.
    TooLarge(usize),
    /// A redirect that is not followed.
    Redirect(String),
    /// An answer that is not accepted.
    Refused(Refused),
}

impl Failure {
    /// The server surely saw nothing, or surely did not carry it out.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_unsent(),
            Self::Denied(_) | Self::Unsupported(_) => true,
            _ => false,
        }
    }

    /// Asking again would only bring the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == etcd_transport::TransportErrorKind::Rejected,
            Self::TimedOut(_) | Self::Unavailable(_) | Self::Denied(_) | Self::Unsupported(_) => {
                false
            }
            Self::TooLarge(_) | Self::Redirect(_) => true,
            Self::Refused(refused) => refused.is_final(),
        }
    }

    /// Another endpoint might do better.
    fn is_endpoint_fault(&self) -> bool {
        match self {
            // 500 is raft's: every member would say it.
            Self::Unavailable(reply) => reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(refused) => refused.is_endpoint_fault(),
            // It is well, but for this.
            Self::Unsupported(_) => false,
            other => !other.is_final(),
        }
    }

    pub(crate) fn into_error(self, context: ErrorContext) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(TransportFailure::new(context, error)),
            Self::TimedOut(limit) => Error::Timeout(TimeoutError::new(context, limit)),
            Self::Unavailable(reply) | Self::Denied(reply) | Self::Unsupported(reply) => {
                reply.into_error()
            }
            Self::TooLarge(limit) => {
                let what = format!(
                    "the answer is larger than the client's limit of {limit} bytes: \
                     raise `max_response_size`, or ask for less"
                );
                Error::Unexpected(UnexpectedAnswer::new(context, what, Outcome::Unknown))
            }
            Self::Redirect(what) => {
                Error::Unexpected(UnexpectedAnswer::new(context, what, Outcome::Rejected))
            }
            Self::Refused(refused) => Error::Unexpected(refused.into_error(context)),
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

/// An attempt that was answered, but for its status.
fn attempted(call: &Call, place: &EndpointState, number: u32, elapsed: Duration) -> Attempt {
    Attempt {
        operation: call.operation,
        endpoint: place.endpoint().clone(),
        number,
        status: None,
        elapsed,
        outcome: AttemptOutcome::Answered,
    }
}

/// A reply, if it is an answer; otherwise the server, or a proxy before it, cannot serve at the moment.
fn classify(call: &Call, reply: Reply) -> Result<Reply, Failure> {
    match status::of(call, &reply) {
        Some(refusal) if refusal.is_missing(call) => Err(Failure::Unsupported(Box::new(reply))),
        Some(refusal) if !refusal.is_unavailable() => Ok(reply),
        Some(refusal) if refusal.outcome() == Outcome::Rejected => {
            Err(Failure::Denied(Box::new(reply)))
        }
        Some(_) => Err(Failure::Unavailable(Box::new(reply))),
        None if matches!(reply.status.as_u16(), 500 | 502 | 503 | 504) => {
            Err(Failure::Unavailable(Box::new(reply)))
        }
        None => Ok(reply),
    }
}

fn with_attempts(mut reply: Reply, attempts: u32, in_doubt: bool) -> Reply {
    reply.context.attempts = attempts;
    reply.in_doubt = in_doubt;
    reply
}
