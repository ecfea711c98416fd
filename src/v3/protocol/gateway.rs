//! The v3 API over etcd's JSON gateway.

use bytes::Bytes;
use http::{Method as HttpMethod, StatusCode};

use crate::{
    base::budget,
    endpoints::wire::Wire,
    pipeline::{
        answer::{Reply, UnsupportedBy, Verdict},
        exchange::{Encoded, JSON},
    },
    v3::protocol::{
        json::{self, parse_all},
        message::{Decode, Encode, Field, Key},
        method::Method,
        status::{GrpcStatus, NO_CALL, UNKNOWN_PATH, code},
    },
};

/// Returns the request with these messages, one after the other.
pub(crate) fn encode<M: Encode>(method: Method, messages: &[M]) -> Encoded {
    let target = method.target(Wire::Http).clone();
    let mut encoded = Encoded::to(HttpMethod::POST, target).body(&JSON, body(messages));
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
    let unsupported = |reason, by| Verdict::Unsupported {
        reason,
        by,
        message: None,
    };
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
            let reason = if reply.has_go_not_found_body() {
                NO_API
            } else {
                NOT_ETCD
            };
            unsupported(reason, UnsupportedBy::Foreign)
        }
        None => Verdict::FOREIGN,
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
