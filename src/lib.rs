#![doc = include_str!("../README.md")]

mod auth;
mod builder;
mod client;
mod curl;
mod endpoints;
mod error;
mod form;
mod operation;
mod pipeline;
mod raw;
mod status;
#[cfg(test)]
mod testing;
pub mod v2;
pub mod v3;

pub use builder::ClientBuilder;
pub use client::Client;
pub use endpoints::{
    discovery::{Discovery, DiscoveryError, Resolver, SrvRecord},
    endpoint::Endpoint,
    set::EndpointOrder,
    sync::{RefusedAddress, SyncPolicy, Synced},
};
pub use error::{
    Api, Error, EtcdCode, EtcdError, EtcdErrorKind, HttpError, InvalidInput, Outcome, Result,
    TimeoutError, TransportFailure, UnexpectedAnswer, Unsupported,
};
pub use operation::{Operation, StreamOperation};
pub use pipeline::{
    observe::{Attempt, AttemptOutcome},
    retry::RetryPolicy,
};
pub use raw::{RawRequest, RawResponse};
pub use status::{Health, ServerVersion};

#[cfg(feature = "fake")]
#[doc(inline)]
pub use etcd_fake as fake;
#[cfg(all(feature = "server", unix))]
#[doc(inline)]
pub use etcd_server as server;
/// The contract between the client and its backends: implement [`Transport`](transport::Transport) to bring your own.
#[doc(inline)]
pub use etcd_transport as transport;
#[cfg(feature = "isahc")]
#[doc(inline)]
pub use etcd_transport_isahc as isahc;
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use etcd_transport_reqwest as reqwest;

use endpoints::sync::MemberSource;
use pipeline::{
    call::{Call, Repeat},
    protocol::Plain,
};

/// The call that a request to this path is, by the API that the path belongs to.
fn call_to(path: &str, operation: &'static str, repeat: Repeat) -> Call {
    v2::call_to(path, operation, repeat)
        .or_else(|| v3::call_to(path, operation, repeat))
        .unwrap_or_else(|| Call::new(operation, &Plain, repeat))
}

/// What lists the members of a cluster: first that of the older API, which tells more.
fn member_sources() -> [MemberSource; 2] {
    [v2::member_source(), v3::member_source()]
}
