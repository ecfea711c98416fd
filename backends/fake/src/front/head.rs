//! Heads of HTTP/1 that Go's server refuses before etcd sees them. hyper takes them, and then a write would happen that etcd never does.

use etcd_transport::{Body, Response};
use http::{
    HeaderValue, Request, StatusCode, Version,
    header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING},
};
use hyper::ext::ReasonPhrase;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    /// What stands behind the status.
    BadRequest(&'static str),
    TransferEncoding,
    Expectation,
}

/// The response to a head that Go's server refuses.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response> {
    let problem = problem(request)?;
    let (status, text) = match problem {
        Problem::BadRequest(reason) => (StatusCode::BAD_REQUEST, format!("400 {reason}")),
        Problem::TransferEncoding => {
            let text = "Unsupported transfer encoding";
            (StatusCode::NOT_IMPLEMENTED, text.to_owned())
        }
        Problem::Expectation => (StatusCode::EXPECTATION_FAILED, String::new()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if problem != Problem::Expectation {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
    }
    if let Problem::BadRequest(reason) = problem {
        let reason = ReasonPhrase::from_static(reason.as_bytes());
        response.extensions_mut().insert(reason);
    }
    Some(response)
}

/// Looks for problems in Go's order.
fn problem<B>(request: &Request<B>) -> Option<Problem> {
    let is_1_1 = match request.version() {
        Version::HTTP_2 => return None,
        version => version == Version::HTTP_11,
    };
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Some(Problem::BadRequest("Bad Request"));
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_supported = match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if !is_supported {
        return Some(Problem::TransferEncoding);
    }
    match host {
        None if is_1_1 => {
            let reason = "Bad Request: missing required Host header";
            return Some(Problem::BadRequest(reason));
        }
        Some(host) if !host.as_bytes().iter().all(may_be_in_host) => {
            return Some(Problem::BadRequest("Bad Request: malformed Host header"));
        }
        _ => {}
    }
    let expectation = headers.get(EXPECT).map_or(&b""[..], HeaderValue::as_bytes);
    let is_known = expectation.is_empty() || expectation.eq_ignore_ascii_case(b"100-continue");
    (!is_known).then_some(Problem::Expectation)
}

fn may_be_in_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_of_http1_has_one_host_one_encoding_and_one_expectation() {
        let unsupported = Some(Problem::TransferEncoding);
        let bad = |reason| Some(Problem::BadRequest(reason));
        let missing = bad("Bad Request: missing required Host header");
        let malformed = bad("Bad Request: malformed Host header");
        for (version, fields, expected) in [
            (Version::HTTP_11, &[("host", "a:1")][..], None),
            (Version::HTTP_11, &[("host", "")], None),
            (Version::HTTP_11, &[], missing),
            (Version::HTTP_10, &[], None),
            (Version::HTTP_2, &[("expect", "x")], None),
            (
                Version::HTTP_11,
                &[("host", "a"), ("host", "a")],
                bad("Bad Request"),
            ),
            (Version::HTTP_11, &[("host", "a b")], malformed),
            (
                Version::HTTP_11,
                &[("transfer-encoding", "gzip, chunked")],
                unsupported,
            ),
            (
                Version::HTTP_11,
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                unsupported,
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "Chunked")],
                None,
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("expect", "100-Continue")],
                None,
            ),
            (
                Version::HTTP_10,
                &[("expect", "x")],
                Some(Problem::Expectation),
            ),
        ] {
            let mut request = Request::builder().version(version);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            assert_eq!(
                problem(&request.body(()).unwrap()),
                expected,
                "{version:?} {fields:?}"
            );
        }
    }
}
