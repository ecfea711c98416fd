//! Behavior that the contract does not specify.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{
    Body, FromSettings, LongLived, Request, Transport, TransportError, TransportErrorKind,
    TransportSettings,
    http::{Uri, Version},
};
use etcd_transport_conformance::{
    BlackHole, Server,
    on_tokio::{self, put},
};
use etcd_transport_reqwest::ReqwestTransport;
use futures::{
    executor::block_on,
    future::{Either, select},
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn https(uri: &Uri) -> Uri {
    let uri = uri.to_string().replacen("http", "https", 1);
    uri.parse().unwrap()
}

async fn answered(transport: &ReqwestTransport, request: Request) {
    let response = transport.send(request).await.unwrap();
    let body = response.into_body().collect(10).await.unwrap();
    assert_eq!(body, "ok");
    // The connection needs a moment to return to the pool.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_connect_timeout_is_a_connect_error() {
    let black_hole = BlackHole::start();
    let start = Instant::now();
    let sent = ReqwestTransport::default()
        .send(put(black_hole.uri()))
        .await;
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_given_client_sends_the_requests() {
    let server = Server::responding(OK);
    let client = ReqwestTransport::client_builder()
        .user_agent("own/1")
        .build();
    let transport = ReqwestTransport::new(client.unwrap());
    answered(&transport, put(server.uri("/"))).await;
    let received = server.only_request();
    assert_eq!(received.header("user-agent").as_deref(), Some("own/1"));
}

#[tokio::test]
async fn a_configured_transport_sends_all_requests_as_configured() {
    let server = Server::responding(OK);
    let transport = ReqwestTransport::configured(|client| client.user_agent("own/1")).unwrap();
    answered(&transport, put(server.uri("/"))).await;
    let mut long_lived = put(server.uri("/"));
    long_lived.extensions_mut().insert(LongLived);
    answered(&transport, long_lived).await;
    for received in server.received() {
        assert_eq!(received.header("user-agent").as_deref(), Some("own/1"));
    }
    assert_eq!(server.received().len(), 2);
}

#[test]
fn a_configuration_that_reqwest_refuses_is_an_error() {
    let configured = ReqwestTransport::configured(|client| client.user_agent("line\nfeed"));
    let error = configured.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
}

#[tokio::test]
async fn http2_is_rejected_if_a_given_client_has_no_counterpart_for_it() {
    let server = Server::responding(OK);
    let client = ReqwestTransport::client_builder().build();
    let transport = ReqwestTransport::new(client.unwrap());
    let mut request = put(server.uri("/"));
    *request.version_mut() = Version::HTTP_2;
    let error = transport.send(request).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    assert_eq!(server.connections(), 0);
}

/// The error of the body is not confused with one of the HTTP stack.
#[tokio::test]
async fn a_request_body_that_fails_interrupts_the_exchange_whatever_its_error_says() {
    let server = Server::responding(OK);
    let mut request = put(server.uri("/"));
    let failure = TransportError::interrupted("UserUnsupportedVersion: scheme is not http");
    *request.body_mut() = Body::from_frames([Err(failure)]);
    let error = ReqwestTransport::default().send(request).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
}

#[tokio::test]
async fn idle_connections_are_closed_before_usual_proxies_close_them() {
    let server = Server::responding(OK);
    let transport = ReqwestTransport::default();
    answered(&transport, put(server.uri("/"))).await;
    for (idle, connections) in [(52, 1), (56, 2)] {
        // The pool follows tokio's clock, which stands still only here: nothing else is to time out.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(idle)).await;
        tokio::time::resume();
        answered(&transport, put(server.uri("/"))).await;
        assert_eq!(server.connections(), connections, "after {idle} s");
    }
}

/// The peer is gone, and its end of the connection was never closed: its machine lost power, for example.
#[tokio::test]
async fn an_http2_connection_that_answers_no_ping_is_broken() {
    let error = silence(&ReqwestTransport::default()).await.unwrap();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");

    let mut settings = TransportSettings::default();
    settings.keepalive_interval = Some(Duration::ZERO);
    let without_pings = ReqwestTransport::from_settings(&settings).unwrap();
    assert!(silence(&without_pings).await.is_none());
}

/// Sends a request to a server that sends its settings and nothing more, lets half a minute pass, and returns the error, if there is one.
async fn silence(transport: &ReqwestTransport) -> Option<TransportError> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write(SETTINGS)?;
        connection.wait_until_closed()
    });
    let mut request = put(server.uri("/"));
    *request.version_mut() = Version::HTTP_2;
    let mut silent = pin!(transport.send(request));
    for seconds in [14, 2, 11] {
        let moment = pin!(tokio::time::sleep(Duration::from_millis(100)));
        let pending = select(&mut silent, moment).await;
        assert!(matches!(pending, Either::Right(_)), "before {seconds} s");
        // As above: only the time of the connection's timers passes.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    }
    let moment = tokio::time::sleep(Duration::from_secs(2));
    match select(silent, pin!(moment)).await {
        Either::Left((sent, _)) => Some(sent.unwrap_err()),
        Either::Right(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_tokios_and_can_be_paused() {
    on_tokio::an_hour_passes_at_once(&ReqwestTransport::default()).await;
}

#[test]
fn a_sleep_goes_on_in_another_runtime() {
    on_tokio::a_sleep_goes_on_in_another_runtime(&ReqwestTransport::default());
}

#[test]
fn outside_a_tokio_runtime_requests_are_rejected_and_nothing_panics() {
    let transport = ReqwestTransport::default();
    block_on(on_tokio::a_request_outside_a_runtime_is_rejected(
        &transport,
    ));
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[tokio::test]
async fn https_is_rejected_without_a_feature_for_tls() {
    let server = Server::responding(OK);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut request = put(https(&server.uri("/")));
        *request.version_mut() = version;
        let error = ReqwestTransport::default().send(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
        let expected = "built without TLS: enable the feature reqwest-rustls";
        assert!(why(&error).starts_with(expected), "{error:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_failed_tls_handshake_is_a_connect_error() {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let transport = ReqwestTransport::default();
    for is_long_lived in [false, true] {
        let mut request = put(https(&server.uri("/")));
        if is_long_lived {
            request.extensions_mut().insert(LongLived);
        }
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    }
}

/// The text of the error that the transport returns as its source.
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
fn why(error: &TransportError) -> String {
    let source = std::error::Error::source(error);
    source.map(ToString::to_string).unwrap_or_default()
}
