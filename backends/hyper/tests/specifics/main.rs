//! Behavior that the contract does not specify.

mod batched;
#[cfg(feature = "tracing")]
mod events;
mod frames;
mod late;
mod lifetime;

use std::{
    error::Error,
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::{
    Request, Transport, TransportError, TransportErrorKind,
    http::{Uri, Version},
};
use etcd_transport_conformance::{
    BlackHole, Server,
    on_tokio::{self, put},
};
use etcd_transport_hyper::HyperTransport;
use futures::{
    executor::block_on,
    future::{Either, join, join_all, select},
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn http2(uri: Uri) -> Request {
    let mut request = put(uri);
    *request.version_mut() = Version::HTTP_2;
    request
}

fn https(uri: &Uri) -> Uri {
    let uri = uri.to_string().replacen("http", "https", 1);
    uri.parse().unwrap()
}

/// A server that sends its settings, and nothing more.
fn silent_http2_server() -> Server {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write(SETTINGS)?;
        connection.wait_until_closed()
    })
}

/// Lets time pass for the connections' timers alone: nothing else is to time out.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn answered(transport: &HyperTransport, request: Request) {
    let response = transport.send(request).await.unwrap();
    assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");
}

async fn failed(transport: &HyperTransport, request: Request) -> (TransportErrorKind, String) {
    let error = transport.send(request).await.unwrap_err();
    (error.kind(), why(&error))
}

/// The text of the error that the transport returns as its source.
fn why(error: &TransportError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_a_connect_error() {
    let black_hole = BlackHole::start();
    let limit = Duration::from_millis(300);
    let transport = HyperTransport::builder().connect_timeout(limit).build();
    let transport = transport.unwrap();
    let start = Instant::now();
    for request in [put(black_hole.uri()), http2(black_hole.uri())] {
        let (kind, why) = failed(&transport, request).await;
        assert_eq!(kind, TransportErrorKind::Connect);
        assert_eq!(why, "no connection within 300ms");
    }
    // On a machine that stalls, too. Without a limit it takes minutes.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn sequential_requests_share_a_connection_without_a_pause_between() {
    let server = Server::responding(OK);
    let transport = HyperTransport::default();
    for _ in 0..100 {
        answered(&transport, put(server.uri("/"))).await;
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn idle_connections_are_closed_before_usual_proxies_close_them() {
    let server = Server::responding(OK);
    let transport = HyperTransport::default();
    answered(&transport, put(server.uri("/"))).await;
    for (idle, connections) in [(52, 1), (56, 2)] {
        pass(Duration::from_secs(idle)).await;
        answered(&transport, put(server.uri("/"))).await;
        assert_eq!(server.connections(), connections, "after {idle} s");
    }
}

/// The server sees the end of an idle connection, although no further request is sent.
#[tokio::test]
async fn an_idle_connection_is_closed_without_a_further_request() {
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.write(OK)?;
        connection.wait_until_closed()
    });
    let idle = Duration::from_millis(100);
    let transport = HyperTransport::builder().idle_timeout(idle).build();
    let transport = transport.unwrap();
    answered(&transport, put(server.uri("/"))).await;
    let began = Instant::now();
    while server.closed() == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server of HTTP/1.1 has seen nothing of the request: another protocol may be tried.
#[tokio::test]
async fn http2_to_a_server_of_http_1_is_rejected_and_nothing_is_sent() {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")?;
        // If it closed at once, the client might see a reset instead of the response.
        connection.wait_until_closed()
    });
    let (kind, why) = failed(&HyperTransport::default(), http2(server.uri("/"))).await;
    assert_eq!(kind, TransportErrorKind::Rejected, "{why}");
    let expected = "the server does not speak HTTP/2 by prior knowledge";
    assert!(why.starts_with(expected), "{why}");
}

