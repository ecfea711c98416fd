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

#[test]
fn a_write_says_whether_it_has_created_the_key() {
    for (status, created) in [(201, true), (200, false)] {
        let step = || keys(status, 7, file("set", "/x", 7));
        let transport = ScriptedTransport::new([step(), step()]);
        let client = Client::new(transport, ["http://a"]).unwrap();
        let event = block_on(client.send(Set::new("x", "y"))).unwrap();
        assert_eq!(event.created, created);
        let written = block_on(client.send(Set::new("x", "y").without_value())).unwrap();
        assert_eq!(written.created, created);
    }
}
