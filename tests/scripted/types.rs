//! Properties of the types that need no request.

use std::sync::Arc;

use etcd_http::{
    Client, Error,
    transport::Transport,
    v2::{Get, Watch},
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, file, keys},
};

fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

fn is_spawned<T: Send>(_: &T) {}

#[test]
fn a_client_is_shared_by_clones_and_its_futures_and_streams_can_be_spawned() {
    let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
    is_shared(&client);
    is_spawned(&client.send(Get::new("x")));
    is_spawned(&client.v2().set("x", "y"));
    is_spawned(&client.open(Watch::new("x")));
    is_spawned(&client.v3().kv().get("x"));
}

#[test]
fn a_transport_can_be_chosen_at_run_time() {
    let script = ScriptedTransport::new([keys(200, 7, file("get", "/x", 7))]);
    let transport: Arc<dyn Transport> = Arc::new(script);
    let client = Client::new(transport, ["http://a"]).unwrap();
    assert_eq!(block_on(client.v2().get("x")).unwrap().index(), 7);
}

#[test]
fn an_error_is_small() {
    assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
}
