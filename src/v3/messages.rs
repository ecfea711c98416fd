use std::marker::PhantomData;

use etcd_transport::{IdleLimit, Transport};
use http::StatusCode;

use super::{
    refusal::Refusal,
    wire::{self, Decode, FieldOf},
};
use crate::{
    Call, Client, Error, Reply, Result,
    error::{Site, UnexpectedAnswer},
    frames::{Frame, Frames},
};

/// The messages of a streaming call, one by one: `{"result":{…}}` each, and `{"error":{…}}` where etcd broke off.
pub(crate) struct Messages<T, M> {
    frames: Frames<T>,
    message: PhantomData<fn() -> M>,
}

impl<T: Transport, M: Decode> Messages<T, M> {
    /// See [`Frames::open`].
    pub(crate) fn open(client: &Client<T>, call: Call, index: usize, idle: IdleLimit) -> Self {
        Self {
            frames: Frames::open(client, call, index, idle),
            message: PhantomData,
        }
    }

    /// Which endpoint it was sent to.
    pub(crate) fn endpoint(&self) -> usize {
        self.frames.endpoint()
    }

    /// The next message, with how many bytes it took; `None` at the proper end. Nothing is lost when this future is
    /// dropped, and asked for again.
    pub(crate) async fn next(&mut self) -> Option<Result<(M, usize)>> {
        let message = match self.frames.next().await? {
            Ok(Frame::Object(object)) => self.message(&object).map(|message| (message, object.len())),
            Ok(Frame::Refused(reply)) => wire::success(*reply).and_then(|reply| {
                Err(Error::Unexpected(reply.unexpected("a refusal that is none")))
            }),
            Err(error) => Err(error),
        };
        Some(message)
    }

    /// An answer that has no meaning.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::Unexpected(self.frames.unexpected(what, &[]))
    }

    /// Which operation this is, and where.
    pub(crate) fn site(&self) -> Site {
        self.frames.site()
    }

    fn message(&self, object: &[u8]) -> Result<M> {
        message(object, self.site(), |what| self.frames.unexpected(what, object))
    }
}

/// The message in a whole answer that is one alone.
pub(crate) fn only<M: Decode>(reply: &Reply) -> Result<M> {
    message(&reply.body, reply.site.clone(), |what| reply.unexpected(what))
}

fn message<M: Decode>(
    object: &[u8],
    site: Site,
    unexpected: impl Fn(&str) -> UnexpectedAnswer,
) -> Result<M> {
    let refused = || match Refusal::parse(object) {
        Some(refusal) => refusal.into_error(site, StatusCode::OK),
        None => Error::Unexpected(unexpected("neither a result nor an error")),
    };
    match wire::parse(object) {
        Ok(Envelope { result }) => result.ok_or_else(refused),
        Err(error) => {
            let what = "the message is not what etcd sends";
            Err(Error::Unexpected(unexpected(what).with_source(error)))
        }
    }
}

struct Envelope<M> {
    result: Option<M>,
}

impl<M> Default for Envelope<M> {
    fn default() -> Self {
        Self { result: None }
    }
}

impl<M: Decode> Decode for Envelope<M> {
    fn take<'de, A: serde::de::MapAccess<'de>>(
        &mut self,
        name: &str,
        field: FieldOf<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "result" => field.into(&mut self.result),
            _ => field.skip(),
        }
    }
}
