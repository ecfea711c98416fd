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
    Attempt, AttemptOutcome, Call, Error, Outcome, Repeat, Reply, Result, RetryPolicy, SyncPolicy,
    credentials::Credentials,
    endpoints::{Endpoints, Place, Set},
    error::{Site, TimeoutError, TransportFailure, UnexpectedAnswer, Unsupported},
    guard::{self, Guard, Refused},
    observe::Observer,
    redirect,
    retry::Failed,
    token::Tokens,
    v3::{refusal, wire},
};

/// The one way from a [`Call`] to its [`Reply`]: endpoint, credentials, transport against the clock, again or not.
///
/// A clone shares everything but the limits. Nothing in it is locked: what changes is atomic, or replaced whole.
#[derive(Debug)]
pub(crate) struct Road<T> {
    pub(crate) transport: Arc<T>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) sync: SyncPolicy,
    pub(crate) observer: Observer,
    /// Writes go to the leader first, where it is known.
    pub(crate) prefer_leader: bool,
    pub(crate) retry: RetryPolicy,
    /// For one attempt, from the first byte sent to the last byte received.
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) answer_limit: usize,
}

impl<T> Clone for Road<T> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            endpoints: Arc::clone(&self.endpoints),
            credentials: self.credentials.clone(),
            tokens: self.tokens.clone(),
            guard: Arc::clone(&self.guard),
            sync: self.sync.clone(),
            observer: self.observer.clone(),
            prefer_leader: self.prefer_leader,
            retry: self.retry.clone(),
            timeout: self.timeout,
            answer_limit: self.answer_limit,
        }
    }
}

