//! What the v3 API looks like over etcd's JSON gateway: how a message becomes a request, and an answer a message.
//!
//! A message says which fields it has ([`Encode`], [`decode!`]); only this module and its children know how they are
//! written.

use http::Method as HttpMethod;

use crate::{
    error::{Error, Result, Unsupported},
    operation::{Call, Repeat, Reply},
};

use crate::v3::protocol::{
    json::parse_all,
    message::{Field, Key},
    method::Method,
    status::GrpcStatus,
};

pub(crate) use crate::v3::protocol::{
    json::{cluster_id, parse, to_json},
    message::{Decode, Encode},
};

/// The request that carries this message, once its own [`check`](Encode::check) is passed.
pub(crate) fn call(
    operation: &'static str,
    method: Method,
    repeat: Repeat,
    message: &impl Encode,
) -> Result<Call> {
    message.check(operation)?;
    let call = post(operation, method, repeat, to_json(message))?;
    Ok(call.deadline(message.deadline()))
}

/// The request that carries these messages, one after the other.
pub(crate) fn post(
    operation: &'static str,
    method: Method,
    repeat: Repeat,
    json: String,
) -> Result<Call> {
    let path = method.gateway;
    Ok(
        Call::new(operation, HttpMethod::POST, path.to_owned(), repeat)?
            .body("application/json", json)
            .capability(path),
    )
}

/// The message in a success; the error that it is, otherwise.
pub(crate) fn answer<M: Decode>(reply: Reply) -> Result<M> {
    message(&success(reply)?)
}

/// The message in a success.
pub(crate) fn message<M: Decode>(reply: &Reply) -> Result<M> {
    parse(&reply.body).map_err(|error| {
        let what = "the answer is not what etcd sends";
        Error::Unexpected(reply.unexpected(what).with_source(error))
    })
}

/// As [`answer`], where an attempt before may have been carried out. A refusal that says so then is a success, about which
/// nothing more is known.
pub(crate) fn answer_or_done<M: Decode>(reply: Reply, is_done: fn(&Error) -> bool) -> Result<M> {
    let in_doubt = reply.in_doubt;
    match answer(reply) {
        Err(refused) if in_doubt && is_done(&refused) => Ok(M::default()),
        result => result,
    }
}

/// The messages in the answer of a call that streams, all of them: so many.
pub(crate) fn results<M: Decode>(reply: Reply, count: usize) -> Result<Vec<M>> {
    let reply = success(reply)?;
    let mut messages = Vec::with_capacity(count);
    for line in parse_all::<StreamItem<M>>(&reply.body) {
        match line {
            Ok(StreamItem {
                result: Some(message),
            }) => messages.push(message),
            // The error, if it is one, is read from the text: it has had many shapes.
            _ => break,
        }
    }
    if messages.len() == count {
        return Ok(messages);
    }
    let last = reply
        .body
        .trim_ascii_end()
        .rsplit(|&byte| byte == b'\n')
        .next();
    if let Some(refusal) = last.and_then(GrpcStatus::parse) {
        return Err(refusal.into_error(reply.context, reply.status));
    }
    let what = format!("{} answers to {count} requests", messages.len());
    Err(Error::Unexpected(reply.unexpected(what)))
}

/// One message of a stream.
pub(crate) struct StreamItem<M> {
    pub(crate) result: Option<M>,
}

impl<M> Default for StreamItem<M> {
    fn default() -> Self {
        Self { result: None }
    }
}

impl<M: Decode> Decode for StreamItem<M> {
    fn take<F: Field>(&mut self, key: Key<'_>, field: F) -> Result<(), F::Error> {
        match key {
            // The gateway's envelope: protobuf has none.
            Key::Name("result") => field.read_into(&mut self.result),
            _ => field.skip(),
        }
    }
}

/// This reply, if it is a success of the v3 API; the error that it stands for, otherwise.
pub(crate) fn success(reply: Reply) -> Result<Reply> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    let lacks = |reply: Reply, what| Err(Error::Unsupported(Unsupported::new(reply.context, what)));
    match GrpcStatus::parse(&reply.body) {
        Some(refusal) if refusal.is_unimplemented() => lacks(reply, NO_CALL),
        Some(refusal) => Err(refusal.into_error(reply.context, reply.status)),
        None if reply.status == http::StatusCode::NOT_FOUND && !reply.is_json() => {
            lacks(reply, NO_CALL)
        }
        None => reply.success(),
    }
}

const NO_CALL: &str = "this server does not have this call: its etcd is too old for it, or has its JSON gateway \
     switched off, or is no etcd";

/// Declares an operation of the v3 API: request, response, name, method, whether it may be repeated.
///
/// The request says what it is by [`Encode`], the response by [`decode!`](super::message::decode); `in` names the message that the answer comes in,
/// where that is another. `done if` names the refusal that a repeated request gets when an attempt before was carried out.
macro_rules! operation {
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $method:expr, $repeat:expr $(, done if $done:expr)? $(,)?
    ) => {
        impl $crate::operation::sealed::Sealed for $request {}

        impl $crate::operation::Operation for $request {
            type Output = $answer;
            const NAME: &'static str = $name;

            fn encode(&self) -> $crate::error::Result<$crate::operation::Call> {
                let repeat: fn(&Self) -> $crate::operation::Repeat = $repeat;
                $crate::v3::protocol::gateway::call(Self::NAME, $method, repeat(self), self)
            }

            fn decode(&self, reply: $crate::operation::Reply) -> $crate::error::Result<$answer> {
                $crate::v3::protocol::gateway::operation!(@decode reply, ($($message)?), ($($done)?))
            }
        }
    };
    (@decode $reply:ident, (), ()) => { $crate::v3::protocol::gateway::answer($reply) };
    (@decode $reply:ident, ($message:ty), ()) => {
        $crate::v3::protocol::gateway::answer::<$message>($reply).map(Into::into)
    };
    (@decode $reply:ident, ($message:ty), ($done:expr)) => {
        $crate::v3::protocol::gateway::answer_or_done::<$message>($reply, $done).map(Into::into)
    };
}

pub(crate) use operation;
