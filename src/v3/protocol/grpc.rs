//! The v3 API over gRPC: messages with a prefix of five bytes, and a status in the trailers.

use bytes::Bytes;
use http::{HeaderMap, Method as HttpMethod, StatusCode, Version};

use crate::{
    base::budget,
    endpoints::wire::Wire,
    pipeline::{
        answer::{Reply, UnsupportedBy, Verdict},
        exchange::{Encoded, GRPC},
        protocol::Origin,
    },
    v3::protocol::{
        length_prefixed::{self, LengthPrefixedSplitter},
        message::{Decode, Encode},
        method::Method,
        protobuf::{self, Measured},
        status::{GrpcStatus, NO_CALL},
    },
};

/// Returns the request with these messages, one after the other.
pub(crate) fn encode<M: Encode>(method: Method, messages: &[M]) -> Encoded {
    let target = method.target(Wire::Grpc).clone();
    Encoded {
        version: Version::HTTP_2,
        ..Encoded::to(HttpMethod::POST, target).body(&GRPC, body(messages))
    }
}

/// Messages, each with its prefix.
pub(crate) fn body<'a, M: Encode + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Bytes {
    let mut body = Vec::new();
    for message in messages {
        let message = Measured::new(message);
        body.reserve_exact(length_prefixed::PREFIX + message.len());
        body.extend_from_slice(&length_prefixed::prefix(message.len()));
        message.write(&mut body);
    }
    body.into()
}

/// Returns what a complete response means.
pub(crate) fn classify(reply: &Reply) -> Verdict {
    if reply.status != StatusCode::OK {
        return Verdict::FOREIGN;
    }
    let trailers = reply.trailers.as_ref();
    // Without a body, the status is in the headers.
    match trailers.and_then(status).or_else(|| status(&reply.headers)) {
        Some(GrpcStatus { code: 0, .. }) => Verdict::Success {
            origin: length_prefixed::first(&reply.body)
                .map_or_else(Origin::default, protobuf::origin),
        },
        Some(status) if status.is_unimplemented() => Verdict::Unsupported {
            reason: NO_CALL,
            by: UnsupportedBy::Member,
            message: Some(status.message).filter(|message| !message.is_empty()),
        },
        Some(status) => Verdict::Refused(Box::new(status.into_refusal(None))),
        None => Verdict::FOREIGN,
    }
}

/// Reads the status that ends a response, from its trailers, or from its headers if it has no body.
pub(crate) fn status(headers: &HeaderMap) -> Option<GrpcStatus> {
    let (mut code, mut message) = (None, None);
    // One pass over the few headers is faster than lookups by name, which hash. Of several values, the first counts.
    for (name, value) in headers {
        match name.as_str() {
            "grpc-status" => code = code.or(Some(value)),
            "grpc-message" => message = message.or(Some(value)),
            _ => {}
        }
    }
    // That of a success is empty.
    let message = message.filter(|text| !text.is_empty()).map(|text| {
        let text = percent_encoding::percent_decode(text.as_bytes());
        text.decode_utf8_lossy().into_owned()
    });
    Some(GrpcStatus {
        code: code?.to_str().ok()?.parse().ok()?,
        message: message.unwrap_or_default(),
    })
}

