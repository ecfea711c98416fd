#![doc = include_str!("../README.md")]
// docs.rs shows which feature adds an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod clients;
mod from_settings;
mod request;
mod timer;
mod transport;

/// isahc, in the version whose settings [`IsahcTransport::configured`] takes.
pub use isahc;
pub use transport::IsahcTransport;
