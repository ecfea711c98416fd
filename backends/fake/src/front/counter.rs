//! The counts of streams in etcd's metrics.

use std::sync::Arc;

use crate::{
    cluster::calls::CallName,
    state::{EtcdCore, EtcdShared},
};

pub(super) const LOCK: CallName = name("unary", "v3lockpb.Lock", "Lock");
pub(super) const CAMPAIGN: CallName = name("unary", "v3electionpb.Election", "Campaign");
pub(super) const HEALTH: CallName = name("unary", "grpc.health.v1.Health", "Check");
pub(super) const SNAPSHOT: CallName = name("server_stream", "etcdserverpb.Maintenance", "Snapshot");
pub(super) const KEEP_ALIVE: StreamName = StreamName {
    name: name("bidi_stream", "etcdserverpb.Lease", "LeaseKeepAlive"),
    // Unavailable.
    left: 14,
};
pub(super) const WATCH: StreamName = StreamName {
    name: name("bidi_stream", "etcdserverpb.Watch", "Watch"),
    // Canceled.
    left: 1,
};
pub(super) const OBSERVE: StreamName = StreamName {
    name: name("server_stream", "v3electionpb.Election", "Observe"),
    // Unknown.
    left: 2,
};
pub(super) const HEALTH_WATCH: StreamName = StreamName {
    name: name("server_stream", "grpc.health.v1.Health", "Watch"),
    // Canceled.
    left: 1,
};

/// A stream, as etcd's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamName {
    pub(super) name: CallName,
    /// The code with which etcd's call ends when its client has gone.
    left: u8,
}

/// Counts a stream that is open when this is dropped. That takes the lock.
pub(super) struct StreamCounter {
    shared: Arc<EtcdShared>,
    endpoint: usize,
    name: CallName,
    code: u8,
}

impl StreamCounter {
    pub(super) fn new(shared: &Arc<EtcdShared>, endpoint: usize, stream: StreamName) -> Self {
        let shared = Arc::clone(shared);
        Self {
            shared,
            endpoint,
            name: stream.name,
            code: stream.left,
        }
    }

    pub(super) fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// The stream ends with this code, and not because its client has gone.
    pub(super) fn end(&mut self, code: u8) {
        self.code = code;
    }
}

impl Drop for StreamCounter {
    fn drop(&mut self) {
        let (endpoint, name, code) = (self.endpoint, self.name, self.code);
        self.shared
            .with(|core: &mut EtcdCore| core.calls.count(endpoint, name, code));
    }
}

const fn name(kind: &'static str, service: &'static str, method: &'static str) -> CallName {
    CallName {
        kind,
        service,
        method,
    }
}
