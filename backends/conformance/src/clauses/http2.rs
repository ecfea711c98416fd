//! HTTP/2 by prior knowledge: when the request asks for it, and only then.

use std::time::Duration;

use etcd_transport::{
    Body, Duplex, Transport, TransportErrorKind,
    bytes::Bytes,
    http::{HeaderMap, HeaderValue, Method, Version},
};

use super::{
    MOMENT, OK, broken, failure, http2, pause, request, send, streamed_body, text, unprocessed,
    within,
};
use crate::{Limits, Server, http2::Http2Server};

pub async fn http2_by_prior_knowledge(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    let mut sent = http2(
        Method::POST,
        server.uri("/etcdserverpb.KV/Range?a=%2F"),
        "body",
    );
    let headers = sent.headers_mut();
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.append("x-twice", HeaderValue::from_static("one"));
    headers.append("x-twice", HeaderValue::from_static("two"));
    let response = send(transport, sent).await;
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(text(response).await, "ok");
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].method, "POST");
    assert_eq!(received[0].target, "/etcdserverpb.KV/Range?a=%2F");
    assert_eq!(received[0].body, b"body");
    assert_eq!(received[0].header("te").as_deref(), Some("trailers"));
    assert_eq!(
        received[0].header("content-type").as_deref(),
        Some("application/grpc")
    );
    assert_eq!(received[0].all("x-twice"), [b"one", b"two"]);
}

pub async fn http2_trailers_arrive_after_the_data(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    let response = send(
        transport,
        http2(Method::POST, server.uri("/echo"), "some data"),
    )
    .await;
    let (data, trailers) = all(response.into_body()).await;
    assert_eq!(data, b"some data");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
}

pub async fn http2_trailers_arrive_without_any_data(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    let response = send(
        transport,
        http2(Method::POST, server.uri("/trailers"), "body"),
    )
    .await;
    let headers = response.headers().clone();
    let (data, trailers) = all(response.into_body()).await;
    assert_eq!(data, b"");
    let trailers = if limits.joins_trailers {
        headers
    } else {
        trailers.expect("trailers")
    };
    assert_eq!(trailers["grpc-status"], "5");

    let response = send(transport, http2(Method::POST, server.uri("/head"), "body")).await;
    assert_eq!(response.headers()["grpc-status"], "12");
    let (data, trailers) = all(response.into_body()).await;
    assert_eq!(data, b"");
    assert!(trailers.is_none_or(|trailers| trailers.is_empty()));
}

pub async fn http2_bodies_stream_both_ways(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    if limits.half_duplex {
        let (sender, body) = streamed_body();
        sender.data("all of it");
        drop(sender);
        let response = send(transport, http2(Method::POST, server.uri("/echo"), body)).await;
        assert_eq!(text(response).await, "all of it");
        return;
    }
    let (sender, body) = streamed_body();
    sender.data("first");
    let response = send(transport, http2(Method::POST, server.uri("/echo"), body)).await;
    let mut body = response.into_body();
    // Each frame is sent only when the one before has come back.
    for (echo, next) in [
        ("first", Some("second")),
        ("second", Some("third")),
        ("third", None),
    ] {
        let frame = within(Duration::from_secs(5), body.frame()).await;
        let frame = frame
            .expect("an echo of what was sent")
            .expect("not the end");
        assert_eq!(frame.expect("no error").into_data().expect("data"), echo);
        if let Some(next) = next {
            sender.data(next);
        }
    }
    drop(sender);
    let (data, trailers) = all(body).await;
    assert_eq!(data, b"");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");

    let big = Bytes::from(vec![7; 1 << 20]);
    let response = send(
        transport,
        http2(Method::POST, server.uri("/echo"), big.clone()),
    )
    .await;
    let (data, _) = all(response.into_body()).await;
    assert!(data == big, "{} bytes", data.len());
}

