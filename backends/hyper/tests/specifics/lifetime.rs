//! When a connection of HTTP/2 ends.

use std::{
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use etcd_transport::{Transport, http::Uri};
use etcd_transport_conformance::{Server, on_tokio::put};
use etcd_transport_hyper::HyperTransport;
use futures::future::select;

use crate::{answered, frames::Connection, http2, pass, silent_http2_server};

/// None of the requests is open for long enough to be pinged for.
#[tokio::test]
async fn a_peer_that_is_gone_is_noticed_by_short_requests_too() {
    let server = silent_http2_server();
    let transport = HyperTransport::default();
    for _ in 0..8 {
        let sent = transport.send(http2(server.uri("/")));
        let moment = pin!(tokio::time::sleep(Duration::from_millis(100)));
        select(sent, moment).await;
        // What gives up the request is sent.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pass(Duration::from_secs(5)).await;
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn idle_connections_are_closed_before_usual_proxies_close_them() {
    let server = Responding::start();
    let transport = HyperTransport::default();
    server.answers(&transport).await;
    for (idle, connections) in [(52, 1), (56, 2)] {
        pass(Duration::from_secs(idle)).await;
        server.answers(&transport).await;
        assert_eq!(server.connections(), connections, "after {idle} s");
    }
}

/// A runtime that nobody drives closes nothing.
#[test]
fn a_connection_that_was_idle_for_long_is_not_used_again() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = Responding::start();
    let idle = Duration::from_secs(1);
    let transport = HyperTransport::builder().idle_timeout(idle).build();
    let transport = transport.unwrap();
    runtime.block_on(server.answers(&transport));
    thread::sleep(idle);
    runtime.block_on(server.answers(&transport));
    assert_eq!(server.connections(), 2);
}

/// A runtime that nobody drives does nothing for its connections, which are of no use in another one.
#[test]
fn a_runtime_that_is_not_driven_delays_no_request_of_another() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let one = Server::responding("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let two = Responding::start();
    let transport = HyperTransport::default();
    let both = async {
        answered(&transport, put(one.uri("/"))).await;
        two.answers(&transport).await;
    };
    first.block_on(both);
    for _ in 0..2 {
        let both = async {
            answered(&transport, put(one.uri("/"))).await;
            two.answers(&transport).await;
        };
        let limit = Duration::from_secs(10);
        let in_time = second.block_on(async { tokio::time::timeout(limit, both).await });
        assert!(in_time.is_ok(), "it waits for the other runtime");
    }
    assert_eq!((one.connections(), two.connections()), (2, 2));
}

/// The server sees the end of an idle connection in time, although no further request is sent.
#[tokio::test]
async fn an_idle_connection_is_closed_without_a_further_request() {
    let server = Responding::start();
    let idle = Duration::from_millis(100);
    let transport = HyperTransport::builder().idle_timeout(idle).build();
    let transport = transport.unwrap();
    server.answers(&transport).await;
    let began = Instant::now();
    while server.closed() == 0 {
        // The interval of pings is 15 s.
        assert!(began.elapsed() < Duration::from_secs(10), "it stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server that responds to each request, and counts its connections.
struct Responding {
    uri: Uri,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Responding {
    fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self {
            uri: format!("http://{address}/").parse().unwrap(),
            connections: Arc::default(),
            closed: Arc::default(),
        };
        let (connections, closed) = (Arc::clone(&this.connections), Arc::clone(&this.closed));
        // It ends with the process.
        thread::spawn(move || {
            loop {
                let mut connection = Connection::accept(&listener);
                connections.fetch_add(1, SeqCst);
                let closed = Arc::clone(&closed);
                thread::spawn(move || {
                    while let Ok((_, stream)) = connection.try_read() {
                        connection.write_ok(stream);
                    }
                    closed.fetch_add(1, SeqCst);
                });
            }
        });
        this
    }

    async fn answers(&self, transport: &HyperTransport) {
        let response = transport.send(http2(self.uri.clone())).await.unwrap();
        assert_eq!(response.status(), 200);
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    fn closed(&self) -> usize {
        self.closed.load(SeqCst)
    }
}