impl<T: Transport> Road<T> {
    /// Sends a call, again where [`RetryPolicy`] allows, and returns the answer: any status but those of a server that
    /// cannot serve at the moment, and these too once there is no attempt left.
    pub(crate) async fn attempts(&self, call: &Call) -> Result<Reply> {
        let set = self.endpoints.current();
        let started = self.transport.now();
        let mut now = started;
        let retry = call.patience.retry(&self.retry);
        let timeout = call.patience.timeout(self.timeout);
        let mut tried = self.endpoints.lacking(&set, call, started);
        if tried.len() == set.len() {
            return Err(self.unsupported(call));
        }
        let mut is_passed_on = !tried.is_empty();
        let mut attempt = 0;
        let mut in_doubt = false;
        loop {
            attempt += 1;
            let overall = call.patience.timeout(retry.overall);
            let left = overall.saturating_sub(now.saturating_duration_since(started));
            let leader = if self.prefer_leader && call.repeat != Repeat::Always {
                set.pick_leader(&tried, now)
            } else {
                None
            };
            let is_leader = leader.is_some();
            let place = leader.unwrap_or_else(|| set.pick(&tried, now));
            let result = self.attempt(call, &place, &set, timeout.min(left)).await;
            let failure = match result.and_then(|reply| judged(call, reply)) {
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
                    return Ok(signed(reply, attempt, in_doubt));
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
            if let Failure::Missing(reply) = &failure {
                self.endpoints.lacks(&reply.place, call, now);
                is_passed_on = true;
            }
            let lacking = self.endpoints.lacking(&set, call, now);
            let pause = if failure.is_final() || lacking.len() == set.len() {
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
                    | Failure::Missing(reply) => Ok(signed(*reply, attempt, in_doubt)),
                    failure => Err(failure.into_error(self.site(call, &place, attempt))),
                };
            };
            in_doubt |= !failure.is_unsent();
            tried.push(place);
            if tried.len() == set.len() {
                tried = lacking;
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
    pub(crate) fn place_for(&self, call: &Call) -> Result<Place> {
        let now = self.transport.now();
        let set = self.endpoints.current();
        let lacking = self.endpoints.lacking(&set, call, now);
        if lacking.len() == set.len() {
            return Err(self.unsupported(call));
        }
        Ok(set.pick(&lacking, now))
    }

    /// The error for a call that is not sent: every endpoint has said that it does not have it.
    fn unsupported(&self, call: &Call) -> Error {
        Error::Unsupported(Unsupported::known(self.next_site(call.operation)))
    }

    /// Sends a call to one endpoint, once, and waits for the head of its answer.
    pub(crate) async fn head(
        &self,
        call: &Call,
        target: &PathAndQuery,
        place: &Place,
        idle: Option<IdleLimit>,
    ) -> Result<(Parts, Body), Failure> {
        let request = self.request(call, target, place, idle)?;
        self.answer(call, request).await
    }

    /// The request that a call is to this endpoint.
    pub(crate) fn request(
        &self,
        call: &Call,
        target: &PathAndQuery,
        place: &Place,
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
        if let Some(deadline) = call.patience.deadline() {
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
    pub(crate) async fn answer(
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
        self.guard.accept(call, &head).map_err(Failure::Refused)?;
        if self.prefer_leader
            && let Some(term) = guard::term(&head.headers)
        {
            self.endpoints.heard_of_term(term);
        }
        Ok((head, body))
    }

    /// The whole answer whose head came from this endpoint.
    pub(crate) async fn whole(
        &self,
        call: &Call,
        place: &Place,
        (head, body): (Parts, Body),
    ) -> Result<Reply, Failure> {
        Ok(Reply {
            status: head.status,
            body: body.collect(self.answer_limit).await?,
            headers: head.headers,
            site: self.site(call, place, 1),
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
            && let Some(cluster) = wire::cluster_id(json)
        {
            let checked = self.guard.check_cluster(cluster, status);
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
    pub(crate) fn note(&self, failure: &Failure, place: &Place, now: Instant) {
        if failure.is_the_endpoints() {
            place.failed(now);
        }
    }

    pub(crate) fn site(&self, call: &Call, place: &Place, attempts: u32) -> Site {
        Site {
            operation: call.operation,
            endpoint: place.endpoint().clone(),
            attempts,
        }
    }

    /// Where the next request would go.
    pub(crate) fn next_site(&self, operation: &'static str) -> Site {
        let place = self.endpoints.current().pick(&[], self.transport.now());
        Site {
            operation,
            endpoint: place.endpoint().clone(),
            attempts: 1,
        }
    }

    /// One attempt: one request, and those that redirects lead to.
    pub(crate) async fn attempt(
        &self,
        call: &Call,
        place: &Place,
        set: &Set,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let seen = self.guard.seen_before(call);
        let follow = async {
            let mut hops = redirect::Hops::new(call, place);
            loop {
                let idle = call.patience.idle_limit();
                let head = self.head(call, hops.target(), hops.place(), idle).await?;
                let reply = self.whole(call, hops.place(), head).await?;
                self.guard_message(call, reply.status, &reply.body)?;
                if !hops.follow(&reply, set).map_err(Failure::Redirect)? {
                    return Ok(reply);
                }
            }
        };
        let reply = self.within(limit, follow).await?;
        if let Some(seen) = seen {
            let checked = self.guard.accept_index(&seen, reply.status, &reply.headers);
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
    Missing(Box<Reply>),
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
            Self::Denied(_) | Self::Missing(_) => true,
            _ => false,
        }
    }

    /// Asking again would only bring the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Transport(error) => error.kind() == etcd_transport::TransportErrorKind::Rejected,
            Self::TimedOut(_) | Self::Unavailable(_) | Self::Denied(_) | Self::Missing(_) => false,
            Self::TooLarge(_) | Self::Redirect(_) => true,
            Self::Refused(refused) => refused.is_final(),
        }
    }

    /// Another endpoint might do better.
    fn is_the_endpoints(&self) -> bool {
        match self {
            // 500 is raft's: every member would say it.
            Self::Unavailable(reply) => reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(refused) => refused.is_the_endpoints(),
            // It is well, but for this.
            Self::Missing(_) => false,
            other => !other.is_final(),
        }
    }

    pub(crate) fn into_error(self, site: Site) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(TransportFailure::new(site, error)),
            Self::TimedOut(limit) => Error::Timeout(TimeoutError::new(site, limit)),
            Self::Unavailable(reply) | Self::Denied(reply) | Self::Missing(reply) => {
                reply.into_error()
            }
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
            Self::Refused(refused) => Error::Unexpected(refused.into_error(site)),
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
fn attempted(call: &Call, place: &Place, number: u32, elapsed: Duration) -> Attempt {
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
fn judged(call: &Call, reply: Reply) -> Result<Reply, Failure> {
    match refusal::of(call, &reply) {
        Some(refusal) if refusal.is_missing(call) => Err(Failure::Missing(Box::new(reply))),
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

fn signed(mut reply: Reply, attempts: u32, in_doubt: bool) -> Reply {
    reply.site.attempts = attempts;
    reply.in_doubt = in_doubt;
    reply
}
