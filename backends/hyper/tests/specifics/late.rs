//! Responses to requests that were given up.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use etcd_transport::{Transport, http::Uri};
use etcd_transport_hyper::HyperTransport;
use futures::future::{join_all, select};
use tokio::sync::oneshot;

use crate::http2;

/// More than HTTP/2's implementation keeps in mind, and more than it bears by default from a server that it does not trust.
const GIVEN_UP: usize = 2_000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The only connection of a server of HTTP/2, frame by frame: libraries send nothing on a stream that was reset.
struct Connection(TcpStream);

impl Connection {
    fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        let mut this = Self(stream);
        this.write(SETTINGS, 0, 0, &[]);
        this
    }

    /// Reads up to the next frame that ends a request or gives one up, and returns its kind and its stream.
    fn read(&mut self) -> (u8, u32) {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).unwrap();
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).unwrap();
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
                RST_STREAM => return (kind, u32::from_be_bytes(stream)),
                HEADERS | DATA if flags & END_STREAM != 0 => {
                    return (HEADERS, u32::from_be_bytes(stream));
                }
                _ => {}
            }
        }
    }

    /// Sends status 200, the entry 8 of HPACK's static table, and ends the stream.
    fn write_ok(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]);
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }
}

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
