//! `etcdserverpb.Lease` and `leasepb`.

use bytes::Bytes;

use super::{kv::ResponseHeader, messages};

messages! {
    LeaseGrantRequest {
        ttl: i64 = 1 as "TTL";
        id: i64 = 2 as "ID";
    }
    LeaseGrantResponse {
        header: Option<ResponseHeader> = 1;
        id: i64 = 2 as "ID";
        ttl: i64 = 3 as "TTL";
        error: String = 4;
    }
    LeaseRevokeRequest {
        id: i64 = 1 as "ID";
    }
    LeaseRevokeResponse {
        header: Option<ResponseHeader> = 1;
    }
    LeaseKeepAliveRequest {
        id: i64 = 1 as "ID";
    }
    LeaseKeepAliveResponse {
        header: Option<ResponseHeader> = 1;
        id: i64 = 2 as "ID";
        ttl: i64 = 3 as "TTL";
    }
    LeaseTimeToLiveRequest {
        id: i64 = 1 as "ID";
        keys: bool = 2;
    }
    LeaseTimeToLiveResponse {
        header: Option<ResponseHeader> = 1;
        id: i64 = 2 as "ID";
        ttl: i64 = 3 as "TTL";
        granted_ttl: i64 = 4 as "grantedTTL";
        keys: Vec<Bytes> = 5;
    }
    LeaseLeasesRequest {}
    LeaseStatus {
        id: i64 = 1 as "ID";
    }
    LeaseLeasesResponse {
        header: Option<ResponseHeader> = 1;
        leases: Vec<LeaseStatus> = 2;
    }
}
