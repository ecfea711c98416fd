//! Heads of responses: what `send` resolves with, and when.

use std::{
    thread,
    time::{Duration, Instant},
};

use etcd_transport::{
    Transport,
    http::{Method, StatusCode},
};

use super::{MOMENT, gate, get, request, send, text, within};
use crate::{Limits, Server};

pub async fn every_status_is_a_response(transport: &dyn Transport, _: &Limits) {
    let statuses = [
        200, 201, 202, 206, 300, 304, 400, 401, 403, 404, 405, 407, 408, 412, 413, 415, 421, 425,
        429, 451, 499, 500, 501, 502, 503, 504, 599,
    ];
    for status in statuses {
        let body = if status == 304 { "" } else { "said so" };
        let length = body.len();
        let server = Server::responding(format!(
            "HTTP/1.1 {status} As It Is\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        let response = send(transport, get(server.uri("/"))).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(text(response).await, body, "{status}");
        assert_eq!(server.received().len(), 1, "{status}");
    }
}

pub async fn a_late_head_is_waited_for(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        thread::sleep(2 * MOMENT);
        connection.write("HTTP/1.1 200 OK\r\n")?;
        thread::sleep(MOMENT);
        connection.write("content-length: 4\r\n\r\nlate")
    });
    let start = Instant::now();
    let response = send(transport, get(server.uri("/"))).await;
    assert!(start.elapsed() >= 3 * MOMENT);
    assert_eq!(text(response).await, "late");
}

pub async fn the_head_does_not_wait_for_the_body(transport: &dyn Transport, limits: &Limits) {
    let (opener, gate) = gate();
    let first = if limits.head_with_first_byte { "1" } else { "" };
    let server = Server::start(move |connection| {
        connection.read_request()?;
        connection.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{first}"
        ))?;
        gate.wait();
        connection.write(&"123"[first.len()..])
    });
    let sending = send(transport, get(server.uri("/")));
    let response = within(Duration::from_secs(5), sending).await;
    let response = response.expect("a head without the rest of its body");
    opener.open();
    assert_eq!(text(response).await, "123");
}

pub async fn interim_responses_are_skipped(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding(
        "HTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfinal",
    );
    let response = send(transport, get(server.uri("/"))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("link"), "{response:?}");
    assert_eq!(text(response).await, "final");
}

pub async fn a_401_is_passed_on_and_not_acted_upon(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"etcd\"\r\ncontent-length: 2\r\n\r\nno",
    );
    let response = send(transport, request(Method::PUT, server.uri("/"), "value=1")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Basic realm=\"etcd\""
    );
    assert_eq!(text(response).await, "no");
    assert_eq!(server.only_request().header("authorization"), None);
}

pub async fn redirects_are_not_followed(transport: &dyn Transport, _: &Limits) {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::responding(format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
        ));
        for method in [Method::GET, Method::PUT] {
            let response = send(transport, request(method, server.uri("/"), "")).await;
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()["location"], "/elsewhere");
            assert_eq!(text(response).await, "");
        }
        assert_eq!(server.received().len(), 2, "{status}");
    }
}

pub async fn response_headers_arrive_as_they_were_sent(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding(
        "HTTP/1.1 200 OK\r\nX-Etcd-Index: 7\r\nx-twice: one\r\nx-twice: two, three\r\n\
         x-odd: \"a:b\"; c=d\r\nx-empty:\r\ncontent-length: 0\r\n\r\n",
    );
    let response = send(transport, get(server.uri("/"))).await;
    let headers = response.headers();
    assert_eq!(headers["x-etcd-index"], "7");
    let twice: Vec<_> = headers.get_all("x-twice").iter().collect();
    assert_eq!(twice, ["one", "two, three"]);
    assert_eq!(headers["x-odd"], "\"a:b\"; c=d");
    assert_eq!(headers["x-empty"], "");
}

pub async fn a_response_to_head_has_a_length_and_no_body(transport: &dyn Transport, _: &Limits) {
    let server = Server::responding("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
    for _ in 0..2 {
        let response = send(transport, request(Method::HEAD, server.uri("/"), "")).await;
        assert_eq!(response.headers()["content-length"], "1000");
        assert_eq!(text(response).await, "");
    }
}
