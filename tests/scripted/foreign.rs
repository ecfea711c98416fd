//! Responses that are not etcd's: a proxy's page, a peer port, a status without etcd's words.

use etcd_http::{
    Client, ClientBuilder, Error, Outcome,
    v3::{Put, Range},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b"])
}

fn grpc(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    builder(steps).grpc().build().unwrap()
}

/// The hosts that were asked.
fn hosts(client: &Client<ScriptedTransport>) -> String {
    let seen = client.transport().seen();
    let paths = seen.iter().filter_map(|line| line.split_once(' '));
    paths.filter_map(|(_, path)| path.chars().next()).collect()
}

/// A gRPC response of a header (cluster 7, revision 9), with or without a status.
fn grpc_message(status: Option<u8>) -> Step {
    let message = "\0\0\0\0\x06\x0a\x04\x08\x07\x18\x09".to_owned();
    let status = status.map(|status| ("grpc-status", status.to_string()));
    Step::Answer(200, status.into_iter().collect(), Ending::Whole(message))
}

#[test]
fn a_grpc_response_without_a_status_is_asked_for_again_if_that_is_safe() {
    let client = grpc([grpc_message(None), grpc_message(Some(0))]);
    let read = block_on(client.send(Range::new("k"))).unwrap();
    assert_eq!(read.header.revision, 9);
    assert_eq!(hosts(&client), "ab");
    let client = grpc([grpc_message(None)]);
    let error = block_on(client.send(Put::new("k", "v"))).unwrap_err();
    assert!(matches!(error, Error::Unexpected(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(hosts(&client), "a");
}
