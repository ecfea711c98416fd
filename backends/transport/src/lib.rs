//! The contract between [etcd-http](https://docs.rs/etcd-http)'s client and whatever carries its HTTP requests.
//!
//! A backend implements [`Transport`]; the client, and anything else that speaks HTTP to etcd, calls it. This crate depends
//! on no client, no runtime and no HTTP stack.
//!
//! [`etcd-transport-conformance`](https://docs.rs/etcd-transport-conformance) tests the contract on any backend.

mod body;
mod error;
mod extensions;
mod file_stamps;
mod settings;
mod shards;
mod sleep;
mod transport;

pub use body::{Body, CollectError, Collected, PolledFrame};
pub use error::{TransportError, TransportErrorKind};
pub use extensions::{Duplex, IdleLimit, LongLived};
pub use file_stamps::FileStamps;
pub use settings::{FromSettings, TransportSettings};
pub use shards::{ShardLease, Shards};
pub use sleep::sleep_on_a_thread;
pub use transport::{DynTransport, Request, Response, Transport};

pub use async_trait::async_trait;
pub use {bytes, http, http_body};

/// Compiles the program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
