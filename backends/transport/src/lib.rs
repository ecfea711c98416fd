//! The contract between [etcd-http](https://docs.rs/etcd-http)'s client and whatever carries its requests.
//!
//! A backend implements [`Transport`]; the client, and anything else that wants to speak HTTP to etcd, calls it.
//! This crate is the leaf of the tree: it knows neither a client, nor a runtime, nor an HTTP stack.
//! `etcd-transport-conformance` holds the contract below as tests that any backend can run.

mod body;
mod error;
mod transport;

pub use body::{Body, CollectError};
pub use error::{TransportError, TransportErrorKind};
pub use transport::{Duplex, IdleLimit, Request, Response, Transport};

pub use async_trait::async_trait;
pub use {bytes, http, http_body};
