#![doc = include_str!("../README.md")]

mod api;
mod auth;
mod body;
mod builder;
mod cluster;
mod core;
mod endpoint;
mod fake;
mod faults;
mod log;
mod profile;
mod rng;
#[cfg(feature = "serve")]
mod serve;
mod server;
mod snapshot;
mod store;
mod time;
mod track;
mod wire;

pub use builder::FakeEtcdBuilder;
pub use endpoint::EndpointHandle;
pub use fake::FakeEtcd;
pub use faults::{Fault, When};
pub use log::{Exchange, Outcome};
pub use profile::Profile;
#[cfg(feature = "serve")]
pub use serve::serve;
pub use snapshot::LoadError;
pub use time::{Clock, Expiry};
