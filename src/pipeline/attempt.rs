use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::{Duration, Instant},
};

use etcd_transport::{Body, Request, Transport, TransportError};
use http::{
    HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_TYPE},
    response::Parts,
    uri::PathAndQuery,
};

use crate::{
    endpoints::{set::EndpointSet, state::EndpointState, wire::Wire},
    error::ErrorContext,
    pipeline::{
        Pipeline,
        answer::{Answer, Reply, Verdict},
        attempt_span::AttemptSpan,
        basic_auth::BasicAuth,
        call::{Call, Login},
        exchange::Prepared,
        failure::Failure,
        lifetime::Lifetime,
        protocol::{Origin, Shown},
        redirect::Hops,
        response_check::Seen,
        wire,
    },
};

/// A response whose head was accepted.
pub(crate) struct Begun {
    pub(crate) head: Parts,
    /// What the head says about the server.
    pub(crate) origin: Origin,
    pub(crate) body: Body,
}

/// An attempt, and when it began.
pub(crate) struct Attempted {
    pub(crate) endpoint: EndpointState,
    pub(crate) wire: Wire,
    pub(crate) began: Instant,
    pub(crate) result: Result<Box<Answer>, Failure>,
}

impl Attempted {
    /// The endpoint's wire was not found out, so that nothing was sent.
    pub(crate) fn without_wire(endpoint: EndpointState, began: Instant, failure: Failure) -> Self {
        Self {
            endpoint,
            wire: Wire::Http,
            began,
            result: Err(failure),
        }
    }
}

/// The steps of one attempt.
impl<T: Transport> Pipeline<T> {
    /// Makes an attempt, which begins now. A response of a server that cannot serve is a failure.
    pub(crate) async fn attempt_checked(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
        began: Instant,
    ) -> Attempted {
        let result = self.attempt(prepared, endpoint, set, limit).await;
        Attempted {
            endpoint: endpoint.clone(),
            wire: prepared.wire,
            began,
            result: result.and_then(checked),
        }
    }

    /// Sends a request to one endpoint, follows redirects, and returns the complete response.
    pub(crate) async fn attempt(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
    ) -> Result<Box<Answer>, Failure> {
        let span = AttemptSpan::begin(prepared, endpoint.endpoint());
        let attempt = pin!(self.attempt_untraced(prepared, endpoint, set, limit));
        let result = span.around(attempt).await;
        span.end(&result);
        result
    }

    async fn attempt_untraced(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        set: &EndpointSet,
        limit: Duration,
    ) -> Result<Box<Answer>, Failure> {
        let seen = self.response_check.seen();
        let follow = pin!(async {
            let mut hops = Hops::new(prepared, endpoint);
            loop {
                let lifetime = prepared.call.deadline.lifetime();
                let begun = self
                    .send(prepared, hops.target(), hops.endpoint(), lifetime)
                    .await?;
                let origin = begun.origin;
                let answer = self.collect(prepared, hops.endpoint(), begun).await?;
                if !hops.follow(&answer.reply, set).map_err(Failure::Redirect)? {
                    return Ok((answer, origin));
                }
            }
        });
        let (answer, origin) = self.within(limit, follow).await?;
        let status = answer.reply.status;
        self.response_check
            .accept_head(
                &prepared.call,
                self.rejects_stale_reads,
                &seen,
                &origin,
                status,
            )
            .map_err(Failure::Refused)?;
        if let Verdict::Success { origin } = &answer.verdict {
            if self.rejects_stale_reads && prepared.call.reads_keys {
                self.response_check
                    .accept_revision(&seen, origin, status)
                    .map_err(Failure::Refused)?;
            }
            self.accept_origin(&seen, origin, status)?;
        }
        Ok(answer)
    }

    /// Sends a request to one endpoint and waits for the head of the response.
    pub(crate) async fn send(
        &self,
        prepared: &Prepared,
        target: &PathAndQuery,
        endpoint: &EndpointState,
        lifetime: Lifetime,
    ) -> Result<Begun, Failure> {
        let request = self.request(prepared, target, endpoint, lifetime)?;
        self.send_request(&prepared.call, request).await
    }

    /// Builds the request of a call to this endpoint, unless the client is closed.
    pub(crate) fn request(
        &self,
        prepared: &Prepared,
        target: &PathAndQuery,
        endpoint: &EndpointState,
        lifetime: Lifetime,
    ) -> Result<Request, Failure> {
        if self.lifecycle.is_closed() {
            return Err(Failure::Closed { is_unsent: true });
        }
        let Prepared {
            call,
            wire,
            encoded,
            token,
        } = prepared;
        let uri = endpoint
            .endpoint()
            .uri(target)
            .map_err(|error| Failure::Transport(TransportError::rejected(error)))?;
        let mut request = Request::new(Body::from(encoded.body.clone()));
        *request.method_mut() = encoded.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = encoded.version;
        let headers = request.headers_mut();
        if let Some(content_type) = encoded.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if encoded.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let fixed = self.credentials.as_ref().and_then(BasicAuth::fixed);
        let shown = match call.login {
            Login::Basic => Shown {
                basic: token.as_ref().or(fixed),
                token: None,
            },
            Login::Token | Login::None => Shown {
                basic: fixed,
                token: token.as_ref(),
            },
        };
        call.protocol.headers(call, *wire, shown, headers);
        self.trace_context.add(headers);
        if let Some(stats) = &self.stats {
            stats.sent(call.operation, endpoint.endpoint(), encoded.body.len());
        }
        lifetime.mark(request.extensions_mut());
        Ok(request)
    }

