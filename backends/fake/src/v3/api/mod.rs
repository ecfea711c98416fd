//! The calls of the v3 API, from message to message. A front decodes the one and encodes the other.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod election;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod queue;

use super::{error::V3Error, message::kv::ResponseHeader};
use crate::{
    cluster::state::Apply,
    profile::Profile,
    state::{EtcdCluster, Stores},
};

/// A call that has reached a member.
pub(crate) struct Call<'a> {
    pub(crate) cluster: &'a mut EtcdCluster,
    pub(crate) endpoint: usize,
    /// Whether it has waited for a quorum as long as etcd waits.
    pub(crate) timed_out: bool,
    /// Whether the request has credentials. There are none that could be valid.
    pub(crate) has_token: bool,
}

/// Why a call has no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no quorum. The call is made again when there is one, or when it has timed out.
    Blocked,
    Refused(V3Error),
}

pub(crate) type Answered<T> = Result<T, Failure>;

impl Call<'_> {
    fn profile(&self) -> Profile {
        self.cluster.profile
    }

    /// Writes through Raft.
    fn propose<C, T>(&mut self, command: C) -> Answered<T>
    where
        C: Apply<Stores, Output = Result<T, V3Error>>,
    {
        self.check_token()?;
        if !self.cluster.can_commit() {
            if self.timed_out {
                self.cluster.postpone(command);
            }
            return Err(self.without_quorum());
        }
        Ok(self.cluster.propose(self.endpoint, command)?)
    }

    /// 3.4 looks at a token even if there is no auth, and then none is valid.
    fn check_token(&self) -> Result<(), V3Error> {
        if self.has_token && self.profile() == Profile::V3_4 {
            return Err(V3Error::INVALID_TOKEN);
        }
        Ok(())
    }

    /// Has the member catch up, as a linearizable read does.
    fn confirm_read(&mut self) -> Answered<()> {
        if !self.cluster.can_commit() {
            return Err(self.without_quorum());
        }
        self.cluster.catch_up(self.endpoint, usize::MAX);
        Ok(())
    }

    fn without_quorum(&self) -> Failure {
        if self.timed_out {
            Failure::Refused(V3Error::TIMEOUT)
        } else {
            Failure::Blocked
        }
    }

    /// Completes a header. A revision of 0 becomes the current one.
    fn fill(&mut self, header: &mut Option<ResponseHeader>) {
        let revision = self.cluster.local(self.endpoint).v3.mvcc.revision();
        let header = header.get_or_insert_default();
        if header.revision == 0 {
            header.revision = revision;
        }
        fill_ids(self.cluster, self.endpoint, header);
    }
}

/// Writes the responding member into a header.
pub(crate) fn fill_ids(cluster: &EtcdCluster, endpoint: usize, header: &mut ResponseHeader) {
    header.cluster_id = cluster.membership.id;
    header.member_id = cluster.member(endpoint).map_or(0, |member| member.id);
    header.raft_term = cluster.raft_term;
}

impl From<V3Error> for Failure {
    fn from(error: V3Error) -> Self {
        Self::Refused(error)
    }
}
