use std::{pin::Pin, task::Context};

use bytes::Bytes;
use etcd_transport::{
    Body, PolledFrame, TransportError,
    http_body::{self, Frame},
};
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

/// Sends the rest of a request's body while the request is answered. Dropping it ends the body.
///
/// It buffers without a limit, because a server that does not read must not block the reader of its messages. What it
/// buffers are the caller's own requests.
pub(crate) struct BodySender(UnboundedSender<Bytes>);

impl BodySender {
    /// A body that begins with these bytes, and the sender of the rest.
    pub(crate) fn new(first: Bytes) -> (Self, Body) {
        let (sender, rest) = mpsc::unbounded();
        let sender = Self(sender);
        sender.send(first);
        (sender, Body::stream(SentBody(rest)))
    }

    /// Sends these bytes as soon as the server takes them.
    pub(crate) fn send(&self, bytes: impl Into<Bytes>) {
        // An error means that the transport has dropped the exchange. The response shows it, too.
        let _ = self.0.unbounded_send(bytes.into());
    }
}

struct SentBody(UnboundedReceiver<Bytes>);

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let next = self.0.poll_next_unpin(cx);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on};

    use super::*;

    #[test]
    fn a_body_is_what_its_sender_was_given_and_ends_with_it() {
        let (sender, mut body) = BodySender::new(Bytes::from_static(b"first"));
        sender.send("second");
        let mut frame = || body.frame().now_or_never();
        for expected in ["first", "second"] {
            let frame = frame().unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), expected);
        }
        assert!(frame().is_none(), "it goes on");
        drop(sender);
        assert!(block_on(body.frame()).is_none());
    }
}