pub async fn http2_duplex_works_or_is_rejected(transport: &dyn Transport, limits: &Limits) {
    let server = Http2Server::start();
    let (sender, body) = streamed_body();
    let mut sent = http2(Method::POST, server.uri("/echo"), body);
    sent.extensions_mut().insert(Duplex);
    if limits.refuses_http2 || limits.half_duplex {
        failure(transport, sent, TransportErrorKind::Rejected).await;
        pause(MOMENT / 3).await;
        assert_eq!(server.received().len(), 0, "it was sent");
        return;
    }
    // The head does not wait for the body of the request.
    let response = within(Duration::from_secs(5), transport.send(sent)).await;
    let response = response.expect("the head waits for the body");
    let mut body = response.expect("a response").into_body();
    for round in 0..20_u8 {
        // Silence does not end either body.
        if round == 10 {
            pause(MOMENT).await;
        }
        sender.data(vec![round; 1000]);
        let mut echoed = Vec::new();
        while echoed.len() < 1000 {
            let frame = within(Duration::from_secs(5), body.frame()).await;
            let frame = frame.expect("an echo of what was sent");
            let frame = frame.expect("not the end").expect("no error");
            echoed.extend_from_slice(&frame.into_data().expect("data"));
        }
        assert_eq!(echoed, [round; 1000]);
    }
    drop(sender);
    let (data, trailers) = all(body).await;
    assert_eq!(data, b"");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(server.received().len(), 1);
}

pub async fn http2_without_a_body_sends_none(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let response = send(transport, http2(method, server.uri("/any"), "")).await;
        assert_eq!(text(response).await, "ok");
    }
    for received in server.received() {
        assert_eq!(received.body, b"", "{received:?}");
        assert_eq!(received.header("transfer-encoding"), None, "{received:?}");
    }
}

pub async fn http2_unread_bodies_do_not_block_others(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    let mut unread = Vec::new();
    for _ in 0..8 {
        let flood = http2(Method::POST, server.uri("/flood"), "body");
        unread.push(send(transport, flood).await);
        // Until what the server sends has arrived.
        pause(MOMENT / 3).await;
        let quick = async {
            let small = http2(Method::POST, server.uri("/any"), "body");
            text(send(transport, small).await).await
        };
        let quick = within(Duration::from_secs(5), quick).await;
        assert_eq!(quick.as_deref(), Some("ok"), "{} are unread", unread.len());
    }
    for response in unread {
        assert_eq!(text(response).await.len(), 8 << 20);
    }
}

pub async fn http2_broken_streams_are_errors(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return refused(transport).await;
    }
    let server = Http2Server::start();
    let refused = http2(Method::POST, server.uri("/refused"), "body");
    failure(transport, refused, unprocessed(limits)).await;
    broken(transport, http2(Method::POST, server.uri("/reset"), "body")).await;
    broken(transport, http2(Method::POST, server.uri("/cut"), "body")).await;
    // On a connection that has served before, too.
    let before = http2(Method::POST, server.uri("/any"), "body");
    assert_eq!(text(send(transport, before).await).await, "ok");
    for method in [Method::POST, Method::DELETE] {
        let refused = http2(method, server.uri("/refused"), "");
        failure(transport, refused, unprocessed(limits)).await;
    }
    pause(MOMENT).await;
    let targets: Vec<_> = server.received().into_iter().map(|r| r.target).collect();
    let expected = ["/refused", "/reset", "/cut", "/any", "/refused", "/refused"];
    assert_eq!(targets, expected, "one call, one request");
}

pub async fn http2_is_not_used_unless_requested(transport: &dyn Transport, limits: &Limits) {
    let server = Server::responding(OK);
    if limits.refuses_http2 {
        refused(transport).await;
    } else {
        let http2_server = Http2Server::start();
        let before = http2(Method::POST, http2_server.uri("/any"), "body");
        assert_eq!(text(send(transport, before).await).await, "ok");
    }
    let response = send(transport, request(Method::PUT, server.uri("/"), "value=1")).await;
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(text(response).await, "ok");
    assert_eq!(server.only_request().header("upgrade"), None);
}

/// A transport without HTTP/2 rejects the requests, and sends nothing.
async fn refused(transport: &dyn Transport) {
    let server = Server::responding(OK);
    for method in [Method::GET, Method::POST] {
        let request = http2(method, server.uri("/"), "");
        failure(transport, request, TransportErrorKind::Rejected).await;
    }
    pause(MOMENT / 3).await;
    assert_eq!(server.connections(), 0);
}

async fn all(mut body: Body) -> (Vec<u8>, Option<HeaderMap>) {
    let mut data = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.expect("no error").into_data() {
            Ok(more) => data.extend_from_slice(&more),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    (data, trailers)
}
