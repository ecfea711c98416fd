use std::{
    pin::Pin,
    task::{Context, Poll},
};

use etcd_transport::{Body, TransportError, bytes::Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use sync_wrapper::SyncWrapper;

/// The body of a request: whole bytes as they are, a stream frame by frame; `None` where there is none.
pub(crate) fn outgoing(body: Body) -> Option<reqwest::Body> {
    if body.is_end_stream() {
        return None;
    }
    Some(match body.try_into_bytes() {
        Ok(bytes) => bytes.into(),
        Err(stream) => reqwest::Body::wrap(Outgoing(SyncWrapper::new(stream))),
    })
}

/// The body of a response: its frames, trailers included, as reqwest hands them out.
pub(crate) fn incoming(body: reqwest::Body) -> Body {
    if body.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(Incoming(body))
    }
}

/// reqwest's body must be `Sync`, ours need not be; nobody has a shared reference to this one.
struct Outgoing(SyncWrapper<Body>);

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Pin::new(self.0.get_mut()).poll_frame(cx)
    }
}

struct Incoming(reqwest::Body);

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        frame.map_err(|error| TransportError::interrupted(error.without_url()))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
