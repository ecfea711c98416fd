use bytes::Bytes;
use etcd_transport::{Body, Duplex, IdleLimit, Request, Transport, TransportError};
use futures::future::BoxFuture;
use http::{StatusCode, Version, header::CONNECTION};

use crate::{
    client::Client,
    endpoints::{endpoint::Endpoint, set::EndpointState},
    error::{Error, ErrorContext, Outcome, Result, UnexpectedAnswer},
    operation::{Call, Reply},
    pipeline::{
        execute::Failure,
        observe::{Attempt, AttemptOutcome},
    },
    v3::{
        protocol::status,
        stream::{
            body_sender::BodySender,
            json_splitter::{JsonSplitter, NotObjects},
        },
    },
};

/// One exchange whose answer keeps coming, one JSON object after the other.
///
/// It reads on only when it is asked to: whoever is slow makes the server wait, and loses nothing. At most one object and
/// one chunk are kept. No time limit applies but the caller's; dropping it ends the exchange.
pub(crate) struct ObjectStream<T> {
    client: Client<T>,
    call: Call,
    place: EndpointState,
    idle: IdleLimit,
    /// What follows on the call's body is elsewhere.
    is_duplex: bool,
    state: State,
    splitter: JsonSplitter,
}

/// What arrives.
pub(crate) enum Frame {
    /// One JSON object.
    Object(Bytes),
    /// A status other than success, instead of any object.
    Refused(Box<Reply>),
}

enum State {
    Opening(BoxFuture<'static, Result<Opened, Failure>>),
    Open(Body),
    Closed,
}

impl State {
    fn opening<T: Transport>(
        client: &Client<T>,
        call: &Call,
        place: &EndpointState,
        idle: IdleLimit,
        duplex: Option<Body>,
    ) -> Self {
        let (client, call, place) = (client.clone(), call.clone(), place.clone());
        Self::Opening(Box::pin(async move {
            open(&client, &call, &place, idle, duplex).await
        }))
    }
}

enum Opened {
    Body(Body),
    Refused(Box<Reply>),
}

impl<T: Transport> ObjectStream<T> {
    /// Will send `call` when it is first asked for a frame: to the endpoint that is the one to ask now, and to another only
    /// when this one does not have the call. `idle` is how long the caller bears its silence.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no endpoint has the call, as far as is known.
    pub(crate) fn open(client: &Client<T>, call: Call, idle: IdleLimit) -> Result<Self> {
        let (frames, _) = Self::open_duplex_if(client, call, idle, |_| false)?;
        Ok(frames)
    }

    /// The same. Where `is_duplex` says so of the endpoint, the call's body is but the beginning, and here is what feeds the
    /// rest: by HTTP/2, or not at all, and to this endpoint alone.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) fn open_duplex_if(
        client: &Client<T>,
        call: Call,
        idle: IdleLimit,
        is_duplex: impl FnOnce(&Endpoint) -> bool,
    ) -> Result<(Self, Option<BodySender>)> {
        let place = client.pipeline().place_for(&call)?;
        let (feed, body) = if is_duplex(place.endpoint()) {
            let (feed, body) = BodySender::new(call.body.clone());
            (Some(feed), Some(body))
        } else {
            (None, None)
        };
        let frames = Self {
            splitter: JsonSplitter::new(client.pipeline().max_response_size),
            is_duplex: feed.is_some(),
            state: State::opening(client, &call, &place, idle, body),
            client: client.clone(),
            call,
            place,
            idle,
        };
        Ok((frames, feed))
    }

    /// The client that it is for.
    pub(crate) fn client(&self) -> &Client<T> {
        &self.client
    }

    /// Which endpoint it was sent to last.
    pub(crate) fn place(&self) -> &EndpointState {
        &self.place
    }

    /// The next frame; `None` where the answer came to its proper end. Nothing is lost when this future is dropped, and
    /// asked for again.
    pub(crate) async fn next(&mut self) -> Option<Result<Frame>> {
        match self.read().await {
            Ok(frame) => frame.map(Ok),
            Err(error) => {
                self.state = State::Closed;
                Some(Err(error))
            }
        }
    }

    /// An answer that has no meaning: what is wrong with it, and how it begins.
    pub(crate) fn unexpected(&self, what: impl Into<String>, body: &[u8]) -> UnexpectedAnswer {
        UnexpectedAnswer::new(self.context(), what, Outcome::Unknown).with_body(body)
    }

