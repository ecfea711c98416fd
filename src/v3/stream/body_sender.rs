use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{
    Body, TransportError,
    http_body::{self, Frame},
};
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

/// What feeds the body of a request that goes on while it is answered. Dropping it ends the body.
///
/// It takes whatever it is given, at once: a server that does not read must not hold up whoever reads what it sends. What
/// waits is no more than was asked for.
pub(crate) struct BodySender(UnboundedSender<Bytes>);

impl BodySender {
    /// A body that begins with these bytes, and what feeds the rest of it.
    pub(crate) fn new(first: Bytes) -> (Self, Body) {
        let (feed, rest) = mpsc::unbounded();
        let feed = Self(feed);
        feed.send(first);
        (feed, Body::stream(Fed(rest)))
    }

    /// Sends these bytes as soon as the server takes them.
    pub(crate) fn send(&self, bytes: impl Into<Bytes>) {
        // An error means that the transport has given the exchange up: so the answer says, too.
        let _ = self.0.unbounded_send(bytes.into());
    }
}

struct Fed(UnboundedReceiver<Bytes>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let next = self.0.poll_next_unpin(cx);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on};

    use super::*;

    #[test]
    fn a_body_is_what_its_feed_was_given_and_ends_with_it() {
        let (feed, mut body) = BodySender::new(Bytes::from_static(b"first"));
        feed.send("second");
        let mut frame = || body.frame().now_or_never();
        for expected in ["first", "second"] {
            let frame = frame().unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), expected);
        }
        assert!(frame().is_none(), "it goes on");
        drop(feed);
        assert!(block_on(body.frame()).is_none());
    }
}
