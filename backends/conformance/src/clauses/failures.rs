//! Failures: their kinds, which are promises, and what they must not reveal.

use std::{error::Error, net::TcpListener};

use etcd_transport::{
    Transport, TransportError, TransportErrorKind,
    http::{HeaderValue, Method, Uri},
};

use super::{MOMENT, broken, failure, get, pause, request};
use crate::{Limits, Server};

pub async fn a_refused_connection_is_a_connect_error(transport: &dyn Transport, _: &Limits) {
    let error = failure(transport, get(refusing()), TransportErrorKind::Connect).await;
    assert!(error.source().is_some(), "the HTTP stack's own error");
    let put = request(Method::PUT, refusing(), "value=1");
    failure(transport, put, TransportErrorKind::Connect).await;
}

pub async fn an_unknown_host_is_a_connect_error(transport: &dyn Transport, _: &Limits) {
    // A name that never exists: RFC 6761.
    let uri = Uri::from_static("http://nonexistent.invalid:2379/");
    failure(transport, get(uri), TransportErrorKind::Connect).await;
}

pub async fn a_reset_before_the_request_was_read_is_an_interruption(
    transport: &dyn Transport,
    _: &Limits,
) {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.reset()
    });
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let before = server.connections();
        interrupted_once(transport, method, &server).await;
        assert_eq!(server.connections(), before + 1);
    }
}

pub async fn a_reset_after_the_request_was_read_is_an_interruption(
    transport: &dyn Transport,
    _: &Limits,
) {
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let server = Server::start(|connection| {
            connection.read_request()?;
            connection.reset()
        });
        interrupted_once(transport, method, &server).await;
        assert_eq!(server.only_request().target, "/");
    }
}

pub async fn a_close_without_a_response_is_an_interruption(transport: &dyn Transport, _: &Limits) {
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let server = Server::start(|connection| connection.read_request().map(drop));
        interrupted_once(transport, method, &server).await;
        assert_eq!(server.only_request().target, "/");
    }
}

pub async fn a_truncated_head_is_no_response(transport: &dyn Transport, limits: &Limits) {
    let framed = [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-etcd-ind",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-etcd-ind",
    ];
    let unframed = [
        "HTTP/1.",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\nx-etcd-index: 7\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-etcd-ind",
    ];
    let framed = framed.into_iter().filter(|_| !limits.takes_a_cut_head);
    for head in unframed.into_iter().chain(framed) {
        let server = Server::start(move |connection| {
            connection.read_request()?;
            connection.write(head)
        });
        broken(transport, request(Method::PUT, server.uri("/"), "value=1")).await;
        assert_eq!(server.received().len(), 1, "{head}");
    }
}

pub async fn a_response_that_is_not_http_is_an_interruption(transport: &dyn Transport, _: &Limits) {
    for nonsense in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\0\0",
        "HTTP/1.1 banana\r\n\r\n",
    ] {
        let server = Server::start(move |connection| {
            connection.read_request()?;
            connection.write(nonsense)
        });
        interrupted_once(transport, Method::PUT, &server).await;
        assert_eq!(server.received().len(), 1);
    }
}

pub async fn sensitive_headers_are_in_no_error(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| connection.read_request().map(drop));
    let silenced = server.uri("/?a=b");
    let unknown_scheme = silenced.to_string().replacen("http", "ftp", 1);
    for uri in [silenced, refusing(), unknown_scheme.parse().expect("a URI")] {
        for (name, value) in [
            ("authorization", "Basic c2VjcmV0OmhpZGRlbg=="),
            ("x-token", "c2VjcmV0OmhpZGRlbg\u{e9}"),
        ] {
            let mut request = request(Method::PUT, uri.clone(), "value=hidden-body");
            let mut value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
            let error = transport.send(request).await.expect_err("no response");
            let all = everything_said(&error);
            for secret in ["c2VjcmV0", "secret", "hidden"] {
                assert!(!all.contains(secret), "{secret} leaks: {all}");
            }
        }
    }
    let debug = format!("{transport:?}");
    assert!(!debug.contains("c2VjcmV0"), "{debug}");
}

async fn interrupted_once(transport: &dyn Transport, method: Method, server: &Server) {
    let body = if method == Method::PUT { "value=1" } else { "" };
    let before = server.received().len();
    let request = request(method, server.uri("/"), body);
    failure(transport, request, TransportErrorKind::Interrupted).await;
    pause(MOMENT / 3).await;
    assert!(server.received().len() <= before + 1, "it was sent again");
}

/// A URI with a port that was free a moment ago.
fn refusing() -> Uri {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of 127.0.0.1");
    let address = listener.local_addr().expect("the address it is bound to");
    drop(listener);
    format!("http://{address}/").parse().expect("a URI")
}

/// Returns `Display` and `Debug` of an error and of all its sources.
fn everything_said(error: &TransportError) -> String {
    let mut all = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        all.push_str(&format!("{error} {error:?} {error:#?}\n"));
        next = error.source();
    }
    all
}
