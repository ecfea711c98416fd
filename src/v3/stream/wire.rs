use bytes::{BufMut, Bytes};
use http::HeaderMap;

use crate::{
    endpoints::wire::Wire,
    v3::{
        protocol::{
            gateway::StreamItem,
            json,
            message::{Decode, Encode},
            protobuf::{self, Measured},
            status::GrpcStatus,
        },
        stream::{frame_splitter::FrameSplitter, json_splitter::JsonSplitter, splitter::Splitter},
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
        Wire::Http => {
            let json: String = messages.into_iter().map(json::to_json).collect();
            json.into()
        }
        Wire::Grpc => {
            let mut frames = Vec::new();
            for message in messages {
                let message = Measured::new(message);
                // Not compressed. No request is as large as its length could say.
                frames.put_u8(0);
                frames.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
                message.write(&mut frames);
            }
            frames.into()
        }
    }
}

/// What splits the body of a response, with messages of at most `limit` bytes.
pub(super) fn splitter(wire: Wire, limit: usize) -> Splitter {
    match wire {
        Wire::Http => Splitter::Json(JsonSplitter::new(limit)),
        Wire::Grpc => Splitter::Frames(FrameSplitter::new(limit)),
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
                GrpcStatus::parse(bytes).map_or(Item::Neither, Item::Refused)
            }
        }),
        Wire::Grpc => Ok(Item::Message(protobuf::parse(bytes)?)),
    }
}

/// The status that ends a gRPC response, in its trailers, or in its headers where it has no body.
pub(super) fn grpc_status(headers: &HeaderMap) -> Option<GrpcStatus> {
    let text = |name| headers.get(name).map(http::HeaderValue::as_bytes);
    let code = str::from_utf8(text("grpc-status")?).ok()?;
    let message = text("grpc-message").unwrap_or_default();
    Some(GrpcStatus {
        code: code.parse().ok()?,
        message: percent_encoding::percent_decode(message)
            .decode_utf8_lossy()
            .into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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

    #[test]
    fn a_status_is_read_from_trailers() {
        let mut trailers = HeaderMap::new();
        assert_eq!(grpc_status(&trailers), None);
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
        trailers.insert("grpc-message", HeaderValue::from_static("a%20%C3%A9"));
        let status = grpc_status(&trailers).unwrap();
        assert_eq!((status.code, &*status.message), (14, "a é"));
        trailers.insert("grpc-status", HeaderValue::from_static("-1"));
        assert_eq!(grpc_status(&trailers), None);
    }
}
