//! The endpoints: each passes requests on to the same etcd, and can be down in several ways, or slow.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{
    future::{Either, select},
    lock::Mutex as AsyncMutex,
};
use h2::{
    Reason, RecvStream, SendStream,
    client::SendRequest,
    server::{self, SendResponse},
};
use http::{HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    /// Its process is gone: connections are refused.
    Refusing,
    /// What is before it accepts connections, and closes them.
    Closing,
    /// It is halted: it accepts connections, and nothing follows.
    Silent,
    /// It serves one request in this time, and the others wait.
    Slow(Duration),
}

/// An endpoint.
pub(super) struct Front {
    pub(super) url: String,
    mode: watch::Sender<Mode>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    connections: AtomicU64,
    /// When the slow endpoint has served what waits.
    free_at: Mutex<Option<Instant>>,
}

impl Front {
    /// An endpoint before the etcd at this address.
    pub(super) async fn start(etcd: &str) -> Self {
        let upstream = Upstream::new(etcd);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (mode, modes) = watch::channel(Mode::Up);
        let shared = Arc::<Shared>::default();
        let front = Server {
            upstream,
            modes,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(front.run(listener, address));
        Self {
            url: format!("http://{address}"),
            mode,
            shared,
        }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How many requests have arrived, and how many connections.
    pub(super) fn arrived(&self) -> [u64; 2] {
        let Shared {
            requests,
            connections,
            ..
        } = &*self.shared;
        [requests.load(Relaxed), connections.load(Relaxed)]
    }
}

/// The connection to etcd: another one when it has ended.
#[derive(Clone)]
struct Upstream {
    address: Arc<str>,
    open: Arc<AsyncMutex<Option<SendRequest<Bytes>>>>,
}

impl Upstream {
    fn new(etcd: &str) -> Self {
        let address = etcd.strip_prefix("http://").expect("a URL without TLS");
        Self {
            address: address.into(),
            open: Arc::default(),
        }
    }

    async fn ready(&self) -> SendRequest<Bytes> {
        let mut open = self.open.lock().await;
        if let Some(sender) = &*open
            && let Ok(sender) = sender.clone().ready().await
        {
            return sender;
        }
        let stream = TcpStream::connect(&*self.address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option of the socket");
        let mut builder = h2::client::Builder::new();
        // Of the requests that clients give up, responses arrive that are late. h2 counts them against two limits, and ends the
        // connection at either: of its own resets, and of small frames that wait, which follows the connection's window.
        builder
            .max_local_error_reset_streams(None)
            .initial_connection_window_size(MAX_WINDOW);
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("the connection to etcd has ended: {error}");
            }
        });
        open.insert(sender).clone()
    }
}

#[derive(Clone)]
struct Server {
    upstream: Upstream,
    modes: watch::Receiver<Mode>,
    shared: Arc<Shared>,
}

impl Server {
    fn mode(&self) -> Mode {
        *self.modes.borrow()
    }

