use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{Body, TransportError};
use http_body::Frame;

use crate::{
    core::{Core, Shared},
    store::WatcherId,
    wire::json,
};

/// The answer to a watch: one line for each event, as they come.
pub(crate) struct WatchBody {
    shared: Arc<Shared>,
    id: WatcherId,
    endpoint: usize,
    lives: (u64, u64),
    stream: bool,
    done: bool,
}

impl WatchBody {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lives: (u64, u64),
        id: WatcherId,
        endpoint: usize,
        stream: bool,
    ) -> Self {
        Self {
            shared,
            id,
            endpoint,
            lives,
            stream,
            done: false,
        }
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        this.shared.clone().with(|core| {
            if core.lives(this.endpoint) != this.lives {
                this.done = true;
                core.time.stir();
                return Poll::Ready(Some(Err(TransportError::interrupted("the server stopped"))));
            }
            // Twice, should the clock jump in between and bring an event.
            for _ in 0..2 {
                let profile = core.server.profile;
                let hub = &mut core.server.local(this.endpoint).hub;
                if let Some(event) = hub.take(this.id) {
                    let mut line = Vec::new();
                    json::push_event(&mut line, &event, false, profile);
                    this.done = !this.stream;
                    core.time.stir();
                    return Poll::Ready(Some(Ok(Frame::data(line.into()))));
                }
                let old = hub.wake_with(this.id, cx.waker());
                core.spent.extend(old);
                if !core.idle(None, cx.waker()) {
                    break;
                }
            }
            Poll::Pending
        })
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.watches.remove(&self.id);
            let old = core.server.local(self.endpoint).hub.close(self.id);
            core.spent.extend(old);
            core.time.stir();
            core.pass_the_baton();
        });
    }
}

impl Core {
    /// Which life of the cluster and of this endpoint it is.
    pub(crate) fn lives(&self, endpoint: usize) -> (u64, u64) {
        let own = self.endpoints.get(endpoint);
        (self.life, own.map_or(0, |endpoint| endpoint.life))
    }
}

/// How a body ends before its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After so many bytes.
    Bytes(usize),
    /// After so many events.
    Frames(usize),
}

/// What follows the cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Error,
    Silence,
}

/// A body that does not get to its end.
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

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
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
