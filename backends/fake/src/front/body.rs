use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, TransportError};
use http_body::Frame;

use crate::cluster::fault::{Cut, Ending};

/// A body that ends before its time.
pub(crate) struct CutBody {
    inner: Body,
    left: Cut,
    ending: Ending,
}

impl CutBody {
    pub(crate) fn new(inner: Body, left: Cut, ending: Ending) -> Self {
        Self {
            inner,
            left,
            ending,
        }
    }
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        if matches!(self.left, Cut::Bytes(0) | Cut::Frames(0)) {
            return match self.ending {
                Ending::Error => {
                    let broken = TransportError::interrupted("the connection broke");
                    Poll::Ready(Some(Err(broken)))
                }
                Ending::Silence => Poll::Pending,
            };
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        match &mut self.left {
            Cut::Bytes(left) => {
                data.truncate(*left);
                *left -= data.len();
            }
            Cut::Frames(left) => *left -= 1,
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// A body whose first frame was read already.
pub(crate) struct BegunBody {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl BegunBody {
    pub(crate) fn new(first: Frame<Bytes>, rest: Body) -> Self {
        let first = Some(first);
        Self { first, rest }
    }
}

impl http_body::Body for BegunBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