    /// Resolves when the mode is another one.
    async fn changed(&mut self) {
        // The last sender is dropped when the run is over.
        if self.modes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn run(mut self, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        loop {
            if self.mode() == Mode::Refusing {
                listener = None;
                self.changed().await;
                continue;
            }
            let bound = match listener.take() {
                Some(bound) => bound,
                None => TcpListener::bind(address).await.expect("the same port"),
            };
            let accepted = match select(Box::pin(bound.accept()), Box::pin(self.changed())).await {
                Either::Left((accepted, _)) => Some(accepted),
                Either::Right(_) => None,
            };
            listener = Some(bound);
            if let Some(accepted) = accepted {
                self.shared.connections.fetch_add(1, Relaxed);
                tokio::spawn(self.clone().serve(accepted));
            }
        }
    }

    async fn serve(mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let Ok((stream, _)) = accepted else { return };
        if stream.set_nodelay(true).is_err() || !self.may_go_on().await {
            return;
        }
        let mut builder = server::Builder::new();
        // As Go's: a client may give up as many requests as it likes. See `Upstream::ready`.
        builder
            .max_pending_accept_reset_streams(10_000)
            .max_local_error_reset_streams(None)
            .initial_connection_window_size(MAX_WINDOW);
        let Ok(mut connection) = builder.handshake(stream).await else {
            return;
        };
        loop {
            let next = match select(Box::pin(connection.accept()), Box::pin(self.changed())).await {
                Either::Left((next, _)) => Some(next),
                Either::Right(_) => None,
            };
            match next {
                Some(Some(Ok((request, respond)))) => {
                    self.shared.requests.fetch_add(1, Relaxed);
                    tokio::spawn(self.clone().pass_on(request, respond));
                }
                Some(Some(Err(error))) if is_excess(&error) => {
                    eprintln!("the connection of a client has ended: {error}");
                    return;
                }
                Some(_) => return,
                None if self.may_go_on().await => {}
                None => return,
            }
        }
    }

    /// Waits while the endpoint is halted. Returns whether the connection stays open.
    async fn may_go_on(&mut self) -> bool {
        while self.mode() == Mode::Silent {
            self.changed().await;
        }
        matches!(self.mode(), Mode::Up | Mode::Slow(_))
    }

    async fn pass_on(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        if let Mode::Slow(each) = self.mode() {
            let at = self.queue(each);
            if at > Instant::now() + LONGEST_QUEUE {
                let _ = respond.send_response(too_many_requests(), true);
                return;
            }
            // It does the work, too, of which nobody waits for the result any more.
            sleep_until(at).await;
        }
        let mut upstream = self.upstream.ready().await;
        let (head, body) = request.into_parts();
        let Ok((response, requests)) = upstream.send_request(Request::from_parts(head, ()), false)
        else {
            return;
        };
        tokio::spawn(copy(body, requests));
        let response = async {
            let (head, body) = response.await?.into_parts();
            let is_end = body.is_end_stream();
            let responses = respond.send_response(Response::from_parts(head, ()), is_end)?;
            copy(body, responses).await;
            Ok::<_, h2::Error>(())
        };
        // A failure of either side ends both.
        let _ = response.await;
    }

    /// Returns when it is the turn of a request.
    fn queue(&self, each: Duration) -> Instant {
        let mut free_at = self
            .shared
            .free_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = free_at.map_or(now, |at| at.max(now));
        if at <= now + LONGEST_QUEUE {
            *free_at = Some(at + each);
        }
        at + each
    }
}

/// Whether a connection has ended because of what was sent, and not with an endpoint or a process.
fn is_excess(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() != Some(Reason::NO_ERROR)
}

/// The largest window that HTTP/2 allows.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// As long as etcd answers: then it refuses more.
const LONGEST_QUEUE: Duration = Duration::from_secs(4);

/// What etcd says when too many requests wait for it.
fn too_many_requests() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("8"));
    let message = HeaderValue::from_static("etcdserver: too many requests");
    headers.insert("grpc-message", message);
    response
}

/// Passes a body on to its end, until the receiver gives up.
async fn copy(mut from: RecvStream, mut to: SendStream<Bytes>) {
    loop {
        let data = match select(Box::pin(from.data()), poll_fn(|cx| to.poll_reset(cx))).await {
            Either::Left((data, _)) => data,
            Either::Right(_) => return,
        };
        match data {
            Some(Ok(data)) => {
                let _ = from.flow_control().release_capacity(data.len());
                if to.send_data(data, false).is_err() {
                    return;
                }
            }
            Some(Err(error)) => {
                to.send_reset(error.reason().unwrap_or(Reason::CANCEL));
                return;
            }
            None => break,
        }
    }
    // The receiver may be gone.
    let _ = match from.trailers().await {
        Ok(Some(trailers)) => to.send_trailers(trailers),
        Ok(None) => to.send_data(Bytes::new(), true),
        Err(_) => {
            to.send_reset(Reason::CANCEL);
            Ok(())
        }
    };
}

/// Up and down in turn, until the end of the outage.
pub(super) async fn flap(front: &Front, interval: Duration) {
    loop {
        front.set(Mode::Closing);
        sleep(interval).await;
        front.set(Mode::Up);
        sleep(interval).await;
    }
}
