#![doc = include_str!("../README.md")]

mod body;
mod request;
mod transport;

pub use transport::IsahcTransport;
