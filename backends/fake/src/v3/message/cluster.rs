//! `etcdserverpb.Cluster`.

use super::{kv::ResponseHeader, messages};

messages! {
    Member {
        id: u64 = 1 as "ID";
        name: String = 2;
        peer_urls: Vec<String> = 3 as "peerURLs";
        client_urls: Vec<String> = 4 as "clientURLs";
        is_learner: bool = 5 as "isLearner";
    }
    MemberAddRequest {
        peer_urls: Vec<String> = 1 as "peerURLs";
        is_learner: bool = 2 as "isLearner";
    }
    MemberAddResponse {
        header: Option<ResponseHeader> = 1;
        member: Option<Member> = 2;
        members: Vec<Member> = 3;
    }
    MemberPromoteRequest {
        id: u64 = 1 as "ID";
    }
    MemberRemoveRequest {
        id: u64 = 1 as "ID";
    }
    MemberUpdateRequest {
        id: u64 = 1 as "ID";
        peer_urls: Vec<String> = 2 as "peerURLs";
    }
    /// The response to a change of the members that has added none.
    MembersResponse {
        header: Option<ResponseHeader> = 1;
        members: Vec<Member> = 2;
    }
    MemberListRequest {
        linearizable: bool = 1;
    }
    /// A [`MemberListRequest`] to 3.4, which knows no fields of it.
    PlainMemberListRequest as "MemberListRequest" {}
    MemberListResponse {
        header: Option<ResponseHeader> = 1;
        members: Vec<Member> = 2;
    }
}
