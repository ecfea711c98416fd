//! `etcdserverpb.Cluster`, as far as the fake serves it.

use super::{kv::ResponseHeader, messages};

messages! {
    Member {
        id: u64 = 1 as "ID";
        name: String = 2;
        peer_urls: Vec<String> = 3 as "peerURLs";
        client_urls: Vec<String> = 4 as "clientURLs";
        is_learner: bool = 5 as "isLearner";
    }
    MemberListRequest {
        linearizable: bool = 1;
    }
    MemberListResponse {
        header: Option<ResponseHeader> = 1;
        members: Vec<Member> = 2;
    }
}
