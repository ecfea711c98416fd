use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::connect::Stream;

/// An encrypted stream whose writes fail with what the server has said of it.
///
/// A server that does not accept the client's certificate sends an alert and closes the connection. What the client has sent meanwhile
/// is not read, so the connection is reset, and a write may find that before the alert is read.
pub(crate) struct Encrypted {
    stream: TlsStream<Stream>,
    /// How a write has failed whose reason is being read.
    failed: Option<io::Error>,
}

impl Encrypted {
    pub(crate) fn new(stream: TlsStream<Stream>) -> Self {
        Self {
            stream,
            failed: None,
        }
    }

    fn poll_writing<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TlsStream<Stream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failed.is_none() {
            match ready!(poll(Pin::new(&mut self.stream), cx)) {
                Err(error) if is_closed(&error) => self.failed = Some(error),
                written => return Poll::Ready(written),
            }
        }
        // It does not wait for the server: what can no longer be written has an end, too. The runtime may have yet to see it.
        let read = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx)).map(drop);
        let failed = self.failed.take();
        let reason = match read {
            Err(reason) if is_of_tls(&reason) => Some(reason),
            _ => failed,
        };
        Poll::Ready(Err(
            reason.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
        ))
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn is_of_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|error| error.is::<rustls::Error>())
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream, cx| stream.poll_write(cx, data))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream, cx| stream.poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
