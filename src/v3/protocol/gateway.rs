//! The v3 API over etcd's JSON gateway.

use bytes::Bytes;
use http::{Method as HttpMethod, StatusCode, uri::PathAndQuery};

use crate::{
    budget,
    pipeline::{
        answer::{Reply, UnsupportedBy, Verdict},
        exchange::Encoded,
    },
    v3::protocol::{
        json::{self, parse_all},
        message::{Decode, Encode, Field, Key},
        method::Method,
        status::{GrpcStatus, UNKNOWN_PATH, code},
    },
};

/// Returns the request with these messages, one after the other.
pub(crate) fn encode<M: Encode>(method: Method, messages: &[M]) -> Encoded {
    let target = PathAndQuery::from_static(method.gateway);
    let mut encoded =
        Encoded::to(HttpMethod::POST, target).body("application/json", body(messages));
    // Over HTTP/1.1, once a response begins, etcd's server discards the unread rest of the request, in the middle of a
    // sequence, to reuse the connection. It does not if the connection is to be closed.
    encoded.closes = messages.len() > 1;
    encoded
}

/// Messages, one after the other.
pub(crate) fn body<'a, M: Encode + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Bytes {
    let mut all = String::new();
    for message in messages {
        let json = json::to_json(message);
        if all.is_empty() {
            all = json;
        } else {
            all.push_str(&json);
        }
    }
    all.into()
}

/// Returns what a response of the gateway means.
pub(crate) fn classify(reply: &Reply) -> Verdict {
    let unsupported = |reason, by| Verdict::Unsupported { reason, by };
    let by_etcd = || unsupported(NO_CALL, UnsupportedBy::Member);
    if reply.status.is_success() {
        let origin = json::origin(&reply.body);
        // A call that streams says in its messages that it was refused.
        let refusal = match origin.cluster {
            Some(_) => None,
            None => GrpcStatus::parse(&reply.body),
        };
        return match refusal {
            Some(status) => refused(status, reply),
            None => Verdict::Success { origin },
        };
    }
    match GrpcStatus::parse(&reply.body) {
        Some(status) if status.is_unimplemented() => by_etcd(),
        Some(status) => refused(status, reply),
        None if reply.status == StatusCode::NOT_FOUND && is_unknown_path(&reply.body) => by_etcd(),
        None if reply.body.starts_with(COMMON_NAME.as_bytes()) => {
            let text = String::from_utf8_lossy(reply.body.trim_ascii());
            let status = GrpcStatus {
                code: code::INVALID_ARGUMENT,
                message: text.into_owned(),
            };
            refused(status, reply)
        }
        None if reply.status == StatusCode::NOT_FOUND && !reply.is_json() => {
            let reason = if reply.is_of_go() { NO_API } else { NOT_ETCD };
            unsupported(reason, UnsupportedBy::Foreign)
        }
        None => Verdict::Foreign,
    }
}

fn refused(status: GrpcStatus, reply: &Reply) -> Verdict {
    Verdict::Refused(Box::new(status.into_refusal(Some(reply.status))))
}

/// Whether these are the words of the gateway of 3.4 for a path that it does not know. A proxy that has lost its servers for
/// a moment has others.
fn is_unknown_path(body: &Bytes) -> bool {
    body.trim_ascii_end() == UNKNOWN_PATH.as_bytes()
}

/// How etcd's words begin for a client certificate with a common name, where authentication is on. They are no JSON.
pub(crate) const COMMON_NAME: &str = "CommonName of client sending a request against gateway";

/// Why a member does not have a call.
const NO_CALL: &str = "this server does not have this call: its etcd is too old for it";

/// Why a server, likely an etcd, does not have any call.
const NO_API: &str = "no v3 API here: is this a peer port? If it is the port for clients, etcd has its JSON gateway disabled, or \
     is too old";

/// Why a server that is likely no etcd does not have any call.
const NOT_ETCD: &str = "this is not etcd's v3 API: is the path of this endpoint wrong?";

