//! What the v3 API looks like over etcd's JSON gateway: how a message becomes a request, and an answer a message.
//!
//! A message says which fields it has ([`Encode`], [`decode!`]); only this module and its children know how they are
//! written.

mod origin;
mod read;
mod write;

use http::Method;
use serde::de::MapAccess;

use crate::{
    error::{Error, Result, Unsupported},
    operation::{Call, Repeat, Reply},
};

use crate::v3::protocol::status::GrpcStatus;

pub(crate) use origin::cluster_id;
pub(crate) use read::{Decode, FieldOf, FromWire, parse, parse_all, read_name};
pub(crate) use write::{Encode, Fields, ToWire, to_json};

/// The request that carries this message, once its own [`check`](Encode::check) is passed.
pub(crate) fn call(
    operation: &'static str,
    path: &'static str,
    repeat: Repeat,
    message: &impl Encode,
) -> Result<Call> {
    message.check(operation)?;
    let call = post(operation, path, repeat, to_json(message))?;
    Ok(call.deadline(message.deadline()))
}

/// The request that carries these messages, one after the other.
pub(crate) fn post(
    operation: &'static str,
    path: &'static str,
    repeat: Repeat,
    json: String,
) -> Result<Call> {
    Ok(Call::new(operation, Method::POST, path.to_owned(), repeat)?
        .body("application/json", json)
        .capability(path))
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
    fn take<'de, A: MapAccess<'de>>(
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

/// Declares an operation of the v3 API: request, answer, name, path, whether it may be repeated.
///
/// The request says what it is by [`Encode`], the answer by [`decode!`]; `in` names the message that the answer comes in,
/// where that is another. `done if` names the refusal that a repeated request gets when an attempt before was carried out.
macro_rules! operation {
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $path:expr, $repeat:expr $(, done if $done:expr)? $(,)?
    ) => {
        impl $crate::operation::sealed::Sealed for $request {}

        impl $crate::operation::Operation for $request {
            type Output = $answer;
            const NAME: &'static str = $name;

            fn encode(&self) -> $crate::error::Result<$crate::operation::Call> {
                let repeat: fn(&Self) -> $crate::operation::Repeat = $repeat;
                $crate::v3::protocol::gateway::call(Self::NAME, $path, repeat(self), self)
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

/// Declares a request that says nothing.
macro_rules! empty {
    ($($(#[$doc:meta])* $request:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $request(());

        impl $request {
            /// The operation.
            pub fn new() -> Self {
                Self(())
            }
        }

        impl $crate::v3::protocol::gateway::Encode for $request {
            fn fields(&self, _: &mut $crate::v3::protocol::gateway::Fields<'_>) {}
        }
    )+};
}

/// Declares an answer that is a list, and the name of the one field that has it.
macro_rules! list {
    ($message:ident { $name:literal => $elements:ty }) => {
        #[derive(Default)]
        pub(super) struct $message {
            list: $elements,
        }

        $crate::v3::protocol::gateway::decode!($message { $name => list });

        impl From<$message> for $elements {
            fn from(answer: $message) -> Self {
                answer.list
            }
        }
    };
}

/// Declares what an answer is made of: the fields' names on the wire, and where they go. Fields that are not there stay
/// at their default, those that are not named here are passed over. Where what it `needs` is empty, it is no message.
macro_rules! decode {
    ($message:ty { $($name:literal => $field:ident),+ $(,)? } $(needs $($needed:ident).+)?) => {
        impl $crate::v3::protocol::gateway::Decode for $message {
            fn take<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                name: &str,
                field: $crate::v3::protocol::gateway::FieldOf<'_, A>,
            ) -> Result<(), A::Error> {
                match name {
                    $($name => field.into(&mut self.$field),)+
                    _ => field.skip(),
                }
            }
            $(
                fn lacks(&self) -> Option<&'static str> {
                    let is_lacking = self.$($needed).+.is_empty();
                    is_lacking.then_some(stringify!($($needed).+))
                }
            )?
        }
    };
}

/// Declares an enumeration by etcd's names for its values. The first is the default, which etcd leaves out. Where there is
/// an `else`, that is what any other value is read as: a later etcd may have one.
macro_rules! names {
    (
        $(#[$doc:meta])*
        $visibility:vis enum $enumeration:ident {
            $(#[$first_doc:meta])* $first:ident = $first_name:literal,
            $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)*
        }
        $(else { $(#[$other_doc:meta])* $other:ident })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $visibility enum $enumeration {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$variant_doc])* $variant,)*
            $($(#[$other_doc])* $other,)?
        }

        impl $enumeration {
            const ALL: &'static [(&'static str, Self)] =
                &[($first_name, Self::$first), $(($name, Self::$variant),)*];

            /// etcd's name for it.
            $visibility fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$variant => $name,)*
                    $(Self::$other => "UNKNOWN",)?
                }
            }
        }

        impl std::fmt::Display for $enumeration {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::v3::protocol::gateway::ToWire for $enumeration {
            fn is_default(&self) -> bool {
                *self == Self::$first
            }

            fn write(&self, json: &mut String) {
                json.push('"');
                json.push_str(self.name());
                json.push('"');
            }
        }

        impl $crate::v3::protocol::gateway::FromWire for $enumeration {
            fn read<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                let other: &[Self] = &[$(Self::$other)?];
                $crate::v3::protocol::gateway::read_name(json, Self::ALL, other.first().copied())
            }
        }
    };
}

pub(crate) use {decode, empty, list, names, operation};
