//! Connections: reused, and never a reason to send a request twice.

use std::{pin::pin, time::Duration};

use etcd_transport::{Body, Transport, TransportErrorKind, http::Method};
use futures::future::{Either, join_all, select};

use super::{MOMENT, OK, eventually, get, pause, request, send, streamed_body, text, within};
use crate::{Limits, Server};

pub async fn sequential_requests_share_a_connection(transport: &dyn Transport, limits: &Limits) {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let mut sequence = vec![
        (Method::PUT, "value=1"),
        (Method::POST, "{}"),
        (Method::DELETE, "x"),
    ];
    if limits.reuses_for_reads {
        sequence.push((Method::GET, ""));
    }
    if limits.reuses_without_body {
        sequence.extend([(Method::DELETE, ""), (Method::PUT, "")]);
    }
    let expected = if limits.reuses_with_body {
        1
    } else {
        3 * sequence.len()
    };
    for answered in [OK, chunked] {
        let mut connections = 0;
        // The transport may need a moment to return the connection to its pool, on a busy machine a long one.
        for moment in [20, 300].map(Duration::from_millis) {
            let server = Server::responding(answered);
            for (method, body) in sequence.iter().cycle().take(3 * sequence.len()) {
                let request = request(method.clone(), server.uri("/"), *body);
                assert_eq!(text(send(transport, request).await).await, "ok");
                pause(moment).await;
            }
            connections = server.connections();
            if connections == expected {
                break;
            }
        }
        assert_eq!(connections, expected);
    }
}

pub async fn a_connection_closed_while_idle_is_replaced(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.write(OK)
    });
    for number in 1..=2 {
        let request = request(Method::PUT, server.uri("/"), "value=1");
        assert_eq!(text(send(transport, request).await).await, "ok");
        assert_eq!(server.received().len(), number);
        // A transport must notice within a second. A request that is sent sooner may fail with the connection.
        pause(Duration::from_millis(1200)).await;
    }
}

pub async fn a_get_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    fails_with_a_reused_connection(transport, limits, Method::GET, "", End::Close).await;
    fails_with_a_reused_connection(transport, limits, Method::HEAD, "", End::Close).await;
}

pub async fn a_put_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    fails_with_a_reused_connection(transport, limits, Method::PUT, "value=1", End::Close).await;
}

pub async fn a_put_without_a_body_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    fails_with_a_reused_connection(transport, limits, Method::PUT, "", End::Close).await;
}

pub async fn a_post_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    fails_with_a_reused_connection(transport, limits, Method::POST, "value=1", End::Close).await;
    fails_with_a_reused_connection(transport, limits, Method::POST, "", End::Close).await;
}

pub async fn a_delete_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    fails_with_a_reused_connection(transport, limits, Method::DELETE, "", End::Close).await;
    fails_with_a_reused_connection(transport, limits, Method::DELETE, "with a body", End::Close)
        .await;
}

pub async fn a_request_reset_on_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
        fails_with_a_reused_connection(transport, limits, method, "", End::Reset).await;
    }
    fails_with_a_reused_connection(transport, limits, Method::PUT, "value=1", End::Reset).await;
    fails_with_a_reused_connection(transport, limits, Method::POST, "value=1", End::Reset).await;
}

pub async fn a_streamed_body_that_fails_with_a_reused_connection_is_not_sent_again(
    transport: &dyn Transport,
    limits: &Limits,
) {
    let streamed = || {
        let (sender, body) = streamed_body();
        sender.data("value=1");
        body
    };
    fails_with_a_reused_connection(transport, limits, Method::POST, streamed, End::Close).await;
    fails_with_a_reused_connection(transport, limits, Method::POST, streamed, End::Reset).await;
}

/// A body that can be made more than once.
trait Source {
    fn body(&self) -> Body;
}

impl Source for &'static str {
    fn body(&self) -> Body {
        Body::from(*self)
    }
}

impl<F: Fn() -> Body> Source for F {
    fn body(&self) -> Body {
        self()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Close,
    Reset,
}

/// The core of "one call, one request": the server responds, reads a second request, and closes the connection without a
/// response. It may have acted on what it read. Sending that again on a new connection would write twice.
async fn fails_with_a_reused_connection(
    transport: &dyn Transport,
    limits: &Limits,
    method: Method,
    body: impl Source,
    end: End,
) {
    let server = Server::start(move |connection| {
        loop {
            // A third request would get a response.
            if connection.read_request()? != 2 {
                connection.write(OK)?;
            } else if end == End::Reset {
                return connection.reset();
            } else {
                return Ok(());
            }
        }
    });
    // With a body, so that every transport reuses the connection.
    let first = request(Method::PUT, server.uri("/1"), "value=1");
    assert_eq!(text(send(transport, first).await).await, "ok");
    pause(MOMENT / 3).await;
    let what = method.clone();
    let second = request(method, server.uri("/2"), body.body());
    let error = transport.send(second).await.err();
    // A second request might come late.
    pause(MOMENT).await;
    let received: Vec<_> = server.received().into_iter().map(|r| r.target).collect();
    if limits.resends_reads && matches!(what, Method::GET | Method::HEAD) && error.is_none() {
        assert_eq!(received, ["/1", "/2", "/2"]);
        return;
    }
    assert_eq!(received, ["/1", "/2"], "{what} was sent again");
    let kind = error.as_ref().map(|error| error.kind());
    assert_eq!(
        kind,
        Some(TransportErrorKind::Interrupted),
        "{what}: {error:?}"
    );
}

pub async fn concurrent_exchanges_do_not_wait_for_one_another(
    transport: &dyn Transport,
    _: &Limits,
) {
    let server = Server::start(|connection| {
        loop {
            let number = connection.read_request()?;
            if connection.target(number) == "/silent" {
                return connection.wait_until_closed();
            }
            connection.write(OK)?;
        }
    });
    let silent = transport.send(get(server.uri("/silent")));
    let others = async {
        assert!(eventually(Duration::from_secs(5), || server.received().len() == 1).await);
        let quick = |number| {
            let request = request(Method::PUT, server.uri(&format!("/{number}")), "value=1");
            async { text(send(transport, request).await).await }
        };
        let answers = join_all((0..20).map(quick)).await;
        assert_eq!(answers, ["ok"; 20]);
    };
    let (silent, others) = (pin!(silent), pin!(others));
    match within(Duration::from_secs(5), select(silent, others)).await {
        Some(Either::Right(_)) => {}
        Some(Either::Left((early, _))) => panic!("silence is no response: {early:?}"),
        None => panic!("the quick exchanges wait for the silent one"),
    }
}

pub async fn an_unread_body_does_not_block_others(transport: &dyn Transport, _: &Limits) {
    let server = Server::start(|connection| {
        loop {
            let number = connection.read_request()?;
            if connection.target(number) == "/big" {
                connection.write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    8 << 20
                ))?;
                connection.write(vec![7; 8 << 20])?;
            } else {
                connection.write(OK)?;
            }
        }
    });
    let big = send(transport, get(server.uri("/big"))).await;
    for _ in 0..5 {
        let quick = async { text(send(transport, get(server.uri("/small"))).await).await };
        let quick = within(Duration::from_secs(5), quick).await;
        assert_eq!(quick.as_deref(), Some("ok"));
    }
    assert_eq!(text(big).await.len(), 8 << 20);
}
