use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, TransportError};
use http_body::Frame;

use crate::{
    cluster::{
        fault::{Cut, Ending},
        sleep::Sleep,
    },
    state::{EtcdShared, Stores},
};

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

/// A body whose frames are late, all but the first.
pub(crate) struct LateBody {
    inner: Body,
    shared: Arc<EtcdShared>,
    delay: u64,
    has_begun: bool,
    has_ended: bool,
    /// What has come and is not passed on yet.
    late: VecDeque<(LateFrame, Pin<Box<Sleep<Stores>>>)>,
}

type LateFrame = Option<Result<Frame<Bytes>, TransportError>>;

impl LateBody {
    pub(crate) fn new(inner: Body, shared: Arc<EtcdShared>, delay: u64) -> Self {
        Self {
            inner,
            shared,
            delay,
            has_begun: false,
            has_ended: false,
            late: VecDeque::new(),
        }
    }
}

impl http_body::Body for LateBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        while !this.has_ended
            && let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx)
        {
            this.has_ended = !matches!(frame, Some(Ok(_)));
            if !std::mem::replace(&mut this.has_begun, true) {
                return Poll::Ready(frame);
            }
            let now = this.shared.with(|core| core.time.elapsed);
            let due = now.saturating_add(this.delay);
            let sleep = Sleep::until(Arc::clone(&this.shared), due);
            this.late.push_back((frame, Box::pin(sleep)));
        }
        let Some((_, sleep)) = this.late.front_mut() else {
            return if this.has_ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        std::task::ready!(sleep.as_mut().poll(cx));
        let late = this.late.pop_front();
        Poll::Ready(late.and_then(|(frame, _)| frame))
    }
}
