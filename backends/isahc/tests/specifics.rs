//! Behavior that the contract does not specify.

use std::{
    pin::pin,
    thread,
    time::{Duration, Instant},
};

#[cfg(not(feature = "rustls"))]
use etcd_transport::http::Version;
use etcd_transport::{
    Body, IdleLimit, LongLived, Request, Transport, TransportErrorKind,
    http::{Method, Uri},
};
use etcd_transport_conformance::{BlackHole, Server};
use etcd_transport_isahc::IsahcTransport;
use futures::{
    executor::block_on,
    future::{Either, select},
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn put(uri: Uri, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    *request.uri_mut() = uri;
    *request.method_mut() = Method::PUT;
    request
}

#[test]
fn a_connect_timeout_is_a_connect_error() {
    let black_hole = BlackHole::start();
    let start = Instant::now();
    let sent = block_on(IsahcTransport::default().send(put(black_hole.uri(), "value=1")));
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_silent_exchange_ends_as_an_interruption_after_its_idle_limit() {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.wait_until_closed()
    });
    let mut request = put(server.uri("/"), "value=1");
    let limit = IdleLimit(Duration::from_secs(1));
    request.extensions_mut().insert(limit);
    let start = Instant::now();
    let error = block_on(IsahcTransport::default().send(request)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
    assert!(start.elapsed() >= limit.0);
}

/// A server that sends a head and a first byte for each request, and no more until the client closes the connection.
fn quiet_server() -> Server {
    Server::start(|connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n")?;
        connection.wait_until_closed()
    })
}

/// A request like that of a watch, whose idle limit is longer than any test.
fn patient(uri: Uri) -> Request {
    let mut request = put(uri, "value=1");
    let limit = IdleLimit(Duration::from_secs(3600));
    request.extensions_mut().insert(limit);
    request
}

/// Opens an exchange and reads its first byte. Only then has isahc passed on all that arrived, and nothing is left that makes
/// it notice a drop.
async fn quiet_body(transport: &IsahcTransport, server: &Server) -> Body {
    let sent = transport.send(patient(server.uri("/"))).await;
    let mut body = sent.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "{");
    body
}

