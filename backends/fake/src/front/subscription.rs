use std::{
    sync::Arc,
    task::{Context, Poll},
};

use etcd_transport::TransportError;

use crate::{
    cluster::{core::ServerRun, exchanges::ExchangeId},
    state::{EtcdCore, EtcdShared},
    v3::{
        api::{Call, fill_ids},
        message::watch::{WatchRequest, WatchResponse},
    },
};

/// An open exchange with a stream of watches of its own. Dropping it ends both.
pub(super) struct Subscription {
    shared: Arc<EtcdShared>,
    id: ExchangeId,
    endpoint: usize,
    server_run: ServerRun,
}

impl Subscription {
    pub(super) fn open(
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        id: ExchangeId,
        endpoint: usize,
    ) -> Self {
        core.exchanges.open(id, endpoint);
        let now = core.cluster.now;
        core.cluster.local(endpoint).v3.watches.open(id, now);
        Self {
            shared: Arc::clone(shared),
            id,
            endpoint,
            server_run: core.server_run(endpoint),
        }
    }

    pub(super) fn shared(&self) -> &Arc<EtcdShared> {
        &self.shared
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }

    pub(super) fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// The server that serves it, as [`poll_exchange`](crate::cluster::core::Core::poll_exchange) takes it.
    pub(super) fn server(&self) -> (usize, ServerRun) {
        (self.endpoint, self.server_run)
    }

    /// Polls for what `take` finds, at every event of the exchange.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnMut(&mut EtcdCore) -> Option<T>,
    ) -> Poll<Result<T, TransportError>> {
        self.shared
            .with(|core| core.poll_exchange(self.id, self.server(), cx, take))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.with(|core| {
            core.close_exchange(self.id);
            core.cluster.local(self.endpoint).v3.watches.close(self.id);
            core.time.note_activity();
            core.wake_next_candidate();
        });
    }
}

/// The next message of a stream of watches, complete.
pub(super) fn take_message(
    core: &mut EtcdCore,
    endpoint: usize,
    id: ExchangeId,
) -> Option<WatchResponse> {
    let watches = &mut core.cluster.local(endpoint).v3.watches;
    let mut message = watches.take(id)?;
    let header = message.header.get_or_insert_default();
    fill_ids(&core.cluster, endpoint, header);
    Some(message)
}

/// Executes a client's request on a stream of watches.
pub(super) fn request(call: &mut Call<'_>, id: ExchangeId, request: &WatchRequest) {
    let (at, endpoint) = (call.cluster.moment(), call.endpoint);
    if let Some(create) = &request.create_request {
        let permitted = call.caller().and_then(|caller| {
            let auth = &call.cluster.local(endpoint).v3.auth;
            auth.check_watch(&caller, &create.key, &create.range_end)
        });
        if let Err(error) = permitted {
            let store = &mut call.cluster.local(endpoint).v3;
            return store.watches.refuse(id, &error.reason(), &store.mvcc);
        }
    }
    let store = &mut call.cluster.local(endpoint).v3;
    (store.watches).request(id, request, &store.mvcc, at);
}
