//! What the v3 API looks like over etcd's JSON gateway: how a message becomes a request, and an answer a message.
//!
//! A message says which fields it has ([`Encode`], [`decode!`]); only this module and its children know how they are
//! written.

mod origin;
mod read;
mod write;

use bytes::Bytes;
use http::{Method, StatusCode, uri::PathAndQuery};
use serde::de::MapAccess;

use crate::{
    endpoints::wire::Wire,
    error::{Error, Result},
    pipeline::{
        answer::{Answer, Reply, Verdict},
        call::Repeat,
        exchange::{Encoded, Prepared},
    },
    v3::protocol::{
        self,
        status::{self, GrpcStatus},
    },
};

pub(crate) use origin::cluster_id;
pub(crate) use read::{Decode, FieldOf, FromWire, parse, parse_all, read_name};
pub(crate) use write::{Encode, Fields, ToWire, to_json};

/// Encodes one message as a request, once its own [`check`](Encode::check) is passed.
pub(crate) fn call(
    operation: &'static str,
    path: &'static str,
    repeat: Repeat,
    message: &impl Encode,
) -> Result<Prepared> {
    message.check(operation)?;
    let prepared = post(operation, path, repeat, to_json(message))?;
    Ok(prepared.deadline(message.deadline()))
}

/// Makes a request of messages, one after the other.
pub(crate) fn post(
    operation: &'static str,
    path: &'static str,
    repeat: Repeat,
    json: String,
) -> Result<Prepared> {
    Ok(Prepared {
        call: protocol::call(operation, path, repeat),
        wire: Wire::Http,
        encoded: encode(path, json),
        token: None,
    })
}

/// The request with this body.
pub(crate) fn encode(path: &'static str, json: String) -> Encoded {
    let target = PathAndQuery::from_static(path);
    Encoded::to(Method::POST, target).body("application/json", json)
}

/// What an answer of the gateway means.
pub(crate) fn classify(reply: &Reply) -> Verdict {
    let unsupported = |is_etcd| Verdict::Unsupported {
        reason: NO_CALL,
        is_etcd,
    };
    if reply.status.is_success() {
        return Verdict::Success {
            cluster: cluster_id(&reply.body),
        };
    }
    match GrpcStatus::parse(&reply.body) {
        Some(status) if status.is_unimplemented() => unsupported(true),
        Some(status) => Verdict::Refused(Box::new(status.into_refusal(Some(reply.status)))),
        None if reply.status == StatusCode::NOT_FOUND && is_unknown_path(&reply.body) => {
            unsupported(true)
        }
        None if reply.status == StatusCode::NOT_FOUND && !reply.is_json() => unsupported(false),
        None => Verdict::Foreign,
    }
}

/// Whether these are the words of the gateway of 3.4 for a path that it does not know. A proxy that has lost its servers for
/// a moment has others.
fn is_unknown_path(body: &Bytes) -> bool {
    body.trim_ascii_end() == status::UNKNOWN_PATH.as_bytes()
}

const NO_CALL: &str = "this server does not have this call: its etcd is too old for it, or has its JSON gateway \
     switched off, or is no etcd";

/// Decodes the message in a success; the error that the answer stands for, otherwise.
pub(crate) fn answer<M: Decode>(answer: Answer) -> Result<M> {
    message(&answer.success()?)
}

/// Decodes the message in a success.
pub(crate) fn message<M: Decode>(answer: &Answer) -> Result<M> {
    parse(&answer.reply.body).map_err(|error| {
        let what = "the response is not what etcd sends";
        Error::Unexpected(answer.unexpected(what).with_source(error))
    })
}

/// As [`answer`], where an attempt before may have been carried out. A refusal that says so is a success then, about which
/// nothing more is known.
pub(crate) fn answer_or_done<M: Decode>(reply: Answer, is_done: fn(&Error) -> bool) -> Result<M> {
    let in_doubt = reply.is_in_doubt();
    match answer(reply) {
        Err(refused) if in_doubt && is_done(&refused) => Ok(M::default()),
        result => result,
    }
}

/// The messages in the answer of a call that streams, all of them: so many.
pub(crate) fn results<M: Decode>(answer: Answer, count: usize) -> Result<Vec<M>> {
    let answer = answer.success()?;
    let Answer { reply, context, .. } = &answer;
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
        return Err(refusal.into_error(context.clone(), reply.status));
    }
    let what = format!("{} answers to {count} requests", messages.len());
    Err(Error::Unexpected(answer.unexpected(what)))
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

/// Declares an operation of the v3 API: request, answer, name, path, whether it may be repeated.
///
/// The request says what it is by [`Encode`], the answer by [`decode!`]; `in` names the message that the answer comes in,
/// where that is another. `done if` names the refusal that a repeated request gets when an attempt before was carried out.
macro_rules! operation {
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $path:expr, $repeat:expr $(, done if $done:expr)? $(,)?
    ) => {
        impl $crate::operation::Operation for $request {
            type Output = $answer;
            const NAME: &'static str = $name;
        }

        impl $crate::pipeline::exchange::Exchange for $request {
            fn call(&self) -> $crate::pipeline::call::Call {
                use $crate::v3::protocol::{self, gateway::Encode};
                let repeat: fn(&Self) -> $crate::pipeline::call::Repeat = $repeat;
                protocol::call($name, $path, repeat(self)).deadline(Encode::deadline(self))
            }

            fn encode(
                &self,
                wire: $crate::endpoints::wire::Wire,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                $crate::v3::protocol::encode($name, $path, wire, self)
            }
        }

        impl $crate::pipeline::exchange::TypedExchange for $request {
            type Decoded = $answer;

            fn decode(
                &self,
                reply: $crate::pipeline::answer::Answer,
            ) -> $crate::error::Result<$answer> {
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
