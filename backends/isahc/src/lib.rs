#![doc = include_str!("../README.md")]

mod body;
mod clients;
mod from_settings;
mod request;
mod timer;
mod transport;

/// isahc, in the version whose settings [`IsahcTransport::configured`] takes.
pub use isahc;
pub use transport::IsahcTransport;
