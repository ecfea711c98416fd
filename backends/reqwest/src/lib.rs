#![doc = include_str!("../README.md")]

mod body;
mod client;
mod target;
mod transport;

pub use transport::ReqwestTransport;
