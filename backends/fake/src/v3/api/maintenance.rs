use super::{Answered, Call};
use crate::v3::message::{
    kv::ResponseHeader,
    maintenance::{
        DefragmentRequest, DefragmentResponse, HashKvRequest, HashKvResponse, StatusRequest,
        StatusResponse,
    },
};

/// The size of an empty file of etcd's.
const EMPTY_FILE: i64 = 20_480;

impl Call<'_> {
    /// The hash of the member's own store, which is etcd's number.
    pub(crate) fn hash_kv(&mut self, request: &HashKvRequest) -> Answered<HashKvResponse> {
        let mvcc = &self.cluster.local(self.endpoint).v3.mvcc;
        let hash = mvcc.hash(request.revision)?;
        let mut response = HashKvResponse {
            header: Some(ResponseHeader::of_revision(mvcc.revision())),
            hash: hash.hash,
            compact_revision: hash.compacted,
        };
        self.fill(&mut response.header);
        Ok(response)
    }

    /// There is nothing to defragment. The response is empty: not even a header.
    pub(crate) fn defragment(&mut self, _: DefragmentRequest) -> Answered<DefragmentResponse> {
        Ok(DefragmentResponse::default())
    }

    /// The state of the member. The sizes are plausible, not etcd's.
    pub(crate) fn status(&mut self, _: StatusRequest) -> Answered<StatusResponse> {
        let version = self.profile().server_version().to_owned();
        let leader = self.cluster.leader.unwrap_or_default();
        let size = EMPTY_FILE + self.cluster.local(self.endpoint).v3.mvcc.size();
        let mut errors = Vec::new();
        if leader == 0 {
            errors.push("etcdserver: no leader".to_owned());
        }
        let mut response = StatusResponse {
            header: None,
            version,
            db_size: size,
            leader,
            raft_index: self.cluster.raft_index,
            raft_term: self.cluster.raft_term,
            raft_applied_index: self.cluster.raft_index,
            errors,
            db_size_in_use: size,
            is_learner: false,
        };
        self.fill(&mut response.header);
        Ok(response)
    }
}
