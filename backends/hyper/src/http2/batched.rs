//! One system call for what the connection writes and what follows from what it has read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of which the first write after a read waits for a turn of the scheduler: the tasks that the read has woken run before it,
/// and their next requests are written with it.
///
/// A gRPC server measures the connection by a PING beside nearly every request, which arrives with the response. Without the wait, its
/// acknowledgement takes a system call, and a packet, of its own: as many as the requests. A runtime that is no longer driven after a
/// response sends the acknowledgement when it is driven again.
pub(super) struct Batched<S> {
    stream: S,
    state: State,
    /// Set whenever something was read.
    received: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was read: writes do not wait.
    Idle,
    /// Something was read, and perhaps there is more.
    Reading,
    /// All there was has been read just now. If nothing is written, and nothing more is read the next time, that was not now.
    Read,
    /// A write has waited for its turn.
    Waited,
}

impl<S> Batched<S> {
    pub(super) fn new(stream: S, received: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            state: State::Idle,
            received,
        }
    }

    /// Returns whether the write waits. The task is woken, so that its turn comes.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let waits = matches!(self.state, State::Reading | State::Read);
        if waits {
            self.state = State::Waited;
            cx.waker().wake_by_ref();
        }
        waits
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Batched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.received.store(true, Relaxed);
        }
        self.state = match (self.state, &polled) {
            // A write that has waited does not wait again, whatever arrives.
            (State::Waited, _) => State::Waited,
            (_, Poll::Ready(_)) => State::Reading,
            (State::Reading, Poll::Pending) => State::Read,
            (State::Read | State::Idle, Poll::Pending) => State::Idle,
        };
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Batched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(cx) {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        self.state = State::Idle;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.waits(cx) {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, data));
        self.state = State::Idle;
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Wake, Waker},
    };

    use futures::FutureExt;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    #[test]
    fn a_write_after_a_read_waits_for_one_turn() {
        let mut connection = TestConnection::new();
        connection.receive();
        connection.read();
        assert!(!connection.writes());
        assert_eq!(connection.woken(), 1);

        connection.read();
        assert!(connection.writes());
        assert!(connection.writes());
        assert_eq!(connection.woken(), 1);
    }

    #[test]
    fn a_write_without_a_read_does_not_wait() {
        let mut connection = TestConnection::new();
        assert!(connection.writes());
        connection.receive();
        // What this turn has read called for no write, and the next turn reads nothing.
        connection.read();
        connection.read();
        assert!(connection.writes());
        assert_eq!(connection.woken(), 0);
    }

    #[test]
    fn what_arrives_meanwhile_does_not_make_a_write_wait_again() {
        let mut connection = TestConnection::new();
        for turn in 0..10 {
            connection.receive();
            connection.read();
            assert_eq!(connection.writes(), turn % 2 == 1, "{turn}");
        }
    }

    /// A connection that is polled as h2 does it: each turn reads all there is, and then writes.
    struct TestConnection {
        batched: Batched<DuplexStream>,
        peer: DuplexStream,
        wakes: Arc<Wakes>,
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl TestConnection {
        fn new() -> Self {
            let (stream, peer) = duplex(1024);
            Self {
                batched: Batched::new(stream, Arc::default()),
                peer,
                wakes: Arc::default(),
            }
        }

        /// The peer sends a byte.
        fn receive(&mut self) {
            let sent = self.peer.write_all(&[0]).now_or_never();
            assert!(matches!(sent, Some(Ok(()))));
        }

        fn read(&mut self) {
            let mut storage = [0; 16];
            let mut buffer = ReadBuf::new(&mut storage);
            // The stream's own wakes are not counted.
            let mut cx = Context::from_waker(Waker::noop());
            while Pin::new(&mut self.batched)
                .poll_read(&mut cx, &mut buffer)
                .is_ready()
            {}
        }

        /// Returns whether a write is made.
        fn writes(&mut self) -> bool {
            let waker = Waker::from(Arc::clone(&self.wakes));
            let mut cx = Context::from_waker(&waker);
            let written = Pin::new(&mut self.batched).poll_write(&mut cx, &[0]);
            written.is_ready()
        }

        fn woken(&self) -> usize {
            self.wakes.0.load(Ordering::Relaxed)
        }
    }
}