#[tokio::test]
async fn http2_without_settings_is_unprocessed() {
    let closing = Server::start(|connection| connection.wait_for_a_byte());
    let silent = Server::start(|connection| connection.wait_until_closed());
    let transport = HyperTransport::builder().connect_timeout(Duration::from_millis(300));
    let transport = transport.build().unwrap();
    for server in [closing, silent] {
        // All that wait for the connection get the error.
        let all = (0..3).map(|_| failed(&transport, http2(server.uri("/"))));
        for (kind, why) in join_all(all).await {
            assert_eq!(kind, TransportErrorKind::Unprocessed, "{why}");
        }
        assert_eq!(server.connections(), 1);
    }
}

/// The peer is gone, and its end of the connection was never closed: its machine lost power, for example.
#[tokio::test]
async fn an_http2_connection_that_answers_no_ping_is_broken() {
    let server = silent_http2_server();
    let transport = HyperTransport::default();
    let mut silent = pin!(failed(&transport, http2(server.uri("/"))));
    for seconds in [14, 2, 9] {
        let moment = pin!(tokio::time::sleep(Duration::from_millis(100)));
        let pending = select(&mut silent, moment).await;
        assert!(matches!(pending, Either::Right(_)), "before {seconds} s");
        pass(Duration::from_secs(seconds)).await;
    }
    let moment = tokio::time::sleep(Duration::from_secs(5));
    match select(silent, pin!(moment)).await {
        Either::Left(((kind, why), _)) => {
            assert_eq!(kind, TransportErrorKind::Interrupted, "{why}");
        }
        Either::Right(_) => panic!("the connection is still waited for"),
    }
}

/// A connection belongs to the runtime that made it: what was sent on it is in doubt when that ends.
#[test]
fn a_request_on_a_connection_whose_runtime_ends_is_interrupted() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap()
    };
    let server = Server::start(|connection| {
        connection.read_request()?;
        connection.wait_until_closed()
    });
    let transport = HyperTransport::default();
    let (first, second) = (runtime(), runtime());
    let mut sent = transport.send(put(server.uri("/")));
    first.block_on(async {
        let received = pin!(async {
            while server.received().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let first = select(&mut sent, received).await;
        assert!(matches!(first, Either::Right(_)));
    });
    let error = second.block_on(async {
        let ends = async { first.shutdown_background() };
        join(sent, ends).await.0.unwrap_err()
    });
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
}

#[test]
fn http2_works_in_another_runtime_than_the_one_that_began_to_connect() {
    let silent = Server::start(|connection| connection.wait_until_closed());
    let transport = HyperTransport::default();
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let first = runtime();
    let mut waiting = Box::pin(transport.send(http2(silent.uri("/"))));
    first.block_on(async {
        let moment = pin!(tokio::time::sleep(Duration::from_millis(50)));
        assert!(matches!(
            select(&mut waiting, moment).await,
            Either::Right(_)
        ));
    });
    drop(first);
    let error = runtime().block_on(waiting).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unprocessed, "{error:?}");
}

#[tokio::test]
async fn the_longest_limits_are_no_panic() {
    let server = Server::responding(OK);
    let transport = HyperTransport::builder()
        .connect_timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .http2_ping_interval(Some(Duration::MAX))
        .http2_ping_timeout(Duration::MAX)
        .build()
        .unwrap();
    answered(&transport, put(server.uri("/"))).await;
}

