use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use etcd_transport::{Body, Transport, TransportError};
use futures::future::BoxFuture;
use http::StatusCode;

use crate::{
    base::budget,
    client::Client,
    endpoints::{state::EndpointState, wire::Wire},
    error::{
        Error, ErrorContext, Outcome, Result, UnexpectedKind, UnexpectedResponse, Unsupported,
    },
    pipeline::{
        exchange::Prepared,
        failure::{Failure, too_large_decoded},
        response_check::Seen,
    },
    v3::{
        Header,
        protocol::{
            grpc,
            length_prefixed::SplitError,
            message::Decode,
            status::{GrpcStatus, NO_CALL},
        },
        stream::{
            open::{self, Opened, StreamRequest},
            splitter::Splitter,
            wire::{self, Item},
        },
    },
};

/// One request, and the messages of its response: `{"result":{…}}` each, and `{"error":{…}}` where etcd ends the stream.
///
/// It reads only when it is asked for a message, so that a slow consumer applies backpressure. It keeps at most one
/// message and one chunk of the body. It has no time limit of its own. Dropping it ends the exchange.
pub(in crate::v3) struct MessageStream<T, M> {
    client: Client<T>,
    request: StreamRequest,
    endpoint: EndpointState,
    /// What was known of the members' terms when the request was sent.
    seen: Seen,
    /// How many bytes of the body have arrived.
    received: u64,
    /// Whether a part of a message has arrived. It can be read while [`next`](Self::next) waits.
    is_partial: Arc<AtomicBool>,
    response: Response,
    splitter: Splitter,
    message: PhantomData<fn() -> M>,
}

/// A message of a stream.
pub(in crate::v3) trait StreamMessage: Decode {
    /// The header, which says where the message is from. Its fields are 0 where they are left out.
    fn header(&self) -> Header;
}

/// How far the response is.
enum Response {
    /// The head has not arrived.
    Opening(BoxFuture<'static, Result<Opened, Failure>>),
    /// The body is being read.
    Open(Body),
    /// There is no more to read.
    Ended,
    /// The attempt to open it has failed, and reported that.
    Failed,
}

impl<T: Transport, M: StreamMessage> MessageStream<T, M> {
    /// Sends `request` to this endpoint when it is first asked for a message. `body` takes the place of the request's own.
    pub(super) fn new(
        client: &Client<T>,
        request: StreamRequest,
        endpoint: EndpointState,
        body: Option<Body>,
    ) -> Self {
        Self {
            received: 0,
            is_partial: Arc::default(),
            seen: client.pipeline().response_check.seen(),
            response: Response::Opening(open::open(client, &request, &endpoint, body)),
            splitter: wire::splitter(request.prepared.wire, client.pipeline().max_response_size),
            client: client.clone(),
            request,
            endpoint,
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
                if !self.is_reported() {
                    self.response = Response::Ended;
                }
                Some(Err(error))
            }
        }
    }

    /// The request as it was sent, with its token.
    pub(super) fn prepared(&self) -> &Prepared {
        &self.request.prepared
    }

    /// How the request travels.
    pub(super) fn wire(&self) -> Wire {
        self.request.prepared.wire
    }

    /// The endpoint that it is sent to.
    pub(super) fn endpoint(&self) -> &EndpointState {
        &self.endpoint
    }

    /// Whether its failure was reported when it was opened.
    pub(super) fn is_reported(&self) -> bool {
        matches!(self.response, Response::Failed)
    }

    /// How many bytes of the body have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether a part of a message has arrived.
    pub(super) fn is_partial(&self) -> bool {
        self.splitter.is_partial()
    }

