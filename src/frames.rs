use bytes::Bytes;
use etcd_transport::{Body, Duplex, IdleLimit, Request, Transport, TransportError};
use futures::future::BoxFuture;
use http::{Version, header::CONNECTION};

use crate::{
    Attempt, AttemptOutcome, Call, Client, Error, Outcome, Reply, Result,
    endpoints::Place,
    error::{Site, UnexpectedAnswer},
    exchange::Failure,
    feed::Feed,
    splitter::{NotObjects, Splitter},
};

/// One exchange whose answer keeps coming, one JSON object after the other.
///
/// It reads on only when it is asked to: whoever is slow makes the server wait, and loses nothing. At most one object and
/// one chunk are kept. No time limit applies but the caller's; dropping it ends the exchange.
pub(crate) struct Frames<T> {
    client: Client<T>,
    call: Call,
    place: Place,
    state: State,
    splitter: Splitter,
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

enum Opened {
    Body(Body),
    Refused(Box<Reply>),
}

impl<T: Transport> Frames<T> {
    /// Will send `call` to this endpoint, once, when it is first asked for a frame. `idle` is how long the caller bears
    /// its silence.
    pub(crate) fn open(client: &Client<T>, call: Call, place: Place, idle: IdleLimit) -> Self {
        let request = request(client, &call, &place, idle);
        Self::begin(client, call, place, request)
    }

    /// The same, with a body that goes on: by HTTP/2, or not at all.
    pub(crate) fn open_duplex(
        client: &Client<T>,
        call: Call,
        place: Place,
        idle: IdleLimit,
    ) -> (Self, Feed) {
        let (feed, body) = Feed::new(call.body.clone());
        let request = request(client, &call, &place, idle).map(|mut request| {
            *request.version_mut() = Version::HTTP_2;
            request.extensions_mut().insert(Duplex);
            request.headers_mut().remove(CONNECTION);
            *request.body_mut() = body;
            request
        });
        (Self::begin(client, call, place, request), feed)
    }

    fn begin(
        client: &Client<T>,
        call: Call,
        place: Place,
        request: Result<Request, Failure>,
    ) -> Self {
        let opening = {
            let (client, call, place) = (client.clone(), call.clone(), place.clone());
            async move { open(&client, &call, &place, request).await }
        };
        Self {
            splitter: Splitter::new(client.road().answer_limit),
            client: client.clone(),
            call,
            place,
            state: State::Opening(Box::pin(opening)),
        }
    }

    /// Which endpoint it was sent to.
    pub(crate) fn place(&self) -> &Place {
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
        UnexpectedAnswer::new(self.site(), what, Outcome::Unknown).with_body(body)
    }

    /// Which operation this is, and where.
    pub(crate) fn site(&self) -> Site {
        self.client.road().site(&self.call, &self.place, 1)
    }

    async fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match opening.await {
                    Ok(Opened::Body(body)) => self.state = State::Open(body),
                    Ok(Opened::Refused(reply)) => {
                        self.state = State::Closed;
                        return Ok(Some(Frame::Refused(reply)));
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

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(self.site())
    }

    fn refuse(&self, not: NotObjects) -> Error {
        match not {
            NotObjects::TooLarge => self.error(Failure::TooLarge(self.client.road().answer_limit)),
            NotObjects::Garbage => {
                let what = "the answer is not what etcd sends";
                Error::Unexpected(self.unexpected(what, self.splitter.rest()))
            }
        }
    }
}

fn request<T: Transport>(
    client: &Client<T>,
    call: &Call,
    place: &Place,
    idle: IdleLimit,
) -> Result<Request, Failure> {
    client.road().request(call, &call.target, place, Some(idle))
}

async fn open<T: Transport>(
    client: &Client<T>,
    call: &Call,
    place: &Place,
    request: Result<Request, Failure>,
) -> Result<Opened, Failure> {
    let road = client.road();
    let sent = road.transport.now();
    let head = match request {
        Ok(request) => road.answer(call, request).await,
        Err(failure) => Err(failure),
    };
    road.observer.tell(|| {
        let (outcome, status) = match &head {
            Ok((head, _)) => (AttemptOutcome::Answered, Some(head.status)),
            Err(failure) => AttemptOutcome::of_failure(failure),
        };
        Attempt {
            operation: call.operation,
            endpoint: place.endpoint().clone(),
            number: 1,
            status,
            elapsed: road.transport.now().saturating_duration_since(sent),
            outcome,
        }
    });
    let (head, body) = head?;
    if head.status.is_success() {
        return Ok(Opened::Body(body));
    }
    let refusal = road.whole(call, place, (head, body));
    let refusal = road.within(road.timeout, refusal).await?;
    Ok(Opened::Refused(Box::new(refusal)))
}
