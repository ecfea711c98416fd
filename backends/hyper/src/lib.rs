#![doc = include_str!("../README.md")]
// docs.rs shows which feature adds an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connect;
#[cfg(feature = "rustls")]
mod encrypted;
mod failure;
mod from_settings;
mod http1;
mod http2;
mod origin;
mod runtime;
mod settings;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
mod transport;

pub use settings::HyperTransportBuilder;
pub use transport::HyperTransport;

/// rustls, in the version that [`HyperTransportBuilder::rustls`] takes a configuration of.
#[cfg(feature = "rustls")]
pub use rustls;
