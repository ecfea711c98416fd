use crate::v3::protocol::message;

/// What every answer says of the cluster that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Header {
    /// The cluster's id.
    pub cluster_id: u64,
    /// The id of the member that answered.
    pub member_id: u64,
    /// The revision of the store when it answered; 0 where etcd does not say, as of members.
    pub revision: i64,
    /// The term of raft when it answered.
    pub raft_term: u64,
}

message::decode!(Header {
    1 "cluster_id" => cluster_id,
    2 "member_id" => member_id,
    3 "revision" => revision,
    4 "raft_term" => raft_term,
});

/// An answer that says nothing else.
#[derive(Default)]
pub(crate) struct OnlyHeader {
    header: Header,
}

message::decode!(OnlyHeader { 1 "header" => header });

impl From<OnlyHeader> for Header {
    fn from(answer: OnlyHeader) -> Self {
        answer.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::response;

        for name in [
            "etcdserverpb.CompactionResponse",
            "etcdserverpb.LeaseRevokeResponse",
            "etcdserverpb.MoveLeaderResponse",
            "etcdserverpb.DefragmentResponse",
            "etcdserverpb.AuthEnableResponse",
            "etcdserverpb.AuthDisableResponse",
            "etcdserverpb.AuthUserAddResponse",
            "etcdserverpb.AuthUserDeleteResponse",
            "etcdserverpb.AuthUserChangePasswordResponse",
            "etcdserverpb.AuthUserGrantRoleResponse",
            "etcdserverpb.AuthUserRevokeRoleResponse",
            "etcdserverpb.AuthRoleAddResponse",
            "etcdserverpb.AuthRoleDeleteResponse",
            "etcdserverpb.AuthRoleGrantPermissionResponse",
            "etcdserverpb.AuthRoleRevokePermissionResponse",
            "v3lockpb.UnlockResponse",
            "v3electionpb.ProclaimResponse",
            "v3electionpb.ResignResponse",
        ] {
            response::<OnlyHeader>(name, &[]);
        }
    }
}
