use std::{
    mem,
    pin::pin,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use etcd_transport::{Body, IdleLimit, Transport};
use futures::future::{BoxFuture, pending};
use http::{HeaderMap, response::Parts};

use crate::{
    client::Client,
    endpoints::state::EndpointState,
    error::{Error, Result},
    pipeline::{
        Pipeline,
        answer::{Answer, Reply},
        attempt::Begun,
        attempt_span::AttemptSpan,
        exchange::Prepared,
        failure::Failure,
        lifetime::Lifetime,
        observe::Report,
    },
};

/// A request whose response arrives when something happens, sent to one endpoint, once.
///
/// No time limit applies before the first byte of the body; the rest must then arrive within the usual one, and so must a
/// refusal, which waits for nothing. Some transports cannot report the head before that byte: a missing head proves nothing.
pub(crate) struct LongPoll<T> {
    client: Client<T>,
    prepared: Prepared,
    endpoint: EndpointState,
    sent: Instant,
    state: State,
    /// It has already been reported.
    is_quiet: bool,
}

enum State {
    Sent(BoxFuture<'static, Result<Begun, Failure>>),
    Open(Parts, Body),
    /// The response has begun.
    Arriving(BoxFuture<'static, Result<Box<Answer>, Failure>>),
    Over,
}

/// What a long poll delivers, in this order.
pub(crate) enum Polled {
    /// The head: the server has processed the request, and waits or responds.
    Head,
    /// The complete response.
    Answer(Box<Answer>),
}

impl<T: Transport> LongPoll<T> {
    /// Creates a long poll, which sends a request to this endpoint when it is first polled. `idle` is how long it may
    /// be silent.
    pub(crate) fn new(
        client: &Client<T>,
        prepared: Prepared,
        endpoint: EndpointState,
        idle: Duration,
    ) -> Self {
        let head = {
            let (client, prepared, endpoint) = (client.clone(), prepared.clone(), endpoint.clone());
            async move {
                let target = &prepared.encoded.target;
                let lifetime = Lifetime::LongLived(IdleLimit(idle));
                let pipeline = client.pipeline();
                let span = AttemptSpan::begin(&prepared, endpoint.endpoint());
                let head = pipeline.send(&prepared, target, &endpoint, lifetime);
                let begun = span.around(head).await;
                span.head(begun.as_ref().map(|begun| begun.head.status));
                begun
            }
        };
        Self {
            sent: client.transport().now(),
            client: client.clone(),
            prepared,
            endpoint,
            state: State::Sent(Box::pin(head)),
            is_quiet: false,
        }
    }

    /// Waits for the next item; after the response, forever. Cancel-safe: nothing is lost if this future is dropped.
    pub(crate) async fn recv(&mut self) -> Result<Polled> {
        match self.advance().await {
            Ok(Polled::Head) => Ok(Polled::Head),
            Ok(Polled::Answer(answer)) => {
                self.report(|| Report::of_answer(&answer));
                Ok(Polled::Answer(answer))
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Reports it as quiet: it has been silent for long enough, even if it may still deliver an event.
    pub(crate) fn fall_silent(&mut self) {
        self.is_quiet = true;
        self.report(Report::quiet);
    }

    /// Returns the endpoint that it was sent to.
    pub(crate) fn endpoint(&self) -> &EndpointState {
        &self.endpoint
    }

    /// Returns how long ago it was sent.
    pub(crate) fn age(&self) -> Duration {
        let now = self.client.transport().now();
        now.saturating_duration_since(self.sent)
    }

    /// Whether a response is arriving: it is more than the head of one that waits.
    pub(crate) fn is_arriving(&self) -> bool {
        matches!(self.state, State::Arriving(_))
    }

    /// Returns the headers of a response that waits.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match &self.state {
            State::Open(head, _) => Some(&head.headers),
            _ => None,
        }
    }

    async fn advance(&mut self) -> Result<Polled, Failure> {
        loop {
            match &mut self.state {
                State::Sent(head) => {
                    let Begun { head, body, .. } = head.await?;
                    let is_refusal = !head.status.is_success();
                    self.state = State::Open(head, body);
                    if is_refusal {
                        self.begin(Bytes::new());
                    }
                    return Ok(Polled::Head);
                }
                State::Open(_, body) => {
                    let first = body.frame().await.transpose();
                    let first = first.map_err(Failure::Transport)?;
                    let first = first.and_then(|frame| frame.into_data().ok());
                    self.begin(first.unwrap_or_default());
                }
                State::Arriving(answer) => {
                    let answer = answer.await?;
                    self.state = State::Over;
                    return Ok(Polled::Answer(answer));
                }
                State::Over => return pending().await,
            }
        }
    }

    /// Reads the rest of a response whose first bytes have arrived.
    fn begin(&mut self, first: Bytes) {
        let State::Open(head, body) = mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let client = self.client.clone();
        let (prepared, endpoint) = (self.prepared.clone(), self.endpoint.clone());
        let answer = async move {
            let pipeline = client.pipeline();
            let reply = Reply {
                status: head.status,
                headers: head.headers,
                trailers: None,
                body: rest(pipeline, first, body).await?,
            };
            pipeline.classify(&prepared, &endpoint, reply)
        };
        self.state = State::Arriving(Box::pin(answer));
    }

    fn failed(&mut self, failure: Failure) -> Error {
        self.state = State::Over;
        if !self.is_quiet {
            self.report(|| Report::of_failure(&failure));
        }
        let pipeline = self.client.pipeline();
        pipeline.note(&failure, &self.endpoint, pipeline.transport.now());
        failure.into_error(pipeline.context(&self.prepared.call, &self.endpoint))
    }

    fn report(&self, report: impl FnOnce() -> Report) {
        self.client.pipeline().observer.report(|| {
            let operation = self.prepared.call.operation;
            report().attempt(operation, &self.endpoint, 1, self.age())
        });
    }
}

/// Reads a complete body, of which these are the first bytes.
async fn rest<T: Transport>(
    pipeline: &Pipeline<T>,
    first: Bytes,
    body: Body,
) -> Result<Bytes, Failure> {
    let limit = pipeline.max_response_size;
    let Some(room) = limit.checked_sub(first.len()) else {
        return Err(Failure::TooLarge(limit));
    };
    let rest = pin!(async { Ok(body.collect(room).await?) });
    match pipeline.within(pipeline.timeout, rest).await {
        Ok(rest) => Ok(join(first, rest)),
        Err(Failure::TooLarge(_)) => Err(Failure::TooLarge(limit)),
        Err(failure) => Err(failure),
    }
}

fn join(first: Bytes, rest: Bytes) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut both = BytesMut::with_capacity(first.len() + rest.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&rest);
    both.freeze()
}
