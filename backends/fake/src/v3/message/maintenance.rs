//! `etcdserverpb.Maintenance`, as far as the fake serves it.

use super::{enumerations, kv::ResponseHeader, messages};

enumerations! {
    AlarmAction = "etcdserverpb.AlarmRequest_AlarmAction" {
        GET = 0,
        ACTIVATE = 1,
        DEACTIVATE = 2,
    }
    AlarmType = "etcdserverpb.AlarmType" {
        NONE = 0,
        NOSPACE = 1,
        CORRUPT = 2,
    }
    DowngradeAction = "etcdserverpb.DowngradeRequest_DowngradeAction" {
        VALIDATE = 0,
        ENABLE = 1,
        CANCEL = 2,
    }
}

impl AlarmType {
    /// As Go prints it: a number without a name is printed as that.
    pub(crate) fn to_go_string(self) -> String {
        let name = Self::TYPE.name(self.0);
        name.map_or_else(|| self.0.to_string(), str::to_owned)
    }
}

messages! {
    DowngradeRequest {
        action: DowngradeAction = 1;
        version: String = 2;
    }
    DowngradeResponse {
        header: Option<ResponseHeader> = 1;
        version: String = 2;
    }
    AlarmRequest {
        action: AlarmAction = 1;
        member_id: u64 = 2 as "memberID";
        alarm: AlarmType = 3;
    }
    AlarmMember {
        member_id: u64 = 1 as "memberID";
        alarm: AlarmType = 2;
    }
    AlarmResponse {
        header: Option<ResponseHeader> = 1;
        alarms: Vec<AlarmMember> = 2;
    }
    HashRequest {}
    HashResponse {
        header: Option<ResponseHeader> = 1;
        hash: u32 = 2;
    }
    MoveLeaderRequest {
        target_id: u64 = 1 as "targetID";
    }
    MoveLeaderResponse {
        header: Option<ResponseHeader> = 1;
    }
    HashKvRequest as "HashKVRequest" {
        revision: i64 = 1;
    }
    HashKvResponse as "HashKVResponse" {
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
