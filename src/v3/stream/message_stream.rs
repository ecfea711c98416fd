use std::marker::PhantomData;

use bytes::Bytes;
use etcd_transport::{Body, IdleLimit, Transport, TransportError};
use futures::future::BoxFuture;
use http::StatusCode;

use crate::{
    client::Client,
    endpoints::set::EndpointState,
    error::{Error, ErrorContext, Outcome, Result, UnexpectedAnswer},
    operation::{Call, Reply},
    pipeline::execute::Failure,
    v3::{
        protocol::{
            gateway::{self, StreamItem},
            json,
            message::Decode,
            status::GrpcStatus,
        },
        stream::{
            json_splitter::{JsonSplitter, SplitError},
            open::{self, Opened},
        },
    },
};

/// One request, and the messages of its response: `{"result":{…}}` each, and `{"error":{…}}` where etcd ends the stream.
///
/// It reads only when it is asked for a message, so that a slow consumer applies backpressure. It keeps at most one
/// message and one chunk of the body. It has no time limit of its own. Dropping it ends the exchange.
pub(in crate::v3) struct MessageStream<T, M> {
    client: Client<T>,
    call: Call,
    endpoint: EndpointState,
    idle: IdleLimit,
    /// The request goes on while it is answered, so that it cannot be sent to another endpoint.
    is_duplex: bool,
    response: Response,
    splitter: JsonSplitter,
    message: PhantomData<fn() -> M>,
}

/// A message of a stream.
pub(in crate::v3) trait StreamMessage: Decode {
    /// The cluster that the message says it is from; 0 where it does not say.
    fn cluster_id(&self) -> u64;
}

/// How far the response is.
enum Response {
    /// The head has not arrived.
    Opening(BoxFuture<'static, Result<Opened, Failure>>),
    /// The body is being read.
    Open(Body),
    /// There is no more to read.
    Ended,
}

impl<T: Transport, M: StreamMessage> MessageStream<T, M> {
    /// Sends `call` to this endpoint when it is first asked for a message, and to another only where the endpoint does not
    /// have the call. `idle` is the longest silence that the caller accepts; `body` takes the place of the call's own.
    pub(super) fn new(
        client: &Client<T>,
        call: Call,
        endpoint: EndpointState,
        idle: IdleLimit,
        body: Option<Body>,
    ) -> Self {
        Self {
            is_duplex: body.is_some(),
            response: Response::Opening(open::open(client, &call, &endpoint, idle, body)),
            splitter: JsonSplitter::new(client.pipeline().max_response_size),
            client: client.clone(),
            call,
            endpoint,
            idle,
            message: PhantomData,
        }
    }

    /// The next message with its size in bytes; `None` at the proper end of the response. An error is the last item.
    ///
    /// Nothing is lost when this future is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Option<Result<(M, usize)>> {
        match self.read().await {
            Ok(Some(message)) => {
                let size = message.len();
                Some(self.decode(&message).map(|message| (message, size)))
            }
            Ok(None) => None,
            Err(error) => {
                self.response = Response::Ended;
                Some(Err(error))
            }
        }
    }

    /// The call as it was sent, with its token.
    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// The endpoint that it was last sent to.
    pub(super) fn endpoint(&self) -> &EndpointState {
        &self.endpoint
    }

    /// Whether a part of a message has arrived.
    pub(super) fn is_partial(&self) -> bool {
        self.splitter.is_partial()
    }

    /// Which operation this is, and where.
    pub(super) fn context(&self) -> ErrorContext {
        open::context(&self.client, &self.call, &self.endpoint)
    }

    /// The bytes of the next message.
    async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            match &mut self.response {
                Response::Opening(opening) => match opening.await {
                    Ok(Opened::Body(body)) => self.response = Response::Open(body),
                    Ok(Opened::Refused(reply)) => self.refused(*reply)?,
                    Err(failure) => return Err(self.error(failure)),
                },
                Response::Open(body) => {
                    match self.splitter.next() {
                        Ok(Some(message)) => return Ok(Some(message)),
                        Ok(None) => {}
                        Err(error) => return Err(self.malformed(error)),
                    }
                    match body.frame().await {
                        Some(Ok(frame)) => {
                            if let Ok(data) = frame.into_data() {
                                self.splitter.push(data);
                            }
                        }
                        Some(Err(error)) => return Err(self.error(Failure::Transport(error))),
                        None if self.splitter.is_partial() => {
                            let cut = TransportError::interrupted("the answer ended in a message");
                            return Err(self.error(Failure::Transport(cut)));
                        }
                        None => self.response = Response::Ended,
                    }
                }
                Response::Ended => return Ok(None),
            }
        }
    }

    /// Tries another endpoint where this one does not have the call.
    fn refused(&mut self, reply: Reply) -> Result<()> {
        let next = open::endpoint_after(&self.client, &self.call, &self.endpoint, &reply);
        match next.filter(|_| !self.is_duplex) {
            Some(endpoint) => {
                let (client, call, idle) = (&self.client, &self.call, self.idle);
                self.response = Response::Opening(open::open(client, call, &endpoint, idle, None));
                self.endpoint = endpoint;
                Ok(())
            }
            None => gateway::success(reply).and_then(|reply| {
                Err(Error::Unexpected(
                    reply.unexpected("a refusal that is none"),
                ))
            }),
        }
    }

    fn decode(&self, message: &[u8]) -> Result<M> {
        let unexpected = |what| self.unexpected(what, message);
        match json::parse(message) {
            Ok(StreamItem { result: Some(item) }) => self.check_cluster(item),
            Ok(StreamItem { result: None }) => Err(match GrpcStatus::parse(message) {
                Some(refusal) => refusal.into_error(self.context(), StatusCode::OK),
                None => Error::Unexpected(unexpected("neither a result nor an error")),
            }),
            Err(error) => {
                let what = "the message is not what etcd sends";
                Err(Error::Unexpected(unexpected(what).with_source(error)))
            }
        }
    }

    /// Rejects a message of another cluster. Its endpoint is not chosen next where there are others.
    fn check_cluster(&self, message: M) -> Result<M> {
        let pipeline = self.client.pipeline();
        let check = &pipeline.response_check;
        match check.check_cluster(message.cluster_id(), StatusCode::OK) {
            Ok(()) => Ok(message),
            Err(refused) => {
                let failure = Failure::Refused(refused);
                pipeline.note(&failure, &self.endpoint, pipeline.transport.now());
                Err(self.error(failure))
            }
        }
    }

    fn malformed(&self, error: SplitError) -> Error {
        match error {
            SplitError::TooLarge => {
                self.error(Failure::TooLarge(self.client.pipeline().max_response_size))
            }
            SplitError::Malformed => {
                let what = "the answer is not what etcd sends";
                Error::Unexpected(self.unexpected(what, self.splitter.rest()))
            }
        }
    }

    fn unexpected(&self, what: impl Into<String>, body: &[u8]) -> UnexpectedAnswer {
        UnexpectedAnswer::new(self.context(), what, Outcome::Unknown).with_body(body)
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(self.context())
    }
}
