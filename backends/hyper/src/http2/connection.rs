use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use etcd_transport::{TransportError, bytes::Bytes};
use h2::client::{self, SendRequest};
use tokio::{
    runtime::Id,
    sync::oneshot,
    time::{Instant, timeout_at},
};

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
    /// The runtime that drives it.
    pub(super) runtime: Id,
    state: Arc<State>,
}

/// What the connection's task and its streams share.
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
    made: Instant,
    /// When a stream was last over, in milliseconds since the connection was made.
    last_used: AtomicU64,
    idle_timeout: Duration,
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
pub(super) async fn connect(
    origin: &Origin,
    runtime: Id,
) -> Result<Arc<Connection>, TransportError> {
    let settings = &origin.connector.settings;
    if settings.is_http1_only {
        return Err(TransportError::rejected("configured for HTTP/1.1 only"));
    }
    let deadline = Instant::now() + settings.connect_timeout;
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
    let state = Arc::new(State::new(settings.idle_timeout));
    let (announce, announced) = oneshot::channel();
    tokio::spawn(drive(
        connection,
        Arc::clone(&state),
        received,
        settings.clone(),
        announce,
    ));
    match timeout_at(deadline, announced).await {
        Ok(Ok(Ok(()))) => Ok(Arc::new(Connection {
            sender,
            runtime,
            state,
        })),
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
    let mut monitor = Monitor::new(connection.ping_pong(), received, &state, &settings);
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
        if before == 0 && state.is_overdue() {
            // Its runtime has not been driven since, or not yet: a proxy may close it at this moment.
            connection.retire();
        }
        let has_room = before < state.max_streams.load(Ordering::Relaxed);
        if has_room && !connection.is_closed() {
            state.opened.fetch_add(1, Ordering::Relaxed);
            Some(StreamLease(Arc::clone(connection)))
        } else {
            state.open.fetch_sub(1, Ordering::SeqCst);
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
    fn new(idle_timeout: Duration) -> Self {
        Self {
            open: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            max_streams: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            made: Instant::now(),
            last_used: AtomicU64::new(0),
            idle_timeout: idle_timeout.max(LEAST_IDLE_TIMEOUT),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// When the connection is to be closed if no stream is opened until then.
    pub(super) fn idle_deadline(&self) -> Instant {
        let last_used = if self.open() == 0 {
            self.made + Duration::from_millis(self.last_used.load(Ordering::Relaxed))
        } else {
            Instant::now()
        };
        last_used + self.idle_timeout
    }

    fn is_overdue(&self) -> bool {
        let last_used = Duration::from_millis(self.last_used.load(Ordering::Relaxed));
        self.made.elapsed() >= last_used + self.idle_timeout
    }

    fn mark_used(&self) {
        let now = self.made.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.last_used.store(now, Ordering::Relaxed);
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
        let state = &self.0.state;
        // Before the stream is counted as closed, so that who sees that sees the time as well.
        state.mark_used();
        state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// With less, a connection could be over before the requests that wait for it can use it.
const LEAST_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many late frames, of requests that were given up, a connection bears in its life. h2's own limit is 1,024.
const MAX_LATE_FRAMES: usize = 1 << 20;

/// How much a stream may send before it is read.
const STREAM_WINDOW: u32 = 2 << 20;

/// The largest window that HTTP/2 allows. The windows of the streams limit how much unread data a connection holds: streams
/// that are not read at the moment, such as watches, are not to stop the others.
const MAX_WINDOW: u32 = (1 << 31) - 1;
