use crate::{
    pipeline::{
        api::{EtcdApi, MemberSource},
        call::{Call, Repeat},
    },
    v2::{members, protocol},
};

/// What a client needs of the v2 API beyond its operations.
pub(crate) static API: V2Api = V2Api;

#[derive(Debug)]
pub(crate) struct V2Api;

impl EtcdApi for V2Api {
    fn call_to(&self, path: &str, operation: &'static str, repeat: Repeat) -> Option<Call> {
        protocol::call_to(path, operation, repeat)
    }

    fn member_source(&self) -> MemberSource {
        members::member_source()
    }
}
