#![doc = include_str!("../README.md")]

mod body;
mod client;
mod target;
mod transport;

/// reqwest itself, of the version that [`ReqwestTransport::new`] takes a client of.
pub use reqwest;
pub use transport::ReqwestTransport;