#[tokio::test]
async fn a_header_that_http2_does_not_have_is_rejected() {
    let server = silent_http2_server();
    let transport = HyperTransport::default();
    for _ in 0..3 {
        let mut request = http2(server.uri("/"));
        let value = etcd_transport::http::HeaderValue::from_static("chunked");
        request.headers_mut().insert("transfer-encoding", value);
        let (kind, why) = failed(&transport, request).await;
        assert_eq!(kind, TransportErrorKind::Rejected, "{why}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn http2_can_be_disabled() {
    let server = Server::responding(OK);
    let transport = HyperTransport::builder().http1_only().build().unwrap();
    let (kind, why) = failed(&transport, http2(server.uri("/"))).await;
    assert_eq!(kind, TransportErrorKind::Rejected, "{why}");
    answered(&transport, put(server.uri("/"))).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_host_can_be_given_an_address() {
    let server = Server::responding(OK);
    let uri = server.uri("/");
    let port = uri.port_u16().unwrap();
    let transport = HyperTransport::builder().resolve("etcd.internal", ([127, 0, 0, 1], 1).into());
    let refused = format!("http://etcd.internal:{port}/").parse().unwrap();
    let (kind, why) = failed(&transport.build().unwrap(), put(refused)).await;
    assert_eq!(kind, TransportErrorKind::Connect, "{why}");

    let address = ([127, 0, 0, 1], port).into();
    let transport = HyperTransport::builder().resolve("etcd.internal", address);
    let request = put("http://etcd.internal:9/".parse().unwrap());
    answered(&transport.build().unwrap(), request).await;
    let host = server.only_request().header("host");
    assert_eq!(host.as_deref(), Some("etcd.internal:9"));
}

#[cfg(unix)]
#[tokio::test]
async fn requests_travel_over_a_unix_domain_socket() {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
    };

    let path = std::env::temp_dir().join(format!("etcd-transport-hyper-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"value=1") {
            let mut bytes = [0; 1000];
            let count = stream.read(&mut bytes).unwrap();
            received.extend(&bytes[..count]);
        }
        stream.write_all(OK.as_bytes()).unwrap();
        String::from_utf8(received).unwrap()
    });
    let transport = HyperTransport::builder().unix_socket(&path).build();
    let request = put("http://etcd:2379/a?b".parse().unwrap());
    answered(&transport.unwrap(), request).await;
    let received = server.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(received.starts_with("PUT /a?b HTTP/1.1\r\n"), "{received}");
    assert!(received.contains("host: etcd:2379\r\n"), "{received}");
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_tokios_and_can_be_paused() {
    on_tokio::an_hour_passes_at_once(&HyperTransport::default()).await;
}

#[test]
fn a_sleep_goes_on_in_another_runtime() {
    on_tokio::a_sleep_goes_on_in_another_runtime(&HyperTransport::default());
}

#[test]
fn outside_a_tokio_runtime_requests_are_rejected_and_nothing_panics() {
    let transport = HyperTransport::default();
    block_on(on_tokio::a_request_outside_a_runtime_is_rejected(
        &transport,
    ));
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn https_is_rejected_without_the_feature_for_tls() {
    let server = Server::responding(OK);
    let uri = https(&server.uri("/"));
    for request in [put(uri.clone()), http2(uri)] {
        let (kind, why) = failed(&HyperTransport::default(), request).await;
        assert_eq!(kind, TransportErrorKind::Rejected, "{why}");
        let expected = "built without TLS: enable the feature hyper-rustls";
        assert!(why.starts_with(expected), "{why}");
    }
    assert_eq!(server.connections(), 0);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_failed_tls_handshake_is_a_connect_error() {
    let server = Server::start(|connection| {
        connection.wait_for_a_byte()?;
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let uri = https(&server.uri("/"));
    for request in [put(uri.clone()), http2(uri)] {
        let (kind, why) = failed(&HyperTransport::default(), request).await;
        assert_eq!(kind, TransportErrorKind::Connect, "{why}");
    }
}

#[cfg(feature = "rustls")]
#[test]
fn a_certificate_that_cannot_be_read_is_an_error_that_says_which() {
    let cases = [
        (
            HyperTransport::builder().root_certificates("nothing"),
            "the root certificates",
        ),
        (
            HyperTransport::builder().identity("nothing", "no key"),
            "the client certificate",
        ),
    ];
    for (builder, what) in cases {
        assert!(!format!("{builder:?}").contains("nothing"));
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
        assert!(why(&error).starts_with(what), "{error:?}");
    }
}