/// Reads the messages of a streaming response, and the refusal that ends it, if any.
pub(crate) fn messages<M: Decode>(body: &Bytes) -> (Vec<M>, Option<GrpcStatus>) {
    let mut messages = Vec::new();
    for item in parse_all::<StreamItem<M>>(body) {
        match item {
            Ok(StreamItem {
                result: Some(message),
            }) => {
                if budget::push(&mut messages, message).is_err() {
                    break;
                }
            }
            // An error has had many shapes, so it is read from the text.
            _ => break,
        }
    }
    let last = body.trim_ascii_end().rsplit(|&byte| byte == b'\n').next();
    (messages, last.and_then(GrpcStatus::of_stream))
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

/// Declares an operation of the v3 API: request, response, name, [method](super::method), and whether it may be repeated: a
/// [`Repeat`](crate::pipeline::call::Repeat), or a function of the request.
///
/// The request implements [`Encode`], the response is declared with [`decode!`](super::message::decode). `in` names the
/// message that contains the response, if that is another one; for a [`Header`](crate::v3::Header), it is one without other
/// fields. `done if` names the refusal of a repeated request whose earlier attempt was applied. `decoded by` names the method
/// that decodes a response otherwise.
macro_rules! operation {
    ($request:ty => Header, $($rest:tt)+) => {
        $crate::v3::protocol::message::operation!(
            $request => $crate::v3::Header, in $crate::v3::header::OnlyHeader, $($rest)+
        );
    };
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $method:ident, $repeat:ident $(, $($rest:tt)*)?
    ) => {
        $crate::v3::protocol::message::operation!(
            $request => $answer $(, in $message)?,
            $name, $method, |_| $crate::pipeline::call::Repeat::$repeat $(, $($rest)*)?
        );
    };
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $method:ident, $repeat:expr
        $(, done if $done:expr)? $(, decoded by $decoded:expr)? $(, probed by $probe:expr)?
        $(, confirmed by $confirm:expr)? $(,)?
    ) => {
        impl $crate::operation::Operation for $request {
            type Output = $answer;
            const NAME: &'static str = $name;
        }

        impl $crate::pipeline::exchange::Exchange for $request {
            fn call(&self) -> $crate::pipeline::call::Call {
                use $crate::v3::protocol::{self, message::Encode, method};
                let repeat: fn(&Self) -> $crate::pipeline::call::Repeat = $repeat;
                let call = protocol::call($name, method::$method, repeat(self));
                $crate::pipeline::call::Call {
                    lease: Encode::lease(self),
                    is_read: call.is_read || Encode::is_read(self),
                    ..call.deadline(Encode::deadline(self))
                }
            }

            fn encode(
                &self,
                wire: $crate::endpoints::wire::Wire,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                use $crate::v3::protocol::{self, method};
                protocol::encode($name, method::$method, wire, self)
            }
            $(
                fn probe(&self) -> Option<$crate::pipeline::probe::Probe> {
                    let probe: fn(&Self) -> $crate::pipeline::probe::Probe = $probe;
                    Some(probe(self))
                }
            )?
            $(
                fn confirmation(
                    &self,
                    answer: &$crate::pipeline::answer::Answer,
                ) -> Option<$crate::pipeline::confirm::Confirmation> {
                    use $crate::pipeline::confirm::Confirmation;
                    let confirm: fn(&Self, $answer) -> Confirmation = $confirm;
                    let success = $crate::v3::protocol::decode_success(answer)?;
                    Some(confirm(self, success))
                }
            )?
        }

        impl $crate::pipeline::exchange::TypedExchange for $request {
            type Decoded = $answer;

            fn decode(
                &self,
                answer: $crate::pipeline::answer::Answer,
            ) -> $crate::error::Result<$answer> {
                $crate::v3::protocol::message::operation!(
                    @decode self, answer, ($($message)?), ($($done)?), ($($decoded)?)
                )
            }
        }
    };
    (@decode $this:ident, $answer:ident, (), (), ()) => { $crate::v3::protocol::answer($answer) };
    (@decode $this:ident, $answer:ident, (), (), ($decoded:expr)) => { $decoded($this, $answer) };
    (@decode $this:ident, $answer:ident, ($message:ty), (), ()) => {
        $crate::v3::protocol::answer::<$message>($answer).map(Into::into)
    };
    (@decode $this:ident, $answer:ident, ($message:ty), ($done:expr), ()) => {
        $crate::v3::protocol::answer_or_done::<$message>($answer, $done).map(Into::into)
    };
}

pub(crate) use operation;
