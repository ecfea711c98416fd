use std::{marker::PhantomData, pin::pin, time::Duration};

use etcd_transport::{IdleLimit, Transport};
use futures::future::{Either, select};
use http::StatusCode;

use crate::v3::protocol::{
    gateway::{self, Decode, StreamItem},
    status::GrpcStatus,
};
use crate::{
    client::Client,
    endpoints::{endpoint::Endpoint, set::EndpointState},
    error::{Error, ErrorContext, Result},
    operation::Call,
    pipeline::execute::Failure,
    v3::stream::{
        body_sender::BodySender,
        object_stream::{Frame, ObjectStream},
    },
};

/// The messages of a streaming call, one by one: `{"result":{…}}` each, and `{"error":{…}}` where etcd broke off.
pub(crate) struct MessageStream<T, M> {
    frames: ObjectStream<T>,
    message: PhantomData<fn() -> M>,
}

impl<T: Transport, M: Decode> MessageStream<T, M> {
    /// See [`ObjectStream::open`].
    pub(crate) fn open(client: &Client<T>, call: Call, idle: IdleLimit) -> Result<Self> {
        Ok(Self {
            frames: ObjectStream::open(client, call, idle)?,
            message: PhantomData,
        })
    }

    /// See [`ObjectStream::open_duplex_if`].
    pub(crate) fn open_duplex_if(
        client: &Client<T>,
        call: Call,
        idle: IdleLimit,
        is_duplex: impl FnOnce(&Endpoint) -> bool,
    ) -> Result<(Self, Option<BodySender>)> {
        let (frames, feed) = ObjectStream::open_duplex_if(client, call, idle, is_duplex)?;
        let message = PhantomData;
        Ok((Self { frames, message }, feed))
    }

    /// Which endpoint it was sent to last.
    pub(crate) fn place(&self) -> &EndpointState {
        self.frames.place()
    }

    /// The next message, with how many bytes it took; `None` at the proper end. Nothing is lost when this future is
    /// dropped, and asked for again.
    pub(crate) async fn next(&mut self) -> Option<Result<(M, usize)>> {
        let message = match self.frames.next().await? {
            Ok(Frame::Object(object)) => {
                self.message(&object).map(|message| (message, object.len()))
            }
            Ok(Frame::Refused(reply)) => gateway::success(*reply).and_then(|reply| {
                Err(Error::Unexpected(
                    reply.unexpected("a refusal that is none"),
                ))
            }),
            Err(error) => Err(error),
        };
        Some(message)
    }

    /// The next message; an error where none has come within this time.
    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Result<(M, usize)>> {
        let client = self.frames.client().clone();
        let next = match select(pin!(self.next()), client.transport().sleep(limit)).await {
            Either::Left((next, _)) => Some(next),
            Either::Right(_) => None,
        };
        let timed_out = || Some(Err(Failure::TimedOut(limit).into_error(self.context())));
        next.unwrap_or_else(timed_out)
    }

    /// No message has begun to arrive whose end has not.
    pub(crate) fn is_between(&self) -> bool {
        self.frames.is_between()
    }

    /// An answer that has no meaning.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::Unexpected(self.frames.unexpected(what, &[]))
    }

    /// Which operation this is, and where.
    pub(crate) fn context(&self) -> ErrorContext {
        self.frames.context()
    }

    fn message(&self, object: &[u8]) -> Result<M> {
        self.frames.guard(object)?;
        let unexpected = |what| self.frames.unexpected(what, object);
        match gateway::parse(object) {
            Ok(StreamItem { result }) => result.ok_or_else(|| match GrpcStatus::parse(object) {
                Some(refusal) => refusal.into_error(self.context(), StatusCode::OK),
                None => Error::Unexpected(unexpected("neither a result nor an error")),
            }),
            Err(error) => {
                let what = "the message is not what etcd sends";
                Err(Error::Unexpected(unexpected(what).with_source(error)))
            }
        }
    }
}
