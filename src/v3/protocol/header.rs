use crate::{pipeline::protocol::Origin, v3::protocol::message};

/// The header of a response: the cluster and the member that answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Header {
    /// The cluster's id.
    pub cluster_id: u64,
    /// The member's id.
    pub member_id: u64,
    /// The revision of the store at the time of the response. 0 if etcd does not report it, as in responses about
    /// members.
    pub revision: i64,
    /// The raft term at the time of the response.
    pub raft_term: u64,
}

message::decode!(Header {
    1 "cluster_id" => cluster_id,
    2 "member_id" => member_id,
    3 "revision" => revision,
    4 "raft_term" => raft_term,
});

impl Header {
    /// Returns the header that told this of the server, if that is all of it: nothing was left out.
    pub(crate) fn of(origin: &Origin) -> Option<Self> {
        Some(Self {
            cluster_id: origin.cluster?,
            member_id: origin.member?,
            revision: i64::try_from(origin.revision?).ok()?,
            raft_term: origin.term?,
        })
    }

    /// What it tells of the server. The zeros of a field that is left out tell nothing.
    pub(crate) fn origin(&self) -> Origin {
        let known = |number| (number != 0).then_some(number);
        Origin {
            cluster: known(self.cluster_id),
            member: known(self.member_id),
            index: None,
            revision: u64::try_from(self.revision).ok().and_then(known),
            term: known(self.raft_term),
        }
    }
}

/// A response without other fields.
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
