//! `v3electionpb.Election`.

use bytes::Bytes;

use super::{
    kv::{ResponseHeader, SharedKeyValue},
    messages,
};

messages! {
    LeaderKey {
        name: Bytes = 1;
        key: Bytes = 2;
        rev: i64 = 3;
        lease: i64 = 4;
    }
    CampaignRequest {
        name: Bytes = 1;
        lease: i64 = 2;
        value: Bytes = 3;
    }
    CampaignResponse {
        header: Option<ResponseHeader> = 1;
        leader: Option<LeaderKey> = 2;
    }
    ProclaimRequest {
        leader: Option<LeaderKey> = 1;
        value: Bytes = 2;
    }
    ProclaimResponse {
        header: Option<ResponseHeader> = 1;
    }
    LeaderRequest {
        name: Bytes = 1;
    }
    LeaderResponse {
        header: Option<ResponseHeader> = 1;
        kv: Option<SharedKeyValue> = 2;
    }
    ResignRequest {
        leader: Option<LeaderKey> = 1;
    }
    ResignResponse {
        header: Option<ResponseHeader> = 1;
    }
}
