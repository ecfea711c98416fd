//! Every etcd operation, written once, over any HTTP stack.
//!
//! ```
//! # #[cfg(feature = "reqwest")]
//! # async fn example() -> Result<(), etcd_http::Error> {
//! use etcd_http::{Client, reqwest::ReqwestTransport, v3::KeyRange};
//!
//! let client = Client::<ReqwestTransport>::connect(["http://127.0.0.1:2379"])?;
//! let kv = client.v3().kv();
//! kv.put("config/color", "green").await?;
//! for pair in kv.range(KeyRange::prefix("config/")).await?.kvs {
//!     println!("{:?} = {:?}", pair.key, pair.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is generic over its [`Transport`](transport::Transport). A cargo feature adds one: `hyper`, `reqwest`,
//! `isahc`, `tower`, or `fake`, an etcd in memory for unit tests; or [bring your own](transport). None is enabled by default.
//!
//! # Where things are
//!
//! - [`v3`]: keys and values, transactions, watches, leases, locks, elections, auth, cluster, maintenance;
//!   [`client.v3()`](Client::v3) has a short form of each operation.
//! - [`recipes`]: sessions, mutexes, elections, semaphores, queues, barriers, counters, transactions with retry, copies in memory
//!   and typed settings, on v3; and a migration from v2.
//! - [`v2`]: keys in a tree of directories, for etcd up to 3.5; [`client.v2()`](Client::v2).
//! - [`Client::send`] executes an operation with options, [`Client::open`] opens one with a stream of responses.
//! - [`Error`], and the [`Outcome`] of a failed write: not sent, rejected, or unknown.
//! - [`client.check()`](Client::check): what is wrong with endpoints that do not work, and what to do.
//! - [`ClientBuilder`], [`RetryPolicy`], [`SyncPolicy`]: endpoints, credentials, time limits, retries.
//!
//! # What is promised
//!
//! - A write is sent again only when no server can have seen it, or when applying it twice is as good as once. What a
//!   failed write may have done is in its [`outcome`](Error::outcome).
//! - A watch delivers every event once, in order, over reconnects, restarts and changes of endpoint. A gap in history
//!   is an error, never silent.
//! - Every wait has a limit, or a caller who can drop it. Dropping a future or a stream ends its request.
//! - Credentials are never in `Debug` output, errors or logs, and are sent to the client's own endpoints only.
//!
//! # Features
//!
//! | Feature | What it adds |
//! |---|---|
//! | `reqwest`, `reqwest-rustls`, `reqwest-native-tls` | `ReqwestTransport`, on tokio; without and with TLS |
//! | `hyper`, `hyper-rustls` | `HyperTransport`, on tokio, with the fewest dependencies; without and with TLS |
//! | `isahc`, `isahc-rustls` | `IsahcTransport`, on any executor; without and with TLS |
//! | `tower` | `TowerTransport`: any `tower::Service` of HTTP requests, with a clock of your choice |
//! | `fake` | `fake::FakeEtcd`, an etcd in memory |
//! | `server` | `server::start()`, a local etcd for tests and demos (Linux) |
//! | `tracing` | a span for each operation and each attempt, with OpenTelemetry's names; events of attempts, endpoints, streams and leases |

// docs.rs shows which feature adds an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod base;
mod builder;
pub mod check;
mod client;
mod close;
mod config;
mod curl;
mod endpoints;
mod error;
mod form;
mod json;
mod operation;
mod pipeline;
mod raw;
pub mod recipes;
mod status;
mod sync;
#[cfg(test)]
mod testing;
pub mod v2;
pub mod v3;

pub use auth::provider::{CredentialsProvider, UserCredentials};
pub use base::endpoint::Endpoint;
pub use builder::ClientBuilder;
pub use client::Client;
pub use close::CloseError;
pub use config::ClientConfig;
pub use endpoints::{
    discovery::{Discovery, DiscoveryError, Resolver, SrvRecord},
    info::{Circuit, EndpointInfo},
    protocol::Protocol,
    set::EndpointOrder,
    sync_policy::{RefusedAddress, SyncPolicy},
};
pub use error::{
    Api, Error, EtcdCode, EtcdError, EtcdErrorKind, HttpError, InvalidInput, Outcome, Result,
    TimeoutError, TransportFailure, UnexpectedResponse, Unsupported,
};
pub use operation::{Operation, StreamOperation};
pub use pipeline::{
    observe::{Attempt, AttemptOutcome},
    retry::RetryPolicy,
    retry_budget::RetryBudget,
    stats::{AttemptStats, OperationStats, Stats},
};
pub use raw::{RawRequest, RawResponse};
pub use status::{Health, ServerVersion};
pub use sync::Synced;

#[cfg(feature = "fake")]
#[doc(inline)]
pub use etcd_http_fake as fake;
#[cfg(all(feature = "server", unix))]
#[doc(inline)]
pub use etcd_server as server;
/// The contract between the client and its backends: implement [`Transport`](etcd_transport::Transport) to bring your own.
#[doc(inline)]
pub use etcd_transport as transport;
#[cfg(feature = "hyper")]
#[doc(inline)]
pub use etcd_transport_hyper as hyper;
#[cfg(feature = "isahc")]
#[doc(inline)]
pub use etcd_transport_isahc as isahc;
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use etcd_transport_reqwest as reqwest;
#[cfg(feature = "tower")]
#[doc(inline)]
pub use etcd_transport_tower as tower;

/// Compiles and runs the programs of the guide.
#[cfg(doctest)]
#[doc = include_str!("../docs/production.md")]
struct Production;

use pipeline::api::Apis;

/// The APIs of every client. The newer one, whose list of members tells the learners, comes first.
static APIS: Apis = &[&v3::API, &v2::API];

impl<T: transport::Transport + Default> Client<T> {
    /// Creates a client for these endpoints, over a transport with its default settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, or one is not an `http://` or `https://` URL.
    pub fn connect<E: AsRef<str>>(endpoints: impl IntoIterator<Item = E>) -> Result<Self> {
        Self::new(T::default(), endpoints)
    }
}

impl<T: transport::Transport> Client<T> {
    /// Creates a client for these endpoints, over this transport. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn new<E: AsRef<str>>(
        transport: T,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Result<Self> {
        Self::builder(transport).endpoints(endpoints).build()
    }

    /// Returns a builder, for a client with settings: credentials, time limits, retries.
    pub fn builder(transport: T) -> ClientBuilder<T> {
        ClientBuilder::new(transport, APIS)
    }
}

/// Compiles and runs the programs of the pages in `docs/`.
#[cfg(all(
    doctest,
    feature = "fake",
    feature = "hyper-rustls",
    feature = "server"
))]
mod pages {
    #[doc = include_str!("../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../docs/tls-and-auth.md")]
    mod tls_and_auth {}
    #[doc = include_str!("../docs/v2-to-v3.md")]
    mod v2_to_v3 {}
}
