//! Responses to requests that were given up.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
};

use etcd_transport::{Transport, http::Uri};
use etcd_transport_hyper::HyperTransport;
use futures::future::{join_all, select};
use tokio::sync::oneshot;

use crate::{
    frames::{Connection, HEADERS, RST_STREAM},
    http2,
};

/// More than HTTP/2's implementation keeps in mind, and more than it bears by default from a server that it does not trust.
const GIVEN_UP: usize = 2_000;

/// Reads requests until `GIVEN_UP` have arrived, and says so. When all are given up, it responds to them, and to one more.
fn serve(listener: &TcpListener, all_are_here: oneshot::Sender<()>) {
    let mut connection = Connection::accept(listener);
    let requests: Vec<_> = (0..GIVEN_UP).map(|_| connection.read()).collect();
    assert!(requests.iter().all(|(kind, _)| *kind == HEADERS));
    all_are_here.send(()).unwrap();
    let mut given_up: Vec<_> = (0..GIVEN_UP).map(|_| connection.read()).collect();
    given_up.sort_unstable();
    assert!(given_up.iter().all(|(kind, _)| *kind == RST_STREAM));
    for (_, stream) in given_up {
        connection.write_ok(stream);
    }
    loop {
        // The late responses may be refused, each.
        if let (HEADERS, stream) = connection.read() {
            return connection.write_ok(stream);
        }
    }
}

#[tokio::test]
async fn late_responses_to_requests_that_were_given_up_do_not_end_the_connection_of_the_others() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let uri: Uri = format!("http://{address}/").parse().unwrap();
    let (send, all_are_here) = oneshot::channel();
    let server = thread::spawn(move || serve(&listener, send));
    let transport = HyperTransport::default();
    let requests = join_all((0..GIVEN_UP).map(|_| transport.send(http2(uri.clone()))));
    select(Box::pin(requests), all_are_here).await;
    let response = transport.send(http2(uri)).await.unwrap();
    assert_eq!(response.status(), 200);
    server.join().unwrap();
}
