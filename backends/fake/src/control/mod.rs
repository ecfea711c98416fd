//! What a test does with a fake: build it, move its clock, break it, look at it.

pub(crate) mod builder;
pub(crate) mod clock;
pub(crate) mod endpoint;
pub(crate) mod faults;
pub(crate) mod keys;
#[cfg(feature = "serve")]
pub(crate) mod remote;
pub(crate) mod requests;
pub(crate) mod snapshot;
mod snapshot_v3;
pub(crate) mod trouble;
