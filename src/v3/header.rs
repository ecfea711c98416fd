use super::{
    AuthStatusResponse, CampaignResponse, DeleteRangeResponse, DowngradeResponse, GrantResponse,
    HashKvResponse, HashResponse, LeaseId, LeaseStatus, LockResponse, MemberAddResponse, Members,
    Permission, PutResponse, RaisedAlarm, RangeResponse, StatusResponse, TxnResponse, wire,
};

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

wire::decode!(Header {
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

wire::decode!(OnlyHeader { "header" => header });

impl From<OnlyHeader> for Header {
    fn from(answer: OnlyHeader) -> Self {
        answer.header
    }
}

/// An answer, which may say which cluster it comes from.
pub(crate) trait Answer {
    fn cluster_id(&self) -> Option<u64>;
}

impl Answer for Header {
    fn cluster_id(&self) -> Option<u64> {
        (self.cluster_id != 0).then_some(self.cluster_id)
    }
}

macro_rules! with_header {
    ($($answer:ty),+ $(,)?) => {$(
        impl Answer for $answer {
            fn cluster_id(&self) -> Option<u64> {
                self.header.cluster_id()
            }
        }
    )+};
}

with_header!(
    AuthStatusResponse,
    CampaignResponse,
    DeleteRangeResponse,
    DowngradeResponse,
    GrantResponse,
    HashKvResponse,
    HashResponse,
    LeaseStatus,
    LockResponse,
    MemberAddResponse,
    Members,
    PutResponse,
    RangeResponse,
    StatusResponse,
    TxnResponse,
);

impl<A: Answer> Answer for Option<A> {
    fn cluster_id(&self) -> Option<u64> {
        self.as_ref()?.cluster_id()
    }
}

macro_rules! without_header {
    ($($answer:ty),+) => {$(
        impl Answer for Vec<$answer> {
            fn cluster_id(&self) -> Option<u64> {
                None
            }
        }
    )+};
}

without_header!(LeaseId, Permission, RaisedAlarm, String);
