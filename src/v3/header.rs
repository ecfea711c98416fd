use crate::v3::protocol::gateway;

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

gateway::decode!(Header {
    "cluster_id" => cluster_id,
    "member_id" => member_id,
    "revision" => revision,
    "raft_term" => raft_term,
});

/// An answer that says nothing else.
#[derive(Default)]
pub(crate) struct OnlyHeader {
    header: Header,
}

gateway::decode!(OnlyHeader { "header" => header });

impl From<OnlyHeader> for Header {
    fn from(answer: OnlyHeader) -> Self {
        answer.header
    }
}
