use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use etcd_transport::{TransportError, bytes::Bytes};
use h2::client::{self, SendRequest};
use tokio::{sync::oneshot, time::timeout};

use super::{
    batched::Batched,
    monitor::{Monitor, Verdict},
};
use crate::{
    connect::{Alpn, Stream},
    failure,
    origin::Origin,
    settings::Settings,
};

/// A connection, driven by a task of its own.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Bytes>,
    state: Arc<State>,
}

/// What the connection's task and its streams share.
#[derive(Default)]
pub(super) struct State {
    /// Streams that are open, or about to be opened.
    open: AtomicUsize,
    /// How many streams have been opened in all.
    opened: AtomicUsize,
    /// The server's limit of concurrent streams.
    max_streams: AtomicUsize,
    /// No further stream is opened.
    is_retired: AtomicBool,
    /// It is being decided whether the connection is still needed.
    is_closing: AtomicBool,
}

/// Closes a connection to further streams when its task ends, with its runtime too.
struct Driven(Arc<State>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.is_retired.store(true, Ordering::SeqCst);
    }
}

/// The place of a stream on a connection. Dropping it makes room for another.
pub(crate) struct StreamLease(Arc<Connection>);

/// Makes a connection, and waits for the server's settings: only they show that the server speaks HTTP/2, and how many streams
/// it allows. Until then nothing of a request is sent, so a failure is never in doubt.
pub(super) async fn connect(origin: &Origin) -> Result<Arc<Connection>, TransportError> {
    let settings = &origin.connector.settings;
    if settings.is_http1_only {
        return Err(TransportError::rejected("configured for HTTP/1.1 only"));
    }
    let stream = origin
        .connector
        .connect(origin.is_tls, &origin.authority, Alpn::Http2)
        .await?;
    let received = Arc::new(AtomicBool::new(false));
    let handshake = client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(MAX_WINDOW)
        .initial_max_send_streams(0)
        // Responses to requests that were given up may arrive late, and many at once: h2 would end the connection, with all others.
        .max_local_error_reset_streams(Some(MAX_LATE_FRAMES))
        .handshake(Batched::new(stream, Arc::clone(&received)))
        .await;
    let (sender, connection) = handshake.map_err(|error| failure::handshake(Some(error)))?;
    let state = Arc::new(State::default());
    let (announce, announced) = oneshot::channel();
    tokio::spawn(drive(
        connection,
        Arc::clone(&state),
        received,
        settings.clone(),
        announce,
    ));
    match timeout(settings.connect_timeout, announced).await {
        Ok(Ok(Ok(()))) => Ok(Arc::new(Connection { sender, state })),
        Ok(Ok(Err(error))) => Err(failure::handshake(error)),
        Ok(Err(_)) => Err(failure::handshake(None)),
        Err(_) => Err(TransportError::unprocessed(format!(
            "the server has not sent its SETTINGS within {:?}",
            settings.connect_timeout
        ))),
    }
}

/// `Ok` when the server's settings have arrived, else why the connection ended before.
type Announced = Result<(), Option<h2::Error>>;

/// Drives a connection to its end.
async fn drive(
    mut connection: client::Connection<Batched<Stream>, Bytes>,
    state: Arc<State>,
    received: Arc<AtomicBool>,
    settings: Settings,
    announce: oneshot::Sender<Announced>,
) {
    let driven = Driven(Arc::clone(&state));
    let mut announce = Some(announce);
    let mut monitor = Monitor::new(connection.ping_pong(), received, &settings);
    let ended = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        let max_streams = connection.max_concurrent_send_streams();
        state.max_streams.store(max_streams, Ordering::Relaxed);
        if max_streams > 0
            && let Some(announce) = announce.take()
        {
            // An error means that nobody waits for the connection any more.
            let _ = announce.send(Ok(()));
        }
        match polled {
            Poll::Ready(ended) => return Poll::Ready(ended.err()),
            Poll::Pending => {}
        }
        match monitor.poll(cx, &state) {
            Verdict::Healthy => Poll::Pending,
            Verdict::Over => Poll::Ready(None),
        }
    })
    .await;
    drop(driven);
    if let Some(announce) = announce {
        let _ = announce.send(Err(ended));
    }
    // Streams that are still open end in an error now.
    drop(connection);
}

impl Connection {
    /// Takes a place for a stream, if there is room.
    pub(super) fn lease(connection: &Arc<Self>) -> Option<StreamLease> {
        let state = &connection.state;
        let before = state.open.fetch_add(1, Ordering::SeqCst);
        let lease = StreamLease(Arc::clone(connection));
        let has_room = before < state.max_streams.load(Ordering::Relaxed);
        if has_room && !connection.is_closed() {
            state.opened.fetch_add(1, Ordering::Relaxed);
            Some(lease)
        } else {
            None
        }
    }

    /// Returns whether no further stream can be opened.
    pub(super) fn is_closed(&self) -> bool {
        let state = &self.state;
        state.is_retired.load(Ordering::SeqCst) || state.is_closing.load(Ordering::SeqCst)
    }

    /// Opens no further stream. Those that are open go on.
    pub(super) fn retire(&self) {
        self.state.is_retired.store(true, Ordering::SeqCst);
    }
}

impl State {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Closes the connection to further streams, unless one is open.
    pub(super) fn close_if_unused(&self) -> bool {
        self.is_closing.store(true, Ordering::SeqCst);
        // `lease` counts the stream before it reads `is_closing`, so one of the two sees the other.
        let is_unused = self.open() == 0;
        if !is_unused {
            self.is_closing.store(false, Ordering::SeqCst);
        }
        is_unused
    }
}

impl std::ops::Deref for StreamLease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.0.state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many late frames, of requests that were given up, a connection bears in its life. h2's own limit is 1,024.
const MAX_LATE_FRAMES: usize = 1 << 20;

/// How much a stream may send before it is read.
const STREAM_WINDOW: u32 = 2 << 20;

/// The largest window that HTTP/2 allows. The windows of the streams limit how much unread data a connection holds: streams
/// that are not read at the moment, such as watches, are not to stop the others.
const MAX_WINDOW: u32 = (1 << 31) - 1;