    /// Sends the request of a call and waits for the head of the response.
    pub(crate) async fn send_request(
        &self,
        call: &Call,
        request: Request,
    ) -> Result<Begun, Failure> {
        let response = self
            .transport
            .send(request)
            .await
            .map_err(Failure::Transport)?;
        let (head, body) = response.into_parts();
        let origin = self
            .response_check
            .accept(call, &head)
            .map_err(Failure::Refused)?;
        self.note_term(&origin);
        Ok(Begun { head, origin, body })
    }

    /// Checks a message that names its member, and takes in its term.
    pub(crate) fn accept_origin(
        &self,
        seen: &Seen,
        origin: &Origin,
        status: StatusCode,
    ) -> Result<(), Failure> {
        self.response_check
            .accept_origin(seen, origin, status)
            .map_err(Failure::Refused)?;
        self.note_term(origin);
        Ok(())
    }

    /// Takes in a raft term: with a new one there may be another leader.
    fn note_term(&self, origin: &Origin) {
        if self.prefer_leader
            && let Some(term) = origin.term
        {
            self.endpoints.note_term(term);
        }
    }

    /// Reads the rest of a response whose head came from this endpoint.
    pub(crate) async fn collect(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        begun: Begun,
    ) -> Result<Box<Answer>, Failure> {
        // What is taken out of `begun` here would be kept beside it while this waits.
        let collected = begun
            .body
            .collect_with_trailers(self.max_response_size)
            .await?;
        let reply = Reply {
            status: begun.head.status,
            headers: begun.head.headers,
            trailers: collected.trailers,
            body: collected.data,
        };
        self.classify(prepared, endpoint, reply)
    }

    /// Classifies a complete response, and rejects one from another cluster.
    pub(crate) fn classify(
        &self,
        prepared: &Prepared,
        endpoint: &EndpointState,
        reply: Reply,
    ) -> Result<Box<Answer>, Failure> {
        let Prepared { call, wire, .. } = prepared;
        if let Some(stats) = &self.stats {
            stats.received(call.operation, endpoint.endpoint(), reply.body.len());
        }
        let mut verdict = call.protocol.classify(call, *wire, &reply);
        match &mut verdict {
            Verdict::Success {
                origin:
                    Origin {
                        cluster: Some(cluster),
                        ..
                    },
            } => self
                .response_check
                .check_cluster(*cluster, reply.status)
                .map_err(Failure::Refused)?,
            Verdict::Refused(refusal) => {
                let has_credentials = match call.login {
                    Login::Token => self.token_source.is_some(),
                    Login::Basic | Login::None => self.credentials.is_some(),
                };
                refusal.hint = call.protocol.hint(refusal, has_credentials);
            }
            _ => {}
        }
        Ok(Box::new(Answer {
            reply,
            verdict,
            wire: *wire,
            context: self.context(call, endpoint),
            endpoint: endpoint.clone(),
            max_response_size: self.max_response_size,
            is_confidential: call.is_confidential,
        }))
    }

    /// Runs a future within the time limit. It is pinned by the caller, since a future that is moved takes its size twice.
    pub(crate) async fn within<O>(
        &self,
        limit: Duration,
        mut work: Pin<&mut impl Future<Output = Result<O, Failure>>>,
    ) -> Result<O, Failure> {
        // A call that is answered at once needs no clock.
        let mut sleep = None;
        poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let sleep = sleep.get_or_insert_with(|| self.transport.sleep(limit));
            ready!(sleep.as_mut().poll(cx));
            Poll::Ready(Err(Failure::TimedOut(limit)))
        })
        .await
    }

    pub(crate) fn since(&self, instant: Instant) -> Duration {
        self.transport.now().saturating_duration_since(instant)
    }

    /// Records what a failure says about an endpoint.
    pub(crate) fn note(&self, failure: &Failure, endpoint: &EndpointState, now: Instant) {
        if failure.is_endpoint_fault() {
            endpoint.failed(now);
            // It still speaks as it did.
            if let Failure::Answer(answer) = failure {
                wire::confirm(answer, endpoint);
            }
        }
    }

    /// Returns the context of a first attempt, for errors.
    pub(crate) fn context(&self, call: &Call, endpoint: &EndpointState) -> ErrorContext {
        ErrorContext::new(call.operation, endpoint.endpoint().clone())
    }

    /// Returns the context of the next request, for errors.
    pub(crate) fn next_context(&self, operation: &'static str) -> ErrorContext {
        let endpoint = self.endpoints.current().pick(&[], self.transport.now());
        ErrorContext::new(operation, endpoint.endpoint().clone())
    }
}

/// A response of a server that cannot serve is a failure.
pub(crate) fn checked(answer: Box<Answer>) -> Result<Box<Answer>, Failure> {
    if answer.is_unavailable() || answer.is_not_served() {
        return Err(Failure::Answer(answer));
    }
    Ok(answer)
}
