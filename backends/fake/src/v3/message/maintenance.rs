//! `etcdserverpb.Maintenance`, as far as the fake serves it.

use super::{kv::ResponseHeader, messages};

messages! {
    HashKvRequest {
        revision: i64 = 1;
    }
    HashKvResponse {
        header: Option<ResponseHeader> = 1;
        hash: u32 = 2;
        compact_revision: i64 = 3;
    }
    DefragmentRequest {}
    DefragmentResponse {
        header: Option<ResponseHeader> = 1;
    }
    StatusRequest {}
    StatusResponse {
        header: Option<ResponseHeader> = 1;
        version: String = 2;
        db_size: i64 = 3 as "dbSize";
        leader: u64 = 4;
        raft_index: u64 = 5 as "raftIndex";
        raft_term: u64 = 6 as "raftTerm";
        raft_applied_index: u64 = 7 as "raftAppliedIndex";
        errors: Vec<String> = 8;
        db_size_in_use: i64 = 9 as "dbSizeInUse";
        is_learner: bool = 10 as "isLearner";
    }
}
