use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use etcd_transport::{Body, PolledFrame, TransportError, bytes::Bytes};
use http_body::{Body as HttpBody, SizeHint};
use sync_wrapper::SyncWrapper;

use crate::pool::Lease;

/// Converts the body of a request; `None` if it is empty.
pub(crate) fn outgoing(body: Body) -> Option<reqwest::Body> {
    if body.is_end_stream() {
        return None;
    }
    Some(match body.try_into_bytes() {
        Ok(bytes) => bytes.into(),
        Err(stream) => reqwest::Body::wrap(Outgoing(SyncWrapper::new(stream))),
    })
}

/// Converts the body of a response: its frames, trailers included, as they come. It keeps `lease` until it ends.
pub(crate) fn incoming(body: reqwest::Body, lease: Option<Lease>) -> Body {
    if body.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(Incoming { body, lease })
    }
}

/// Makes a body `Sync`, as reqwest's must be: there is no shared reference to it.
struct Outgoing(SyncWrapper<Body>);

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        Pin::new(self.0.get_mut()).poll_frame(cx)
    }
}

struct Incoming {
    body: reqwest::Body,
    lease: Option<Lease>,
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.lease = None;
        }
        let frame = frame
            .map(|frame| frame.map_err(|error| TransportError::interrupted(error.without_url())));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
