use crate::{
    pipeline::{
        api::{EtcdApi, MemberSource},
        call::{Call, Repeat},
    },
    v3::{cluster, protocol},
};

/// What a client needs of the v3 API beyond its operations.
pub(crate) static API: V3Api = V3Api;

#[derive(Debug)]
pub(crate) struct V3Api;

impl EtcdApi for V3Api {
    fn call_to(&self, path: &str, operation: &'static str, repeat: Repeat) -> Option<Call> {
        protocol::call_to(path, operation, repeat)
    }

    fn member_source(&self) -> MemberSource {
        cluster::member_source()
    }
}
