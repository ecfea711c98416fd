use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use etcd_transport::{PolledFrame, TransportError};
use http_body::Frame;

use super::wire::json::push_event;
use crate::{
    cluster::{core::ServerRun, exchanges::ExchangeId},
    state::{EtcdCore, EtcdShared},
};

/// The body of a watch: one line for each event.
pub(crate) struct WatchBody {
    shared: Arc<EtcdShared>,
    id: ExchangeId,
    endpoint: usize,
    server_run: ServerRun,
    is_stream: bool,
    is_done: bool,
}

impl WatchBody {
    /// Opens the exchange of a watch that the store has opened under `id`.
    pub(crate) fn open(
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        id: ExchangeId,
        endpoint: usize,
        is_stream: bool,
    ) -> Self {
        core.exchanges.open(id, endpoint);
        Self {
            shared: Arc::clone(shared),
            id,
            endpoint,
            server_run: core.server_run(endpoint),
            is_stream,
            is_done: false,
        }
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        if this.is_done {
            return Poll::Ready(None);
        }
        let shared = Arc::clone(&this.shared);
        let server = (this.endpoint, this.server_run);
        let event = shared.with(|core| {
            core.poll_exchange(this.id, server, cx, |core| {
                let profile = core.cluster.profile;
                let hub = &mut core.cluster.local(this.endpoint).v2.hub;
                hub.take(this.id).map(|event| (event, profile))
            })
        });
        let frame = std::task::ready!(event).map(|(event, profile)| {
            let mut line = Vec::new();
            push_event(&mut line, &event, false, profile);
            Frame::data(line.into())
        });
        this.is_done = frame.is_err() || !this.is_stream;
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.close_exchange(self.id);
            core.cluster.local(self.endpoint).v2.hub.close(self.id);
            core.time.note_activity();
            core.wake_next_candidate();
        });
    }
}
