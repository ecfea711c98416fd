use std::fmt;

use crate::pipeline::{
    call::{Call, Repeat},
    exchange::TypedExchange,
};

/// What a client needs of an API beyond its operations. Nothing else outside of an API's module knows the API: the
/// crate's root passes them to the client.
pub(crate) trait EtcdApi: fmt::Debug + Sync {
    /// Returns the call for a request to this path, if the path belongs to the API.
    fn call_to(&self, path: &str, operation: &'static str, repeat: Repeat) -> Option<Call>;

    /// Returns what lists the members of the cluster.
    fn member_source(&self) -> MemberSource;
}

/// The APIs of a client, in the order in which they are asked for what each of them has.
pub(crate) type Apis = &'static [&'static dyn EtcdApi; 2];

/// Lists the members of the cluster through one API.
pub(crate) struct MemberSource {
    pub(crate) members: Box<dyn TypedExchange<Decoded = Vec<Advertised>>>,
    /// Requests the leader, whose addresses may be missing.
    pub(crate) leader: Box<dyn TypedExchange<Decoded = Advertised>>,
}

/// A member and its client URLs.
pub(crate) struct Advertised {
    pub(crate) id: String,
    pub(crate) client_urls: Vec<String>,
}
