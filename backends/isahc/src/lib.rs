#![doc = include_str!("../README.md")]

mod body;
mod clients;
mod request;
mod timer;
mod transport;

/// isahc itself, of the version that [`IsahcTransport::configured`] takes settings of.
pub use isahc;
pub use transport::IsahcTransport;
