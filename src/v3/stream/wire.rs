use bytes::Bytes;

use crate::{
    endpoints::wire::Wire,
    v3::{
        protocol::{
            gateway::{self, StreamItem},
            grpc, json,
            length_prefixed::LengthPrefixedSplitter,
            message::{Decode, Encode},
            protobuf,
            status::GrpcStatus,
        },
        stream::{json_splitter::JsonSplitter, splitter::Splitter},
    },
};

/// What the bytes of one message stand for.
pub(super) enum Item<M> {
    Message(M),
    /// The error that ends the stream.
    Refused(GrpcStatus),
    /// They are JSON, but not what the gateway sends.
    Neither,
}

/// The body of a request, or its next part: these messages, one after the other.
pub(super) fn encode<'a, M: Encode + 'a>(
    wire: Wire,
    messages: impl IntoIterator<Item = &'a M>,
) -> Bytes {
    match wire {
        Wire::Http => gateway::body(messages),
        Wire::Grpc => grpc::body(messages),
    }
}

/// What splits the body of a response, with messages of at most `limit` bytes.
pub(super) fn splitter(wire: Wire, limit: usize) -> Splitter {
    match wire {
        Wire::Http => Splitter::Json(JsonSplitter::new(limit)),
        Wire::Grpc => Splitter::LengthPrefixed(LengthPrefixedSplitter::new(limit)),
    }
}

/// One message of a response: in an envelope from the gateway, plain from gRPC.
pub(super) fn decode<M: Decode>(
    wire: Wire,
    bytes: &Bytes,
) -> Result<Item<M>, Box<dyn std::error::Error + Send + Sync>> {
    match wire {
        Wire::Http => Ok(match json::parse(bytes)? {
            StreamItem {
                result: Some(message),
            } => Item::Message(message),
            StreamItem { result: None } => {
                GrpcStatus::of_stream(bytes).map_or(Item::Neither, Item::Refused)
            }
        }),
        Wire::Grpc => Ok(Item::Message(protobuf::parse(bytes)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{LeaseId, lease::Renewal};

    #[test]
    fn messages_follow_one_another_on_each_wire() {
        let messages = [Renewal(LeaseId::from(7)), Renewal(LeaseId::from(300))];
        assert_eq!(encode(Wire::Http, &messages), r#"{"ID":"7"}{"ID":"300"}"#);
        let frames = b"\0\0\0\0\x02\x08\x07\0\0\0\0\x03\x08\xac\x02";
        assert_eq!(encode(Wire::Grpc, &messages), &frames[..]);
        let mut splitter = splitter(Wire::Grpc, 10);
        splitter.push(encode(Wire::Grpc, &messages));
        assert_eq!(splitter.next().unwrap().unwrap(), &b"\x08\x07"[..]);
        assert_eq!(splitter.next().unwrap().unwrap(), &b"\x08\xac\x02"[..]);
        assert!(splitter.next().unwrap().is_none() && !splitter.is_partial());
    }
}
