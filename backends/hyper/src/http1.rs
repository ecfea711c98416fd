//! HTTP/1.1: a pool of connections, each with one exchange at a time.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use etcd_transport::{
    Body, PolledFrame, Request, Response, TransportError,
    bytes::Bytes,
    http::{Uri, header::HOST},
};
use futures::future::{Either, select};
use http_body::{Body as HttpBody, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{runtime::Id, time::Instant};

use crate::{
    connect::{Alpn, Stream},
    failure,
    origin::Origin,
    runtime,
};

/// The idle connections to one server.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Idle>>);

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection, driven by a task of its own.
struct Connection {
    sender: SendRequest<Body>,
    /// The runtime of the task.
    runtime: Id,
}

/// Sends a request over HTTP/1.1.
pub(crate) async fn send(
    origin: Arc<Origin>,
    mut request: Request,
) -> Result<Response, TransportError> {
    if let Some(path) = request.uri().path_and_query() {
        *request.uri_mut() = Uri::from(path.clone());
    }
    request.headers_mut().insert(HOST, origin.host.clone());
    let idle_timeout = origin.connector.settings.idle_timeout;
    loop {
        let runtime = runtime::current()?;
        let (mut connection, is_reused) = match origin.http1.take(runtime, idle_timeout).await {
            Some(connection) => (connection, true),
            None => (connect(&origin).await?, false),
        };
        match connection.sender.try_send_request(request).await {
            Ok(response) => return Ok(received(&origin, connection, response)),
            Err(mut failed) => match failed.take_message() {
                // The server had closed the connection. Nothing was sent, so this is still the one request.
                Some(unsent) if is_reused => request = unsent,
                Some(_) => return Err(TransportError::connect(failed.into_error())),
                None => return Err(failure::http1(failed.into_error(), !is_reused)),
            },
        }
    }
}

async fn connect(origin: &Arc<Origin>) -> Result<Connection, TransportError> {
    let stream = origin
        .connector
        .connect(origin.is_tls, &origin.authority, Alpn::Http1)
        .await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(TransportError::connect)?;
    let idle_timeout = origin.connector.settings.idle_timeout;
    let runtime = runtime::current()?;
    tokio::spawn(drive(connection, Arc::downgrade(origin), idle_timeout));
    Ok(Connection { sender, runtime })
}

/// Drives a connection to its end, and closes the connections of its pool that have been idle for long.
async fn drive(
    connection: http1::Connection<TokioIo<Stream>, Body>,
    origin: Weak<Origin>,
    idle_timeout: Duration,
) {
    let mut connection = pin!(connection);
    loop {
        let sleep = pin!(tokio::time::sleep(idle_timeout.max(LEAST_IDLE_TIMEOUT)));
        match select(&mut connection, sleep).await {
            // An error is that of the exchange, too.
            Either::Left(_) => return,
            Either::Right(_) => {
                if let Some(origin) = origin.upgrade() {
                    origin.http1.close_idle(idle_timeout);
                }
            }
        }
    }
}

fn received(
    origin: &Arc<Origin>,
    connection: Connection,
    response: etcd_transport::http::Response<Incoming>,
) -> Response {
    response.map(|body| {
        if body.is_end_stream() {
            origin.http1.put(connection);
            Body::empty()
        } else {
            Body::stream(ResponseBody {
                body,
                connection: Some((connection, Arc::clone(origin))),
            })
        }
    })
}

impl Pool {
    /// Returns a connection of this runtime that is ready for a request.
    async fn take(&self, runtime: Id, idle_timeout: Duration) -> Option<Connection> {
        while let Some(mut connection) = self.pop(runtime, idle_timeout) {
            if connection.sender.is_ready() {
                return Some(connection);
            }
            // The task of the connection has yet to see that the exchange before is over.
            match tokio::time::timeout(READY_WITHIN, connection.sender.ready()).await {
                Ok(Ok(())) => return Some(connection),
                Ok(Err(_)) => {}
                Err(_) => {
                    self.put(connection);
                    return None;
                }
            }
        }
        None
    }

    /// Takes the connection of this runtime that was used last, a ready one if there is one, and closes those that have been idle for
    /// long.
    ///
    /// The first ones are left to become idle for long.
    fn pop(&self, runtime: Id, idle_timeout: Duration) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|idle| !idle.is_over(idle_timeout));
        let is_here = |idle: &Idle| idle.connection.runtime == runtime;
        let ready = idle
            .iter()
            .rposition(|idle| is_here(idle) && idle.connection.sender.is_ready());
        let index = ready.or_else(|| idle.iter().rposition(is_here))?;
        Some(idle.remove(index).connection)
    }

    fn put(&self, connection: Connection) {
        if !connection.sender.is_closed() {
            let since = Instant::now();
            self.lock().push(Idle { connection, since });
        }
    }

    fn close_idle(&self, idle_timeout: Duration) {
        self.lock().retain(|idle| !idle.is_over(idle_timeout));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn is_over(&self, idle_timeout: Duration) -> bool {
        self.connection.sender.is_closed() || self.since.elapsed() >= idle_timeout
    }
}

/// A body that returns its connection to the pool when it has ended. Dropped before, it closes the connection.
struct ResponseBody {
    body: Incoming,
    connection: Option<(Connection, Arc<Origin>)>,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.connection = None,
            None => {
                if let Some((connection, origin)) = self.connection.take() {
                    origin.http1.put(connection);
                }
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(TransportError::interrupted)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a connection whose exchange is over may take to be ready before another is made.
const READY_WITHIN: Duration = Duration::from_millis(1);

/// Below it, looking for idle connections would cost more than keeping them.
const LEAST_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
