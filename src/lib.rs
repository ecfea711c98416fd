#![doc = include_str!("../README.md")]

mod builder;
mod client;
mod credentials;
mod curl;
mod discovery;
mod endpoint;
mod endpoints;
mod error;
mod exchange;
mod feed;
mod frames;
mod guard;
mod missing;
mod observe;
mod operation;
mod outage;
mod patience;
mod raw;
mod redirect;
mod retry;
mod secret;
#[cfg(all(feature = "server", unix))]
pub mod server;
mod splitter;
mod status;
mod stream;
mod sync;
mod token;
pub mod v2;
pub mod v3;

pub use builder::ClientBuilder;
pub use client::Client;
pub use discovery::{Discovery, DiscoveryError, Resolver, SrvRecord};
pub use endpoint::Endpoint;
pub use endpoints::EndpointOrder;
pub use error::{
    Error, EtcdError, EtcdErrorKind, HttpError, InvalidInput, Outcome, Result, TimeoutError,
    TransportFailure, UnexpectedAnswer, Unsupported,
};
pub use observe::{Attempt, AttemptOutcome};
pub use operation::{Call, Operation, Repeat, Reply, StreamOperation};
pub use raw::{Payload, RawRequest};
pub use retry::RetryPolicy;
pub use status::{Health, ServerVersion};
pub use sync::{RefusedAddress, SyncPolicy, Synced};

#[cfg(feature = "fake")]
#[doc(inline)]
pub use etcd_http_fake as fake;
/// The contract between the client and its backends: implement [`Transport`](transport::Transport) to bring your own.
#[doc(inline)]
pub use etcd_transport as transport;
#[cfg(feature = "isahc")]
#[doc(inline)]
pub use etcd_transport_isahc as isahc;
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use etcd_transport_reqwest as reqwest;