    /// Tells the same while the next message is waited for.
    pub(super) fn partial(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_partial)
    }

    /// Which operation this is, and where.
    pub(super) fn context(&self) -> ErrorContext {
        open::context(&self.client, &self.request.prepared.call, &self.endpoint)
    }

    /// The bytes of the next message.
    async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            match &mut self.response {
                Response::Opening(opening) => match opening.await {
                    Ok(Opened::Body(body)) => self.response = Response::Open(body),
                    Ok(Opened::Refused(answer)) => return Err(answer.into_error()),
                    Ok(Opened::Status(status)) => return self.ended(Some(status)),
                    Err(failure) => {
                        self.response = Response::Failed;
                        return Err(self.error(failure));
                    }
                },
                Response::Open(body) => {
                    match self.splitter.next() {
                        Ok(Some(message)) => return Ok(Some(message)),
                        Ok(None) => {}
                        Err(error) => return Err(self.malformed(error)),
                    }
                    self.is_partial.store(self.splitter.is_partial(), Relaxed);
                    match body.frame().await {
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => {
                                self.received += data.len() as u64;
                                if let Some(stats) = &self.client.pipeline().stats {
                                    let operation = self.request.prepared.call.operation;
                                    let endpoint = self.endpoint.endpoint();
                                    stats.received(operation, endpoint, data.len());
                                }
                                self.splitter.push(data);
                            }
                            Err(frame) if self.wire() == Wire::Grpc => {
                                let trailers = frame.into_trailers().unwrap_or_default();
                                return self.ended(grpc::status(&trailers));
                            }
                            Err(_) => {}
                        },
                        Some(Err(error)) => return Err(self.error(Failure::Transport(error))),
                        None if self.splitter.is_partial() => return Err(self.truncated()),
                        None if self.wire() == Wire::Grpc => return self.ended(None),
                        None => self.response = Response::Ended,
                    }
                }
                Response::Ended | Response::Failed => return Ok(None),
            }
        }
    }

    /// The end of a gRPC response.
    fn ended(&mut self, status: Option<GrpcStatus>) -> Result<Option<Bytes>> {
        self.response = Response::Ended;
        match status {
            Some(GrpcStatus { code: 0, .. }) if !self.splitter.is_partial() => Ok(None),
            Some(GrpcStatus { code: 0, .. }) => Err(self.truncated()),
            Some(status) => Err(self.refusal(status)),
            None => {
                let cut = TransportError::interrupted("the response ended without a gRPC status");
                Err(self.error(Failure::Transport(cut)))
            }
        }
    }

    /// The error for a status that ends the stream.
    fn refusal(&self, status: GrpcStatus) -> Error {
        if status.is_unimplemented() {
            let words = status.message.as_bytes();
            return Error::Unsupported(Unsupported::by_member(self.context(), NO_CALL, words));
        }
        status.into_error(self.context())
    }

    fn decode(&self, message: &Bytes) -> Result<M> {
        let unexpected = |what| self.unexpected(what, message);
        let limit = self.client.pipeline().max_response_size;
        let decode = || wire::decode(self.wire(), message);
        let (decoded, is_too_large) = budget::within(limit, decode);
        match decoded {
            Ok(Item::Message(message)) => self.check_origin(message),
            Ok(Item::Refused(status)) => Err(self.refusal(status)),
            Ok(Item::Neither) => Err(Error::Unexpected(unexpected(
                "neither a result nor an error",
            ))),
            Err(_) if is_too_large => Err(too_large_decoded(self.context(), limit)),
            Err(error) => {
                let what = "the message is not what etcd sends";
                Err(Error::Unexpected(unexpected(what).with_source(error)))
            }
        }
    }

    /// Rejects a message of another cluster, or of a store that was recreated. Its endpoint is not chosen next where there
    /// are others.
    fn check_origin(&self, message: M) -> Result<M> {
        let pipeline = self.client.pipeline();
        let header = message.header();
        let checked = pipeline
            .response_check
            .check_cluster(header.cluster_id, StatusCode::OK)
            .map_err(Failure::Refused)
            .and_then(|()| pipeline.accept_origin(&self.seen, &header.origin(), StatusCode::OK));
        match checked {
            Ok(()) => Ok(message),
            Err(failure) => {
                pipeline.note(&failure, &self.endpoint, pipeline.transport.now());
                Err(self.error(failure))
            }
        }
    }

    fn truncated(&self) -> Error {
        let cut = TransportError::interrupted("the response ended within a message");
        self.error(Failure::Transport(cut))
    }

    fn malformed(&self, error: SplitError) -> Error {
        match error {
            SplitError::TooLarge => {
                self.error(Failure::TooLarge(self.client.pipeline().max_response_size))
            }
            SplitError::Compressed => {
                let what = "a message is compressed, which this client never requests";
                Error::Unexpected(self.unexpected(what, self.splitter.rest()))
            }
            SplitError::Malformed => {
                let what = "the response is not what etcd sends";
                Error::Unexpected(self.unexpected(what, self.splitter.rest()))
            }
        }
    }

    fn unexpected(&self, what: impl Into<String>, body: &[u8]) -> UnexpectedResponse {
        UnexpectedResponse::of(self.context(), what, Outcome::Unknown)
            .with_kind(UnexpectedKind::Foreign)
            .with_body(body)
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(self.context())
    }
}