/// Returns how many connections are open at the server when they are at most `most`, or after ten seconds: far less
/// than the idle limit of the exchanges.
fn open_eventually(server: &Server, most: usize) -> usize {
    let began = Instant::now();
    loop {
        let open = server.connections() - server.closed();
        if open <= most || began.elapsed() > Duration::from_secs(10) {
            return open;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn thirty_quiet_bodies_that_are_dropped_free_their_connections_soon() {
    let server = quiet_server();
    let transport = IsahcTransport::default();
    let responses: Vec<_> = (0..30)
        .map(|_| block_on(transport.send(patient(server.uri("/")))).unwrap())
        .collect();
    assert_eq!(server.connections() - server.closed(), 30);
    drop(responses);
    assert_eq!(open_eventually(&server, 0), 0);
}

#[test]
fn a_long_lived_body_that_is_dropped_frees_its_connection_soon() {
    let server = quiet_server();
    // The default idle limit is a minute.
    let transport = IsahcTransport::default();
    let mut request = put(server.uri("/"), "value=1");
    request.extensions_mut().insert(LongLived);
    drop(block_on(transport.send(request)).unwrap());
    assert_eq!(open_eventually(&server, 0), 0);
}

#[test]
fn a_request_that_is_dropped_before_its_head_frees_its_connection_soon() {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.wait_until_closed()
    });
    let transport = IsahcTransport::default();
    let connected = async {
        while server.connections() == 0 {
            transport.sleep(Duration::from_millis(10)).await;
        }
        transport.sleep(Duration::from_millis(100)).await;
    };
    let sent = transport.send(patient(server.uri("/")));
    let mut connected = pin!(connected);
    let early = block_on(select(sent, connected.as_mut()));
    assert!(matches!(early, Either::Right(_)));
    drop(early);
    assert_eq!(server.connections(), 1);
    assert_eq!(open_eventually(&server, 0), 0);
}

#[test]
fn more_quiet_exchanges_than_clients_of_their_own_are_served() {
    let server = quiet_server();
    let transport = IsahcTransport::default();
    let bodies: Vec<_> = (0..48)
        .map(|_| block_on(quiet_body(&transport, &server)))
        .collect();
    assert_eq!(server.connections(), 48);
    drop(bodies);
    // 32 have one. The others share one, which notices that they were dropped when bytes arrive, or after the idle
    // limit.
    assert_eq!(open_eventually(&server, 16), 16);
    drop(block_on(quiet_body(&transport, &server)));
    assert_eq!(open_eventually(&server, 16), 16);
}

#[test]
fn a_returned_client_serves_the_next_exchange_on_the_same_connection() {
    let server = Server::responding(OK);
    let transport = IsahcTransport::default();
    for _ in 0..10 {
        let response = block_on(transport.send(patient(server.uri("/")))).unwrap();
        let body = block_on(response.into_body().collect(10)).unwrap();
        assert_eq!(body, "ok");
    }
    assert_eq!(server.connections(), 1);
}

/// As when a lease is renewed: the message has arrived, and only the end of the response is missing.
#[test]
fn a_body_that_is_dropped_just_before_its_end_leaves_its_connection_to_the_next() {
    let server = Server::start(|connection| {
        loop {
            connection.read_request()?;
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n")?;
            thread::sleep(Duration::from_millis(1));
            connection.write("0\r\n\r\n")?;
        }
    });
    let transport = IsahcTransport::default();
    for _ in 0..10 {
        let response = block_on(transport.send(patient(server.uri("/")))).unwrap();
        let mut body = response.into_body();
        assert!(block_on(body.frame()).is_some_and(|frame| frame.is_ok()));
        drop(body);
        thread::sleep(Duration::from_millis(200));
    }
    // One, unless the machine is slower than the grace period; without that it would be ten.
    assert!(server.connections() < 5, "{}", server.connections());
}

#[test]
fn a_panic_in_a_streamed_body_fails_that_request_alone() {
    let server = Server::responding(OK);
    let transport = IsahcTransport::default();
    let request = put(
        server.uri("/"),
        Body::poll_fn(|_| panic!("a bug in the source of the body")),
    );
    let error = block_on(transport.send(request)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
    let response = block_on(transport.send(put(server.uri("/"), "value=1"))).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn a_configured_transport_sends_all_requests_as_configured() {
    let server = Server::responding(OK);
    let configured =
        IsahcTransport::configured(|client| client.default_header("x-team", "storage"));
    let transport = configured.unwrap();
    for body in ["", "value=1"] {
        block_on(transport.send(put(server.uri("/"), body))).unwrap();
    }
    for received in server.received() {
        assert_eq!(received.header("x-team").as_deref(), Some("storage"));
    }
}

#[cfg(not(feature = "rustls"))]
#[test]
fn https_is_rejected_without_a_feature_for_tls() {
    let server = Server::responding(OK);
    let uri = server.uri("/").to_string().replacen("http", "https", 1);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut request = put(uri.parse().unwrap(), "value=1");
        *request.version_mut() = version;
        let error = block_on(IsahcTransport::default().send(request)).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
        let why = std::error::Error::source(&error).map(ToString::to_string);
        let expected = "built without TLS: enable the feature isahc-rustls";
        assert!(
            why.is_some_and(|why| why.starts_with(expected)),
            "{error:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[cfg(feature = "rustls")]
#[test]
fn a_failed_tls_handshake_is_a_connect_error() {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let uri = server.uri("/").to_string().replacen("http", "https", 1);
    for body in ["", "value=1"] {
        let request = put(uri.parse().unwrap(), body);
        let error = block_on(IsahcTransport::default().send(request)).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    }
}
