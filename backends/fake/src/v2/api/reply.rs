//! The parts of the v2 API's responses.

use http::HeaderName;

use crate::{
    go::{
        json::push_string,
        reply::{Reply, number_value},
    },
    profile::Profile,
    state::EtcdCluster,
    v2::{
        store::{
            error::StoreError,
            event::{Event, Text},
        },
        wire::json::{push_error, push_event},
    },
};

const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
const ETCD_INDEX: HeaderName = HeaderName::from_static("x-etcd-index");
const RAFT_INDEX: HeaderName = HeaderName::from_static("x-raft-index");
const RAFT_TERM: HeaderName = HeaderName::from_static("x-raft-term");

impl Reply {
    /// Adds the id of the cluster, which most responses have.
    pub(crate) fn cluster(mut self, cluster: &EtcdCluster) -> Self {
        self.headers
            .insert(CLUSTER_ID, cluster.membership.cluster_id.clone());
        self
    }

    /// Adds the indexes that a successful response has.
    pub(crate) fn indexes(mut self, etcd_index: u64, cluster: &EtcdCluster) -> Self {
        let indexes = [
            (ETCD_INDEX, etcd_index),
            (RAFT_INDEX, cluster.raft_index),
            (RAFT_TERM, cluster.raft_term),
        ];
        for (name, index) in indexes {
            self.headers.insert(name, number_value(index));
        }
        self
    }

    pub(crate) fn event(mut self, event: &Event, brief: bool, profile: Profile) -> Self {
        let text = |text: &Option<_>| text.as_ref().map_or(0, |text: &Text| text.len());
        let prev = event.prev.as_ref().map_or(0, |prev| text(&prev.value));
        self.body.reserve(256 + text(&event.node.value) + prev);
        push_event(&mut self.body, event, brief, profile);
        self
    }

    /// An error of the keys endpoint.
    pub(crate) fn store_error(self, error: &StoreError, profile: Profile) -> Self {
        let mut reply = self.status(error.code.status()).json();
        reply.headers.insert(ETCD_INDEX, number_value(error.index));
        push_error(&mut reply.body, error, profile);
        reply
    }

    /// An error of the other endpoints: `{"message":…}` and no line end.
    pub(crate) fn message(self, status: u16, message: &str, profile: Profile) -> Self {
        let mut reply = self.status(status).json();
        reply.body.extend_from_slice(b"{\"message\":");
        push_string(&mut reply.body, message.as_bytes(), profile);
        reply.body.push(b'}');
        reply
    }

    pub(crate) fn insufficient_credentials(self, profile: Profile) -> Self {
        self.message(401, "Insufficient credentials", profile)
    }
}
