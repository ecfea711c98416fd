//! `Unprocessed`: what the server declares not to have processed, and nothing else.

use std::{io, thread};

use etcd_transport::{Transport, TransportErrorKind, http::Method};
use futures::future::join;

use super::{MOMENT, failure, http2, pause, send, unprocessed};
use crate::{
    Limits, Server,
    frames::{CANCEL, Http2Connection, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM},
};

pub async fn http2_refused_streams_are_unprocessed(transport: &dyn Transport, limits: &Limits) {
    if limits.refuses_http2 {
        return;
    }
    let server = server(|connection| {
        loop {
            let request = connection.read_request()?;
            if request.number == 1 {
                connection.write_reset(request.stream, REFUSED_STREAM)?;
            } else {
                connection.write_ok(request.stream)?;
            }
        }
    });
    fails_once(transport, &server, unprocessed(limits)).await;
    // The endpoint is healthy.
    let again = http2(Method::POST, server.uri("/"), "body");
    assert_eq!(send(transport, again).await.status(), 200);
}

pub async fn http2_streams_beyond_the_last_of_a_goaway_are_unprocessed(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    for code in [NO_ERROR, INTERNAL_ERROR] {
        for closes in [false, true] {
            let server = server(move |connection| {
                connection.read_request()?;
                connection.write_goaway(0, code)?;
                if !closes {
                    connection.wait_until_closed()?;
                }
                Ok(())
            });
            fails_once(transport, &server, unprocessed(limits)).await;
        }
    }
}

pub async fn http2_a_stream_within_a_goaway_is_completed(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    let server = server(|connection| {
        let request = connection.read_request()?;
        connection.write_goaway(request.stream, NO_ERROR)?;
        connection.write_ok(request.stream)?;
        connection.wait_until_closed()
    });
    for number in 1..=2 {
        let sent = http2(Method::POST, server.uri("/"), "body");
        assert_eq!(send(transport, sent).await.status(), 200);
        assert_eq!(server.received().len(), number, "one call, one request");
        // The next request needs another connection: the transport has time to notice.
        pause(MOMENT / 3).await;
    }
}

pub async fn http2_a_goaway_divides_the_streams_of_a_connection(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 || limits.cannot_tell_unprocessed {
        return;
    }
    let server = server(|connection| {
        let first = connection.read_request()?;
        connection.write_ok(first.stream)?;
        let (one, other) = (connection.read_request()?, connection.read_request()?);
        connection.write_goaway(one.stream.min(other.stream), NO_ERROR)?;
        connection.write_ok(one.stream.min(other.stream))?;
        connection.wait_until_closed()
    });
    let sent = || transport.send(http2(Method::POST, server.uri("/"), "body"));
    // Makes the connection, which the others share.
    assert_eq!(sent().await.expect("a response").status(), 200);
    let (completed, failed) = match join(sent(), sent()).await {
        (Err(error), response) => (response, error),
        (response, other) => (response, other.expect_err("a stream beyond the last one")),
    };
    assert_eq!(completed.expect("a response").status(), 200);
    assert_eq!(failed.kind(), TransportErrorKind::Unprocessed, "{failed:?}");
    pause(MOMENT).await;
    assert_eq!(server.received().len(), 3, "one call, one request");
}

pub async fn http2_requests_that_may_have_been_processed_are_interrupted(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    for code in [NO_ERROR, INTERNAL_ERROR, CANCEL] {
        let reset = server(move |connection| {
            let request = connection.read_request()?;
            connection.write_reset(request.stream, code)?;
            connection.wait_until_closed()
        });
        fails_once(transport, &reset, TransportErrorKind::Interrupted).await;
        let goaway = server(move |connection| {
            let request = connection.read_request()?;
            connection.write_goaway(request.stream, code)
        });
        fails_once(transport, &goaway, TransportErrorKind::Interrupted).await;
    }
    let close = server(|connection| connection.read_request().map(drop));
    fails_once(transport, &close, TransportErrorKind::Interrupted).await;
}

pub async fn http2_without_settings_a_request_is_unprocessed_or_interrupted(
    transport: &dyn Transport,
    limits: &Limits,
) {
    if limits.refuses_http2 {
        return;
    }
    let server = Server::start(|connection| {
        Http2Connection::accept_without_settings(connection)?;
        thread::sleep(MOMENT / 3);
        Ok(())
    });
    let sent = http2(Method::POST, server.uri("/"), "body");
    let error = transport.send(sent).await.expect_err("no response");
    // An HTTP stack that waits for the settings has not sent the request; one that does not wait cannot tell.
    let kinds = [
        TransportErrorKind::Unprocessed,
        TransportErrorKind::Interrupted,
    ];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    pause(MOMENT).await;
    assert_eq!(server.connections(), 1, "one call, one request");
}

/// A server that runs `script` for each HTTP/2 connection.
fn server(
    script: impl Fn(&mut Http2Connection<'_>) -> io::Result<()> + Send + Sync + 'static,
) -> Server {
    Server::start(move |connection| script(&mut Http2Connection::accept(connection)?))
}

async fn fails_once(transport: &dyn Transport, server: &Server, kind: TransportErrorKind) {
    let sent = http2(Method::POST, server.uri("/"), "body");
    failure(transport, sent, kind).await;
    // A second request might come late.
    pause(MOMENT).await;
    assert_eq!(server.received().len(), 1, "one call, one request");
}