/// Reads the messages of a complete response, up to the first that cannot be read.
pub(crate) fn messages<M: Decode>(body: &Bytes) -> Vec<M> {
    let mut splitter = LengthPrefixedSplitter::new(body.len());
    splitter.push(body.clone());
    let mut messages = Vec::new();
    while let Ok(Some(message)) = splitter.next() {
        match protobuf::parse(&message) {
            Ok(message) => {
                if budget::push(&mut messages, message).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::{
        error::{Error, EtcdCode, EtcdErrorKind, Outcome, Result},
        pipeline::exchange::{Exchange, TypedExchange},
        testing,
        v3::{KeepAliveOnce, Put, PutResponse},
    };

    /// Decodes this response to a put.
    fn put(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &[u8],
        trailers: &[(&'static str, &'static str)],
    ) -> Result<PutResponse> {
        let map = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|&(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            pairs.collect::<HeaderMap>()
        };
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map(headers),
            trailers: (!trailers.is_empty()).then(|| map(trailers)),
            body: Bytes::copy_from_slice(body),
        };
        let put = Put::new("k", "v");
        put.decode(testing::answer(&put, Wire::Grpc, reply, false))
    }

    /// A header: cluster 7, revision 9.
    const PUT_RESPONSE: &[u8] = b"\0\0\0\0\x06\x0a\x04\x08\x07\x18\x09";

    #[test]
    fn a_message_is_framed_and_its_path_is_grpcs() {
        let encoded = Put::new("k", "v").encode(Wire::Grpc).unwrap();
        assert_eq!(encoded.target, "/etcdserverpb.KV/Put");
        assert_eq!(encoded.content_type, Some(&GRPC));
        assert_eq!(encoded.body, &b"\0\0\0\0\x06\x0a\x01k\x12\x01v"[..]);
        let two = KeepAliveOnce::all([7, 300]).encode(Wire::Grpc).unwrap();
        let frames = b"\0\0\0\0\x02\x08\x07\0\0\0\0\x03\x08\xac\x02";
        assert_eq!(two.body, &frames[..]);
        assert!(!two.closes);
    }

    #[test]
    fn a_success_has_its_status_in_the_trailers() {
        let done = put(200, &[], PUT_RESPONSE, &[("grpc-status", "0")]).unwrap();
        assert_eq!((done.header.cluster_id, done.header.revision), (7, 9));
    }

    #[test]
    fn a_refusal_is_the_same_in_headers_and_trailers_and_by_the_gateway() {
        let refusal = [
            ("grpc-status", "5"),
            ("grpc-message", "etcdserver: requested lease not%20found"),
        ];
        for (headers, trailers) in [(&refusal[..], &[][..]), (&[], &refusal)] {
            let error = put(200, headers, b"", trailers).unwrap_err();
            let etcd = error.as_etcd().unwrap();
            assert_eq!(etcd.kind(), EtcdErrorKind::LeaseNotFound);
            assert_eq!(etcd.code(), Some(EtcdCode::Grpc(5)));
            assert_eq!(etcd.message(), "etcdserver: requested lease not found");
            assert_eq!(etcd.http_status(), None);
            assert_eq!(error.outcome(), Outcome::Rejected);
            let json = r#"{"code":5,"message":"etcdserver: requested lease not found"}"#;
            let gateway = testing::decoded(&Put::new("k", "v"), 404, json).unwrap_err();
            assert_eq!(gateway.to_string(), error.to_string());
        }
    }

    #[test]
    fn what_is_not_grpc_is_not_a_success() {
        let nothing = put(200, &[], PUT_RESPONSE, &[]).unwrap_err();
        assert_eq!(nothing.outcome(), Outcome::Unknown, "{nothing}");
        assert!(matches!(nothing, Error::Unexpected(_)), "{nothing}");
        let cut = put(200, &[], &PUT_RESPONSE[..7], &[("grpc-status", "0")]).unwrap_err();
        assert_eq!(cut.outcome(), Outcome::Unknown, "{cut}");
        let proxy = put(502, &[], b"<html>", &[]).unwrap_err();
        assert!(matches!(proxy, Error::Http(_)), "{proxy}");
        let unknown = put(200, &[("grpc-status", "12")], b"", &[]).unwrap_err();
        assert!(matches!(unknown, Error::Unsupported(_)), "{unknown}");
    }

    #[test]
    fn a_status_that_is_no_number_is_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(status(&headers), None);
        headers.insert("grpc-status", HeaderValue::from_static("-1"));
        assert_eq!(status(&headers), None);
        headers.insert("grpc-status", HeaderValue::from_static("14"));
        headers.insert("grpc-message", HeaderValue::from_static("a%20%C3%A9"));
        let status = status(&headers).unwrap();
        assert_eq!((status.code, &*status.message), (14, "a é"));
    }
}
