//! What the contract leaves open, and this transport settles.

use std::time::{Duration, Instant};

use etcd_transport::{
    Body, Request, Transport, TransportErrorKind,
    http::{Method, Uri, Version},
};
use etcd_transport_conformance::{Deaf, Server};
use etcd_transport_reqwest::ReqwestTransport;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn put(uri: Uri) -> Request {
    let mut request = Request::new(Body::from("value=1"));
    *request.uri_mut() = uri;
    *request.method_mut() = Method::PUT;
    request
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_in_time_is_a_connect_error() {
    let deaf = Deaf::start();
    let start = Instant::now();
    let sent = ReqwestTransport::default().send(put(deaf.uri())).await;
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_client_of_the_users_own_is_sent_by() {
    let server = Server::answering(OK);
    let client = ReqwestTransport::client_builder()
        .user_agent("own/1")
        .build();
    let transport = ReqwestTransport::new(client.unwrap());
    assert_eq!(
        transport.send(put(server.uri("/"))).await.unwrap().status(),
        200
    );
    let received = server.only_request();
    assert_eq!(received.header("user-agent").as_deref(), Some("own/1"));
}

#[tokio::test]
async fn http2_is_refused_where_a_client_for_it_is_wanted() {
    let server = Server::answering(OK);
    let client = ReqwestTransport::client_builder().build();
    let transport = ReqwestTransport::new(client.unwrap());
    let mut request = put(server.uri("/"));
    *request.version_mut() = Version::HTTP_2;
    let error = transport.send(request).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_tokios_and_can_be_paused() {
    let transport = ReqwestTransport::default();
    let (start, real) = (transport.now(), Instant::now());
    let hour = Duration::from_secs(3600);
    transport.sleep(hour).await;
    assert!(transport.now() - start >= hour);
    assert!(real.elapsed() < hour);
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[tokio::test]
async fn without_a_feature_for_tls_https_sends_nothing() {
    let server = Server::answering(OK);
    let uri = server.uri("/").to_string().replacen("http", "https", 1);
    let error = ReqwestTransport::default()
        .send(put(uri.parse().unwrap()))
        .await;
    assert!(error.unwrap_err().is_unsent());
    assert_eq!(server.received().len(), 0);
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_server_that_fails_the_tls_handshake_is_a_connect_error() {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let uri = server.uri("/").to_string().replacen("http", "https", 1);
    let error = ReqwestTransport::default()
        .send(put(uri.parse().unwrap()))
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
}
