#![doc = include_str!("../README.md")]

mod body;
mod builder;
mod clients;
mod failure;
mod pool;
mod runtime;
mod target;
mod transport;

/// reqwest, in the version that [`ReqwestTransport`] takes clients and builders of.
pub use reqwest;
pub use transport::ReqwestTransport;
