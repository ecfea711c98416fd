use std::{fmt, sync::Arc};

use crate::state::EtcdShared;

/// An etcd in memory. Clones are the same etcd.
///
/// As a [`Transport`](etcd_transport::Transport) it responds to requests of the v2 API, and to the v3 API as JSON, as a real server
/// does, byte for byte. A request for HTTP/2 is one of gRPC. Its
/// [`sleep`](etcd_transport::Transport::sleep) and [`now`](etcd_transport::Transport::now) follow its own [`Clock`](crate::Clock).
/// When something has slept for 10 s of real time on a fake whose clock nobody moves, the fake says so on standard error.
///
/// A fake with one endpoint serves requests for any host. One with several serves its endpoints' URLs and refuses all
/// others.
#[derive(Clone)]
pub struct FakeEtcd {
    pub(crate) shared: Arc<EtcdShared>,
}

impl fmt::Debug for FakeEtcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.with(|core| {
            f.debug_struct("FakeEtcd")
                .field("profile", &core.cluster.profile)
                .field("index", &core.cluster.state.v2.index())
                .field("endpoints", &core.endpoints.len())
                .finish_non_exhaustive()
        })
    }
}
