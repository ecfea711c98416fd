//! An HTTP/2 server without TLS, for clients with prior knowledge. The path of a request selects the response.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use etcd_transport::{
    bytes::Bytes,
    http::{HeaderMap, HeaderValue, Request, Response, Uri},
};
use h2::{Reason, RecvStream, server::SendResponse};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
    task::LocalSet,
};

use crate::Received;

/// An HTTP/2 server on `127.0.0.1`. The path of a request selects the response:
///
/// - `/echo`: 200, each frame of data as it arrives, and the trailers `grpc-status: 0`.
/// - `/open`: 200 and `open`; the response has no end.
/// - `/trailers`: reads all, then 200 and the trailers `grpc-status: 5`, without data.
/// - `/flood`: 200 and eight mebibytes, as fast as they are read.
/// - `/head`: reads all, then 200 and `grpc-status: 12` in a head that ends the response.
/// - `/refused`: the stream is reset with `REFUSED_STREAM`.
/// - `/reset`: 200 and some data, and the stream is reset with `INTERNAL_ERROR`.
/// - `/cut`: 200 and some data, and the connection is cut.
/// - anything else: reads all, then 200 and `ok`.
#[derive(Debug)]
pub(crate) struct Http2Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Http2Server {
    pub(crate) fn start() -> Self {
        Self::with_max_streams(u32::MAX)
    }

    /// Starts a server that announces this limit of concurrent streams per connection, and refuses those beyond.
    pub(crate) fn with_max_streams(max_streams: u32) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port of 127.0.0.1");
        let address = listener.local_addr().expect("the address it is bound to");
        listener.set_nonblocking(true).expect("a socket option");
        let received = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn({
            let received = Arc::clone(&received);
            move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime for the server");
                let tasks = LocalSet::new();
                tasks.spawn_local(async move {
                    let listener = TcpListener::from_std(listener).expect("a listener");
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::task::spawn_local(serve(stream, max_streams, Arc::clone(&received)));
                    }
                });
                // The sender is dropped: the server ends, and all its tasks.
                let _ = runtime.block_on(tasks.run_until(stopped));
            }
        });
        Self {
            address,
            received,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn uri(&self, path: &str) -> Uri {
        let uri = format!("http://{}{path}", self.address);
        uri.parse().expect("a URI of this server")
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

impl Drop for Http2Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // An error means that the server panicked: it has ended, too.
            let _ = thread.join();
        }
    }
}

async fn serve(
    stream: TcpStream,
    max_streams: u32,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut server = h2::server::Builder::new();
    server.max_concurrent_streams(max_streams);
    let mut connection = server.handshake(stream).await?;
    let (cut, mut is_cut) = tokio::sync::mpsc::unbounded_channel();
    loop {
        let (request, respond) = tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(accepted) => accepted?,
                None => return Ok(()),
            },
            // The connection is dropped as it stands.
            _ = is_cut.recv() => return Ok(()),
        };
        let (received, cut) = (Arc::clone(&received), cut.clone());
        tokio::task::spawn_local(async move {
            let path = request.uri().path().to_owned();
            answer(request, respond, &received).await?;
            if path == "/cut" {
                // Time for the data to leave; the receiver is there as long as the connection.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                let _ = cut.send(());
            }
            Ok::<(), Failure>(())
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    received: &Mutex<Vec<Received>>,
) -> Result<(), Failure> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let number = record(&head, received);
    match path.as_str() {
        "/echo" => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                sending.send_data(data, false)?;
            }
            sending.send_trailers(trailers("0"))?;
            return Ok(());
        }
        "/open" => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            sending.send_data(Bytes::from_static(b"open"), false)?;
            // Until the client resets the stream, or closes the connection.
            poll_fn(|cx| sending.poll_reset(cx)).await?;
            return Ok(());
        }
        "/flood" => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            let mut rest = Bytes::from(vec![7; 8 << 20]);
            while !rest.is_empty() {
                sending.reserve_capacity(rest.len());
                let Some(room) = poll_fn(|cx| sending.poll_capacity(cx)).await else {
                    return Ok(());
                };
                let now = rest.split_to(room?.min(rest.len()));
                sending.send_data(now, rest.is_empty())?;
            }
            return Ok(());
        }
        "/refused" => {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        "/reset" | "/cut" => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            sending.send_data(Bytes::from_static(b"some"), false)?;
            if path == "/reset" {
                // After the data, not instead of it.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                sending.send_reset(Reason::INTERNAL_ERROR);
            } else {
                // Kept until the connection is cut: dropped, it would reset the stream.
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                    drop(sending);
                });
            }
            return Ok(());
        }
        _ => {}
    }
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        lock(received)[number].body.extend_from_slice(&data);
    }
    match path.as_str() {
        "/trailers" => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            sending.send_trailers(trailers("5"))?;
        }
        "/head" => {
            let head = Response::builder().header("grpc-status", "12").body(())?;
            respond.send_response(head, true)?;
        }
        _ => {
            let mut sending = respond.send_response(Response::new(()), false)?;
            sending.send_data(Bytes::from_static(b"ok"), true)?;
        }
    }
    Ok(())
}

fn record(head: &etcd_transport::http::request::Parts, received: &Mutex<Vec<Received>>) -> usize {
    let target = head.uri.path_and_query().map(ToString::to_string);
    let mut received = lock(received);
    received.push(Received {
        method: head.method.to_string(),
        target: target.unwrap_or_default(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
    });
    received.len() - 1
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        etcd_transport::http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(status),
    )])
}

fn lock(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}
