//! `v3lockpb.Lock`.

use bytes::Bytes;

use super::{kv::ResponseHeader, messages};

messages! {
    LockRequest {
        name: Bytes = 1;
        lease: i64 = 2;
    }
    LockResponse {
        header: Option<ResponseHeader> = 1;
        key: Bytes = 2;
    }
    UnlockRequest {
        key: Bytes = 1;
    }
    UnlockResponse {
        header: Option<ResponseHeader> = 1;
    }
}
