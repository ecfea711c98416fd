//! What a connection writes at once.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use etcd_transport::{Transport, http::Uri};
use etcd_transport_hyper::HyperTransport;

use crate::{
    frames::{ACK, Connection, HEADERS, PING, frame, ok},
    http2,
};

const REQUESTS: usize = 20;

const OPAQUE: [u8; 8] = *b"opaque..";

/// Responds with a PING each time, and reads the next request together with its acknowledgement.
fn serve(listener: &TcpListener) {
    let mut connection = Connection::accept(listener);
    let (kind, mut stream) = connection.read();
    assert_eq!(kind, HEADERS);
    let acknowledgement = frame(PING, ACK, 0, &OPAQUE);
    for request in 1..=REQUESTS {
        let both = [ok(stream), frame(PING, 0, 0, &OPAQUE)].concat();
        connection.0.write_all(&both).unwrap();
        let mut received = [0; 1024];
        let count = connection.0.read(&mut received).unwrap();
        assert!(received.starts_with(&acknowledgement));
        let has_more = count > acknowledgement.len();
        assert_eq!(has_more, request < REQUESTS, "after request {request}");
        stream += 2;
    }
}

#[tokio::test]
async fn the_acknowledgement_of_a_ping_is_written_with_the_next_request() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let uri: Uri = format!("http://{address}/").parse().unwrap();
    let server = thread::spawn(move || serve(&listener));
    let requests = tokio::spawn(async move {
        let transport = HyperTransport::default();
        for _ in 0..REQUESTS {
            let response = transport.send(http2(uri.clone())).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        transport
    });
    let _transport = requests.await.unwrap();
    // The last acknowledgement leaves while this runtime waits.
    tokio::task::spawn_blocking(move || server.join().unwrap())
        .await
        .unwrap();
}
