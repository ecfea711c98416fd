//! Requests: what reaches the server, byte for byte, and what must never be sent.

use std::time::Duration;

use etcd_transport::{
    Body, Transport, TransportError, TransportErrorKind,
    bytes::Bytes,
    http::{HeaderValue, Method},
};

use super::{OK, gate, get, request, send, streamed_body, text};
use crate::{Limits, Server};

pub async fn method_and_body_reach_the_server(transport: &dyn Transport, _: &Limits) {
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
        let head = method == "HEAD";
        for body in ["", "value=1&ttl=5"] {
            // Neither etcd nor most HTTP stacks accept a GET or a HEAD with a body.
            if !body.is_empty() && (head || method == "GET") {
                continue;
            }
            let server = Server::responding(if head { OK.trim_end_matches("ok") } else { OK });
            let method = method.parse().expect("a method");
            let request = request(method, server.uri("/v2/keys/a?b=c"), body);
            let method = request.method().to_string();
            let answered = text(send(transport, request).await).await;
            assert_eq!(answered, if head { "" } else { "ok" });
            let received = server.only_request();
            assert_eq!(received.method, method);
            assert_eq!(received.target, "/v2/keys/a?b=c");
            assert_eq!(received.body, body.as_bytes(), "{method}");
        }
    }
}

pub async fn a_request_without_a_body_has_none(transport: &dyn Transport, _: &Limits) {
    for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
        let server = Server::responding(OK);
        let request = request(method.clone(), server.uri("/"), Body::empty());
        assert_eq!(text(send(transport, request).await).await, "ok");
        let received = server.only_request();
        let length = received.header("content-length");
        assert!(length.is_none_or(|length| length == "0"), "{received:?}");
        assert_eq!(received.header("transfer-encoding"), None, "{received:?}");
    }
}

pub async fn eight_mebibytes_reach_the_server(transport: &dyn Transport, _: &Limits) {
    let body: Vec<u8> = (0..8 << 20).map(|index| (index % 251) as u8).collect();
    let server = Server::responding(OK);
    let request = request(Method::PUT, server.uri("/"), body.clone());
    assert_eq!(text(send(transport, request).await).await, "ok");
    let received = server.only_request();
    assert_eq!(
        received.header("content-length"),
        Some((8 << 20).to_string())
    );
    assert!(received.body == body, "{} bytes", received.body.len());
}

pub async fn a_streamed_body_reaches_the_server_as_it_comes(transport: &dyn Transport, _: &Limits) {
    let (opener, gate) = gate();
    let server = Server::start(move |connection| {
        let number = connection.read_head()?;
        let mut first = Vec::new();
        connection.read_chunk(&mut first)?;
        opener.open();
        connection.read_body(number)?;
        connection.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            first.len()
        ))?;
        connection.write(first)
    });
    let (sender, body) = streamed_body();
    sender.data("first");
    // The rest, eight mebibytes of it, follows only when the server has read the first frame.
    let rest = std::thread::spawn(move || {
        gate.wait();
        for _ in 0..128 {
            sender.data(Bytes::from(vec![7; 64 << 10]));
        }
    });
    let request = request(Method::POST, server.uri("/"), body);
    assert_eq!(text(send(transport, request).await).await, "first");
    rest.join().expect("the sending thread");
    let received = server.only_request();
    assert_eq!(received.header("content-length"), None);
    assert!(
        received.body == vec![7; 8 << 20],
        "{} bytes",
        received.body.len()
    );
}

pub async fn a_streamed_body_that_breaks_off_is_never_a_complete_request(
    transport: &dyn Transport,
    _: &Limits,
) {
    let (opener, gate) = gate();
    let server = Server::start(move |connection| {
        let number = connection.read_head()?;
        connection.read_chunk(&mut Vec::new())?;
        opener.open();
        connection.read_body(number)?;
        connection.write(OK)
    });
    let (sender, body) = streamed_body();
    sender.data("first");
    let rest = std::thread::spawn(move || {
        gate.wait();
        sender.fail(TransportError::interrupted("the source of the body failed"));
    });
    let request = request(Method::POST, server.uri("/"), body);
    let error = transport.send(request).await.expect_err("no response");
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
    rest.join().expect("the sending thread");
}

