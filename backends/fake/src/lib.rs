#![doc = include_str!("../README.md")]
// docs.rs shows which feature adds an item.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cluster;
mod control;
pub mod explore;
mod fake;
mod front;
mod go;
mod password;
mod profile;
mod rng;
mod state;
mod v2;
mod v3;

#[cfg(feature = "serve")]
pub use control::remote::serve_control;
#[cfg(feature = "serve")]
pub use front::serve::{serve, serve_until};
#[cfg(feature = "tls")]
pub use front::tls::{Tls, serve_tls_until};
pub use {
    cluster::{
        clock::{Clock, Expiry},
        request_log::{Exchange, Outcome},
        when::When,
    },
    control::{
        builder::FakeEtcdBuilder,
        endpoint::EndpointHandle,
        faults::Fault,
        keys::{KeyChange, KeyValue, Lease, OpenWatch},
        snapshot::LoadError,
    },
    explore::Explore,
    fake::FakeEtcd,
    profile::Profile,
};
