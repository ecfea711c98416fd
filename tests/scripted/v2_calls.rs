//! Calls of the v2 API that the tests of the pipeline make.

use etcd_http::{
    Client, Result,
    v2::{Get, Set},
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step, file, keys},
};

/// Reads a key; returns its index.
pub(crate) fn get(client: &Client<ScriptedTransport>) -> Result<u64> {
    block_on(client.send(Get::new("x"))).map(|event| event.index())
}

/// Writes a key; returns its index.
pub(crate) fn set(client: &Client<ScriptedTransport>) -> Result<u64> {
    block_on(client.send(Set::new("x", "y"))).map(|event| event.index())
}

/// The response to either, with the index 7.
pub(crate) fn ok() -> Step {
    keys(200, 7, file("set", "/x", 7))
}