pub async fn headers_reach_the_server_as_they_are(transport: &dyn Transport, limits: &Limits) {
    let server = Server::responding(OK);
    let mut sent = request(Method::PUT, server.uri("/"), "value=1");
    let headers = sent.headers_mut();
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", "Basic cm9vdDpyb290"),
        ("te", "trailers"),
        ("x-odd", "a:b; c=\"d, e\" %41 ~|{}"),
        ("x-twice", "one"),
        ("x-twice", "two"),
        ("x-empty", ""),
        ("user-agent", "conformance/1"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let expected = headers.clone();
    assert_eq!(text(send(transport, sent).await).await, "ok");
    let received = server.only_request();
    for name in expected.keys() {
        let values: Vec<_> = expected
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        assert_eq!(received.all(name.as_str()), values, "{name}");
    }

    let server = Server::responding(OK);
    let mut sent = get(server.uri("/"));
    let odd = HeaderValue::from_bytes(b"caf\xe9 \xff\t!").expect("bytes that a header may hold");
    sent.headers_mut().insert("x-bytes", odd);
    if limits.refuses_odd_headers {
        super::failure(transport, sent, TransportErrorKind::Rejected).await;
        assert_eq!(server.connections(), 0);
    } else {
        assert_eq!(text(send(transport, sent).await).await, "ok");
        assert_eq!(server.only_request().all("x-bytes"), [b"caf\xe9 \xff\t!"]);
    }
}

pub async fn no_header_is_added_that_asks_for_something(transport: &dyn Transport, _: &Limits) {
    for body in [String::new(), "value=1".to_owned(), "v".repeat(2 << 20)] {
        let server = Server::responding(OK);
        let uri = server.uri("/");
        let host = uri.authority().expect("an authority").to_string();
        let request = request(Method::PUT, uri, body);
        assert_eq!(text(send(transport, request).await).await, "ok");
        let received = server.only_request();
        assert_eq!(received.all("host"), [host.as_bytes()]);
        for name in [
            "accept-encoding",
            "authorization",
            "cookie",
            "expect",
            "proxy-connection",
            "range",
            "referer",
            "te",
            "upgrade",
        ] {
            assert_eq!(received.header(name), None, "{name}");
        }
    }
}

pub async fn path_and_query_reach_the_server_byte_for_byte(transport: &dyn Transport, _: &Limits) {
    for target in [
        "/",
        "/?",
        "/a?",
        "/v2/keys/a/b/?recursive=true&sorted=true",
        "/v2/keys//a///b//",
        "/%2F/a%2fb%20c%00d%7e%41",
        "/a+b;c=d,e&f'g(h)*!$@:~-_.",
        "/%7C%22%3C%3E%5B%5D%5E%60%7B%7D%5C",
        "/a|b?c|d",
        "/a?b='c'",
        "/a?b=\"c\"",
        "/a?b=^`{}",
        "/a^`{}\"",
        "/%F0%9F%A6%80?%E2%82%AC=%zz",
        "/a?b=c?d/e//f&&=&+",
        "/a/...//..b/.c/d.",
        "/a/./b",
        "/a/../b",
        "/..",
        "/a/%2e/b",
        "/a/%2E%2e/b",
        "/a/.%2e/b",
    ] {
        let server = Server::responding(OK);
        // Some of these are no valid `Uri`.
        let Ok(uri) = format!("{}{}", server.origin(), target).parse() else {
            continue;
        };
        // A stack rejects what it cannot send unchanged.
        match transport.send(get(uri)).await {
            Ok(response) => {
                assert_eq!(text(response).await, "ok");
                let received = server.only_request().target;
                assert_eq!(upper_escapes(&received), upper_escapes(target));
            }
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    TransportErrorKind::Rejected,
                    "{target}: {error:?}"
                );
                assert!(!MUST_TRAVEL.contains(&target), "{target}: {error:?}");
                assert_eq!(server.received().len(), 0, "{target}");
            }
        }
    }
}

/// The paths of etcd keys that are escaped as they should be: no transport may reject these.
const MUST_TRAVEL: &[&str] = &[
    "/",
    "/v2/keys/a/b/?recursive=true&sorted=true",
    "/v2/keys//a///b//",
    "/%2F/a%2fb%20c%00d%7e%41",
    "/a+b;c=d,e&f'g(h)*!$@:~-_.",
    "/%7C%22%3C%3E%5B%5D%5E%60%7B%7D%5C",
    "/a?b=c?d/e//f&&=&+",
    "/a/...//..b/.c/d.",
];

/// RFC 3986 calls both cases of an escape equivalent.
fn upper_escapes(target: &str) -> String {
    let mut bytes = target.as_bytes().to_vec();
    for at in 0..bytes.len() {
        if bytes[at] == b'%' {
            let end = bytes.len().min(at + 3);
            bytes[at..end].make_ascii_uppercase();
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub async fn an_unknown_scheme_is_rejected(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding(OK);
    for scheme in ["ftp", "file", "ws", "unix", "gopher", "ldap"] {
        let uri = server.uri("/").to_string().replacen("http", scheme, 1);
        let request = get(uri.parse().expect("a URI"));
        super::failure(transport, request, TransportErrorKind::Rejected).await;
    }
    super::pause(Duration::from_millis(50)).await;
    assert_eq!(server.connections(), 0);
}

pub async fn a_uri_without_an_authority_is_rejected(transport: &dyn Transport, _: &Limits) {
    for uri in ["/v2/keys/a", "*", "localhost:2379"] {
        let request = get(uri.parse().expect("a URI"));
        super::failure(transport, request, TransportErrorKind::Rejected).await;
    }
}
