//! The v2 API: its store, auth, endpoints, and what they read and write.

pub(crate) mod api;
mod auth;
mod membership;
pub(crate) mod store;
pub(crate) mod watch_body;
mod wire;

use crate::state::EtcdCluster;
use store::{error::StoreError, tree::NodeId};

/// Reads through Raft: the endpoint catches up first.
fn quorum_get(
    cluster: &mut EtcdCluster,
    endpoint: usize,
    path: &[u8],
) -> Result<NodeId, StoreError> {
    cluster.confirm_read(endpoint);
    cluster.local(endpoint).v2.get(path)
}
