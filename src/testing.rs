//! Helpers for the tests of operations.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE};

use crate::{
    base::endpoint::Endpoint,
    endpoints::{
        protocol::Protocol,
        set::{EndpointOrder, Endpoints},
        wire::Wire,
    },
    error::{ErrorContext, Result},
    operation::Operation,
    pipeline::{
        answer::{Answer, Reply},
        call::{Call, Repeat},
        deadline::Deadline,
        exchange::{Encoded, Exchange, call_of},
    },
};

/// A request as etcd's HTTP API receives it.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    call: Call,
    encoded: Encoded,
}

impl HttpRequest {
    pub(crate) fn method(&self) -> &Method {
        &self.encoded.method
    }

    pub(crate) fn target(&self) -> &str {
        self.encoded.target.as_str()
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.encoded.content_type.and_then(|it| it.to_str().ok())
    }

    pub(crate) fn body_bytes(&self) -> &[u8] {
        &self.encoded.body
    }

    pub(crate) fn repeat(&self) -> Repeat {
        self.call.repeat
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.call.deadline
    }
}

/// Encodes an operation as a request.
pub(crate) trait AsRequest {
    fn request(&self) -> Result<HttpRequest>;
}

impl<E: Exchange> AsRequest for E {
    fn request(&self) -> Result<HttpRequest> {
        Ok(HttpRequest {
            call: self.call(),
            encoded: self.encode(Wire::Http)?,
        })
    }
}

/// Decodes this response to an operation.
pub(crate) fn decoded<O: Operation>(operation: &O, status: u16, body: &str) -> Result<O::Output> {
    decoded_in_doubt(operation, status, body, false)
}

/// Does the same; `in_doubt` says whether an earlier attempt may have been applied.
pub(crate) fn decoded_in_doubt<O: Operation>(
    operation: &O,
    status: u16,
    body: &str,
    in_doubt: bool,
) -> Result<O::Output> {
    let mut headers = HeaderMap::new();
    if body.starts_with('{') {
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    }
    let reply = Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        trailers: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    operation.decode(answer(operation, Wire::Http, reply, in_doubt))
}

/// Classifies this response to an exchange.
pub(crate) fn answer(
    exchange: &dyn Exchange,
    wire: Wire,
    reply: Reply,
    in_doubt: bool,
) -> Box<Answer> {
    // What the pipeline demands of a success is tested there.
    let call = Call {
        names_cluster: false,
        ..call_of(exchange, crate::APIS)
    };
    let endpoint: Endpoint = "http://127.0.0.1:2379".parse().unwrap();
    let endpoints = vec![endpoint.clone()];
    let endpoints = Endpoints::new(
        endpoints,
        EndpointOrder::AsGiven,
        Protocol::Gateway,
        Instant::now(),
    );
    let state = endpoints.unwrap().current().iter().next().unwrap().clone();
    Box::new(Answer {
        verdict: call.protocol.classify(&call, wire, &reply),
        reply,
        wire,
        context: ErrorContext {
            in_doubt,
            ..ErrorContext::new(call.operation, endpoint)
        },
        endpoint: state,
        max_response_size: 1 << 20,
        is_confidential: call.is_confidential,
    })
}
