use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{PolledFrame, TransportError};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;

/// A body with the trailers of a call behind it.
pub(super) struct Trailed {
    body: Option<Bytes>,
    has_ended: bool,
}

impl Trailed {
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self {
            body: Some(body.into()),
            has_ended: false,
        }
    }
}

impl http_body::Body for Trailed {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> PolledFrame {
        let frame = if let Some(body) = self.body.take() {
            Frame::data(body)
        } else if self.has_ended {
            return Poll::Ready(None);
        } else {
            self.has_ended = true;
            let kind = HeaderValue::from_static("application/grpc");
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-trailer-content-type", kind);
            Frame::trailers(trailers)
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

/// Messages that are all known already, each a frame of its own.
pub(super) struct Lines(pub(super) VecDeque<Vec<u8>>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> PolledFrame {
        let line = self.0.pop_front();
        Poll::Ready(line.map(|line| Ok(Frame::data(line.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}