    /// Refuses what is from another cluster: its endpoint is not to be the next one, if there are others.
    pub(crate) fn guard(&self, object: &[u8]) -> Result<()> {
        let pipeline = self.client.pipeline();
        let checked = pipeline.guard_message(&self.call, StatusCode::OK, object);
        checked.map_err(|failure| {
            pipeline.note(&failure, &self.place, pipeline.transport.now());
            self.error(failure)
        })
    }

    /// No object has begun to arrive whose end has not.
    pub(crate) fn is_between(&self) -> bool {
        self.splitter.is_between()
    }

    /// Which operation this is, and where.
    pub(crate) fn context(&self) -> ErrorContext {
        self.client.pipeline().context(&self.call, &self.place, 1)
    }

    async fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match opening.await {
                    Ok(Opened::Body(body)) => self.state = State::Open(body),
                    Ok(Opened::Refused(reply)) => {
                        let Some(place) = self.another(&reply) else {
                            self.state = State::Closed;
                            return Ok(Some(Frame::Refused(reply)));
                        };
                        self.place = place;
                        let (client, call) = (&self.client, &self.call);
                        self.state = State::opening(client, call, &self.place, self.idle, None);
                    }
                    Err(failure) => return Err(self.error(failure)),
                },
                State::Open(body) => {
                    match self.splitter.next() {
                        Ok(Some(object)) => return Ok(Some(Frame::Object(object))),
                        Ok(None) => {}
                        Err(not) => return Err(self.refuse(not)),
                    }
                    match body.frame().await {
                        Some(Ok(frame)) => {
                            if let Ok(data) = frame.into_data() {
                                self.splitter.push(data);
                            }
                        }
                        Some(Err(error)) => return Err(self.error(Failure::Transport(error))),
                        None if self.splitter.is_between() => self.state = State::Closed,
                        None => {
                            let cut = TransportError::interrupted("the answer ended in a message");
                            return Err(self.error(Failure::Transport(cut)));
                        }
                    }
                }
                State::Closed => return Ok(None),
            }
        }
    }

    /// The endpoint to ask instead of one that does not have the call, if that is what it says, and there is one.
    fn another(&self, reply: &Reply) -> Option<EndpointState> {
        let refusal = status::of(&self.call, reply)?;
        if !refusal.is_missing(&self.call) {
            return None;
        }
        let pipeline = self.client.pipeline();
        let now = pipeline.transport.now();
        pipeline.endpoints.lacks(&self.place, &self.call, now);
        if self.is_duplex {
            // What was fed is gone with the body: the caller begins again.
            return None;
        }
        pipeline.place_for(&self.call).ok()
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(self.context())
    }

    fn refuse(&self, not: NotObjects) -> Error {
        match not {
            NotObjects::TooLarge => {
                self.error(Failure::TooLarge(self.client.pipeline().max_response_size))
            }
            NotObjects::Garbage => {
                let what = "the answer is not what etcd sends";
                Error::Unexpected(self.unexpected(what, self.splitter.rest()))
            }
        }
    }
}

async fn open<T: Transport>(
    client: &Client<T>,
    call: &Call,
    place: &EndpointState,
    idle: IdleLimit,
    duplex: Option<Body>,
) -> Result<Opened, Failure> {
    let pipeline = client.pipeline();
    let sent = pipeline.transport.now();
    let head = match pipeline.request(call, &call.target, place, Some(idle)) {
        Ok(request) => {
            pipeline
                .send_request(call, with_body(request, duplex))
                .await
        }
        Err(failure) => Err(failure),
    };
    pipeline.observer.tell(|| {
        let (outcome, status) = match &head {
            Ok((head, _)) => (AttemptOutcome::Answered, Some(head.status)),
            Err(failure) => AttemptOutcome::of_failure(failure),
        };
        Attempt {
            operation: call.operation,
            endpoint: place.endpoint().clone(),
            number: 1,
            status,
            elapsed: pipeline.transport.now().saturating_duration_since(sent),
            outcome,
        }
    });
    let (head, body) = head?;
    if head.status.is_success() {
        return Ok(Opened::Body(body));
    }
    let refusal = pipeline.collect(call, place, (head, body));
    let refusal = pipeline.within(pipeline.timeout, refusal).await?;
    Ok(Opened::Refused(Box::new(refusal)))
}

/// The request with a body that goes on, if there is one.
fn with_body(mut request: Request, duplex: Option<Body>) -> Request {
    if let Some(body) = duplex {
        *request.version_mut() = Version::HTTP_2;
        *request.body_mut() = body;
        request.headers_mut().remove(CONNECTION);
        request.extensions_mut().insert(Duplex);
    }
    request
}
