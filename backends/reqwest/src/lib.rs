#![doc = include_str!("../README.md")]
// docs.rs shows which feature adds an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod builder;
mod clients;
mod failure;
mod followed_files;
mod from_settings;
mod pool;
mod runtime;
mod target;
mod transport;

#[cfg(any(feature = "rustls", feature = "native-tls"))]
pub use builder::identity_from_pems;

/// reqwest, in the version that [`ReqwestTransport`] takes clients and builders of.
pub use reqwest;
pub use transport::ReqwestTransport;
