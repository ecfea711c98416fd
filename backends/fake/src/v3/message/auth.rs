//! `etcdserverpb.Auth`, as far as the fake serves it.

use super::{kv::ResponseHeader, messages};

messages! {
    AuthStatusRequest {}
    AuthStatusResponse {
        header: Option<ResponseHeader> = 1;
        enabled: bool = 2;
        auth_revision: u64 = 3 as "authRevision";
    }
}
