#![doc = include_str!("../README.md")]

mod auth;
mod builder;
mod client;
mod curl;
mod endpoints;
mod error;
mod operation;
mod pipeline;
mod raw;
mod status;
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
    Error, EtcdError, EtcdErrorKind, HttpError, InvalidInput, Outcome, Result, TimeoutError,
    TransportFailure, UnexpectedAnswer, Unsupported,
};
pub use operation::{Call, Operation, Repeat, Reply, StreamOperation};
pub use pipeline::{
    observe::{Attempt, AttemptOutcome},
    retry::RetryPolicy,
};
pub use raw::{Payload, RawRequest};
pub use status::{Health, ServerVersion};

#[cfg(feature = "fake")]
#[doc(inline)]
pub use etcd_http_fake as fake;
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
