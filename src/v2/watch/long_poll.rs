use std::{
    mem,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use etcd_transport::{Body, IdleLimit, Transport};
use futures::future::{BoxFuture, pending};
use http::{HeaderMap, StatusCode, response::Parts};

use crate::{
    client::Client,
    endpoints::set::EndpointState,
    error::{Error, Result},
    operation::{Call, Reply},
    pipeline::{
        execute::{Failure, Pipeline},
        observe::{Attempt, AttemptOutcome},
    },
};

/// A request that is answered when something happens, sent to one endpoint, once.
///
/// No time limit applies before the first byte of the body; then the rest is to come within the usual one. Some transports
/// cannot tell the head before that byte: a missing head proves nothing.
pub(crate) struct LongPoll<T> {
    client: Client<T>,
    call: Call,
    place: EndpointState,
    sent: Instant,
    state: State,
    /// It has been told of already.
    is_quiet: bool,
}

enum State {
    Sent(BoxFuture<'static, Result<(Parts, Body), Failure>>),
    Open(Parts, Body),
    /// The answer has begun.
    Arriving(BoxFuture<'static, Result<Reply, Failure>>),
    Over,
}

/// What a long poll brings, in this order.
pub(crate) enum Polled {
    /// The head: the server has dealt with the request, and begins to wait, or to answer.
    Head,
    /// The answer, whole.
    Answer(Reply),
}

impl<T: Transport> LongPoll<T> {
    /// Will send `call` to this endpoint when it is first listened to. `idle` is how long it may be listened to in vain.
    pub(crate) fn new(
        client: &Client<T>,
        call: Call,
        place: EndpointState,
        idle: Duration,
    ) -> Self {
        let head = {
            let (client, call, place) = (client.clone(), call.clone(), place.clone());
            async move {
                let idle = Some(IdleLimit(idle));
                client
                    .pipeline()
                    .send(&call, &call.target, &place, idle)
                    .await
            }
        };
        Self {
            sent: client.transport().now(),
            client: client.clone(),
            call,
            place,
            state: State::Sent(Box::pin(head)),
            is_quiet: false,
        }
    }

    /// Waits for what comes next; after the answer, for ever. Nothing is lost when this future is dropped, and asked for
    /// again.
    pub(crate) async fn recv(&mut self) -> Result<Polled> {
        match self.advance().await {
            Ok(Polled::Head) => Ok(Polled::Head),
            Ok(Polled::Answer(reply)) => {
                self.tell(AttemptOutcome::Answered, Some(reply.status));
                Ok(Polled::Answer(reply))
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// It has been listened to for long enough, in vain, whatever comes of it yet.
    pub(crate) fn fall_silent(&mut self) {
        self.is_quiet = true;
        self.tell(AttemptOutcome::Quiet, None);
    }

    /// Where it was sent.
    pub(crate) fn place(&self) -> &EndpointState {
        &self.place
    }

    /// How long ago it was sent.
    pub(crate) fn age(&self) -> Duration {
        let now = self.client.transport().now();
        now.saturating_duration_since(self.sent)
    }

    /// The headers of the head, once it is there and until the answer is.
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
                    let (head, body) = head.await?;
                    self.state = State::Open(head, body);
                    return Ok(Polled::Head);
                }
                State::Open(_, body) => {
                    let first = body.frame().await.transpose();
                    let first = first.map_err(Failure::Transport)?;
                    let first = first.and_then(|frame| frame.into_data().ok());
                    self.begin(first.unwrap_or_default());
                }
                State::Arriving(reply) => {
                    let reply = reply.await?;
                    self.state = State::Over;
                    return Ok(Polled::Answer(reply));
                }
                State::Over => return pending().await,
            }
        }
    }

    /// The first bytes of the answer are here, and the rest is to follow.
    fn begin(&mut self, first: Bytes) {
        let State::Open(head, body) = mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let (client, call, place) = (self.client.clone(), self.call.clone(), self.place.clone());
        let reply = async move {
            let pipeline = client.pipeline();
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                body: rest(pipeline, first, body).await?,
                context: pipeline.context(&call, &place, 1),
                place,
                in_doubt: false,
            })
        };
        self.state = State::Arriving(Box::pin(reply));
    }

    fn failed(&mut self, failure: Failure) -> Error {
        self.state = State::Over;
        if !self.is_quiet {
            let (outcome, status) = AttemptOutcome::of_failure(&failure);
            self.tell(outcome, status);
        }
        let pipeline = self.client.pipeline();
        pipeline.note(&failure, &self.place, pipeline.transport.now());
        failure.into_error(pipeline.context(&self.call, &self.place, 1))
    }

    fn tell(&self, outcome: AttemptOutcome, status: Option<StatusCode>) {
        self.client.pipeline().observer.tell(|| Attempt {
            operation: self.call.operation,
            endpoint: self.place.endpoint().clone(),
            number: 1,
            status,
            elapsed: self.age(),
            outcome,
        });
    }
}

/// A whole body, of which these are the first bytes.
async fn rest<T: Transport>(
    pipeline: &Pipeline<T>,
    first: Bytes,
    body: Body,
) -> Result<Bytes, Failure> {
    let limit = pipeline.max_response_size;
    let Some(room) = limit.checked_sub(first.len()) else {
        return Err(Failure::TooLarge(limit));
    };
    let rest = async { Ok(body.collect(room).await?) };
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
