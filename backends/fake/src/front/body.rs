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
        let Ok(mut data) = frame.into_data() else {
            return Poll::Ready(None);
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
