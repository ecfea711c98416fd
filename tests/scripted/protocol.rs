//! How it is found out whether an endpoint is asked by gRPC or by the gateway.

use std::time::Duration;

use etcd_http::{
    Client, Error, Outcome, Protocol, Result, RetryPolicy,
    transport::Transport,
    v3::{Put, Range},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const RANGE: &str = "POST a/etcdserverpb.KV/Range";
pub(crate) const PUT: &str = "POST a/etcdserverpb.KV/Put";
pub(crate) const STATUS: &str = "POST a/etcdserverpb.Maintenance/Status";
pub(crate) const RANGE_BY_GATEWAY: &str = "POST a/v3/kv/range";
pub(crate) const PUT_BY_GATEWAY: &str = "POST a/v3/kv/put";
const STATUS_BY_GATEWAY: &str = "POST a/v3/maintenance/status";

/// A header (cluster 7, revision 9) in a frame.
pub(crate) const MESSAGE: &str = "\0\0\0\0\x06\x0a\x04\x08\x07\x18\x09";

pub(crate) fn grpc_ok() -> Step {
    let status = vec![("grpc-status", "0".to_owned())];
    Step::Respond(200, status, Ending::Whole(MESSAGE.to_owned()))
}

pub(crate) fn grpc_refusal(code: u8, message: &str) -> Step {
    let status = vec![
        ("grpc-status", code.to_string()),
        ("grpc-message", message.to_owned()),
    ];
    Step::Respond(200, status, Ending::Whole(String::new()))
}

pub(crate) fn page(status: u16) -> Step {
    let headers = vec![("content-type", "text/html".to_owned())];
    Step::Respond(status, headers, Ending::Whole("<html>".to_owned()))
}

pub(crate) fn gateway_ok() -> Step {
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = r#"{"header":{"cluster_id":"7","revision":"9"}}"#;
    Step::Respond(200, headers, Ending::Whole(body.to_owned()))
}

pub(crate) fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let transport = ScriptedTransport::new(steps).with_grpc();
    Client::new(transport, ["http://a"]).unwrap()
}

pub(crate) fn once(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    client(steps).with_retry(RetryPolicy::never())
}

pub(crate) fn read(client: &Client<ScriptedTransport>) -> Result<i64> {
    let read = block_on(client.send(Range::new("k")))?;
    Ok(read.header.revision)
}

pub(crate) fn put(client: &Client<ScriptedTransport>) -> Result<i64> {
    let put = block_on(client.send(Put::new("k", "v")))?;
    Ok(put.header.revision)
}

pub(crate) fn seen(client: &Client<ScriptedTransport>) -> Vec<String> {
    client.transport().seen()
}

/// The protocol of the only endpoint, and why.
pub(crate) fn known(client: &Client<ScriptedTransport>) -> (Option<Protocol>, String) {
    let info = client.endpoints().remove(0);
    (info.protocol, info.reason.unwrap_or_default())
}

#[test]
fn the_first_read_finds_grpc_and_costs_nothing() {
    let client = once([grpc_ok(), grpc_ok(), grpc_ok()]);
    assert_eq!(known(&client), (None, String::new()));
    assert_eq!(read(&client).unwrap(), 9);
    put(&client).unwrap();
    read(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, PUT, RANGE]);
    let reason = "it responds by gRPC".to_owned();
    assert_eq!(known(&client), (Some(Protocol::Grpc), reason));
}

#[test]
fn the_first_write_comes_after_a_status() {
    let client = once([grpc_ok(), grpc_ok(), grpc_ok()]);
    put(&client).unwrap();
    put(&client).unwrap();
    assert_eq!(seen(&client), [STATUS, PUT, PUT]);
}

#[test]
fn what_is_set_is_not_found_out() {
    for (protocol, step, line) in [
        (Protocol::Grpc, grpc_ok(), PUT),
        (Protocol::Gateway, gateway_ok(), PUT_BY_GATEWAY),
    ] {
        let transport = ScriptedTransport::new([step]).with_grpc();
        let builder = Client::builder(transport).endpoints(["http://a"]);
        let client = builder.protocol(protocol).build().unwrap();
        assert_eq!(known(&client), (Some(protocol), String::new()));
        put(&client).unwrap();
        assert_eq!(seen(&client), [line]);
    }
}

#[test]
fn the_gateway_is_asked_where_a_response_is_not_of_grpc() {
    for status in [
        200, 400, 401, 403, 404, 405, 413, 415, 426, 429, 500, 502, 503, 505,
    ] {
        let reason = format!(
            "HTTP status {}, not a gRPC response",
            etcd_http::transport::http::StatusCode::from_u16(status).unwrap()
        );
        let client = once([page(status), gateway_ok(), gateway_ok()]);
        assert_eq!(read(&client).unwrap(), 9, "{status}");
        put(&client).unwrap();
        let expected = [RANGE, RANGE_BY_GATEWAY, PUT_BY_GATEWAY];
        assert_eq!(seen(&client), expected, "{status}");
        assert_eq!(known(&client), (Some(Protocol::Gateway), reason));

        let client = once([page(status), gateway_ok()]);
        put(&client).unwrap();
        assert_eq!(seen(&client), [STATUS, PUT_BY_GATEWAY], "{status}");
    }
}

#[test]
fn a_redirect_is_not_a_response_of_grpc() {
    let redirect = || {
        let location = vec![("location", "https://a/".to_owned())];
        Step::Respond(308, location, Ending::Whole(String::new()))
    };
    let client = once([redirect(), gateway_ok()]);
    read(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, RANGE_BY_GATEWAY]);
    let client = once([grpc_ok(), redirect(), redirect(), gateway_ok()]);
    read(&client).unwrap();
    put(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, PUT, STATUS, PUT_BY_GATEWAY]);
}

#[test]
fn the_gateway_is_asked_where_the_transport_cannot_send_http_2() {
    let client = once([Step::Reject, gateway_ok()]);
    read(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, RANGE_BY_GATEWAY]);
    let (protocol, reason) = known(&client);
    assert_eq!(protocol, Some(Protocol::Gateway));
    assert!(reason.ends_with("no such scheme"), "{reason}");
    let client = once([Step::Reject, gateway_ok()]);
    put(&client).unwrap();
    assert_eq!(seen(&client), [STATUS, PUT_BY_GATEWAY]);
}

/// This is how a server may respond that takes the beginning of HTTP/2 for a request of HTTP/1.1.
#[test]
fn the_gateway_is_asked_where_http_2_breaks_off_repeatedly() {
    for broken in [|| Step::Break, || Step::Unprocessed] {
        let client = once([broken(), broken(), broken(), gateway_ok(), gateway_ok()]);
        assert_eq!(read(&client).unwrap(), 9);
        let expected = [RANGE, STATUS, STATUS, STATUS_BY_GATEWAY, RANGE_BY_GATEWAY];
        assert_eq!(seen(&client), expected);
        assert_eq!(known(&client).0, Some(Protocol::Gateway));

        let client = once([broken(), broken(), gateway_ok(), gateway_ok()]);
        put(&client).unwrap();
        let expected = [STATUS, STATUS, STATUS_BY_GATEWAY, PUT_BY_GATEWAY];
        assert_eq!(seen(&client), expected);
    }
}

#[test]
fn one_connection_that_breaks_off_shows_nothing() {
    let client = once([Step::Break, grpc_ok(), grpc_ok()]);
    assert_eq!(read(&client).unwrap(), 9);
    assert_eq!(seen(&client), [RANGE, STATUS, RANGE]);
    // A server that is gone has not shown that it speaks no HTTP/2.
    let client = once([Step::Break, Step::Break, Step::Refuse]);
    let error = put(&client).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert_eq!(seen(&client), [STATUS, STATUS, STATUS_BY_GATEWAY]);
    assert_eq!(known(&client).0, None);
}

/// This is how a server ends connections of clients whose certificate it does not accept, in TLS 1.3.
#[test]
fn a_write_is_not_sent_where_every_connection_breaks_off() {
    let client = once([Step::Break, Step::Break, Step::Break]);
    let error = put(&client).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert_eq!(seen(&client), [STATUS, STATUS, STATUS_BY_GATEWAY]);
    // Where a protocol is known, the write is what breaks off.
    let client = once([
        grpc_ok(),
        Step::Break,
        Step::Break,
        Step::Break,
        Step::Break,
    ]);
    read(&client).unwrap();
    let outcomes = [(); 2].map(|()| put(&client).unwrap_err().outcome());
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::NotSent]);
    let examined = [STATUS, STATUS, STATUS_BY_GATEWAY];
    assert_eq!(seen(&client)[..2], [RANGE, PUT]);
    assert_eq!(seen(&client)[2..], examined);
}

#[test]
fn etcds_own_words_are_never_a_reason() {
    for (code, words) in [
        (3, "etcdserver: user name is empty"),
        (7, "etcdserver: permission denied"),
        (12, "unknown method"),
        (14, "etcdserver: no leader"),
        (16, "etcdserver: invalid auth token"),
    ] {
        let client = once([grpc_refusal(code, words), grpc_ok()]);
        read(&client).unwrap_err();
        put(&client).unwrap();
        assert_eq!(seen(&client), [RANGE, PUT], "{words}");

        let client = once([grpc_refusal(code, words), grpc_ok()]);
        put(&client).unwrap();
        assert_eq!(seen(&client), [STATUS, PUT], "{words}");
        assert_eq!(known(&client).0, Some(Protocol::Grpc));
    }
}

#[test]
fn a_server_that_does_not_respond_has_shown_nothing_and_a_write_is_not_sent() {
    let silent = "no response within 10s to the question whether it speaks gRPC";
    let endings: [(fn() -> Step, _); 2] = [
        (|| Step::Refuse, "connection refused"),
        (|| Step::Silence, silent),
    ];
    for (step, words) in endings {
        let client = once([step(), grpc_ok(), grpc_ok()]);
        let error = put(&client).unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert_eq!(seen(&client), [STATUS]);
        put(&client).unwrap();
        assert_eq!(seen(&client), [STATUS, STATUS, PUT]);
        let client = once([step(), grpc_ok()]);
        read(&client).unwrap_err();
        read(&client).unwrap();
        assert_eq!(seen(&client), [RANGE, RANGE]);
    }
    let error = put(&once([Step::Refuse])).unwrap_err();
    let text = "v3.kv.put at http://a: could not connect: connection refused";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn the_gateway_is_examined_again_after_a_minute() {
    let client = once([page(404), gateway_ok(), gateway_ok(), grpc_ok(), grpc_ok()]);
    read(&client).unwrap();
    block_on(client.transport().sleep(SECOND * 59));
    read(&client).unwrap();
    block_on(client.transport().sleep(SECOND));
    read(&client).unwrap();
    put(&client).unwrap();
    let expected = [RANGE, RANGE_BY_GATEWAY, RANGE_BY_GATEWAY, RANGE, PUT];
    assert_eq!(seen(&client), expected);
    assert_eq!(known(&client).0, Some(Protocol::Grpc));
}

#[test]
fn a_failure_of_the_endpoint_has_it_examined_again() {
    let client = once([
        grpc_ok(),
        Step::Break,
        page(404),
        gateway_ok(),
        page(502),
        grpc_ok(),
        grpc_ok(),
    ]);
    read(&client).unwrap();
    assert_eq!(put(&client).unwrap_err().outcome(), Outcome::Unknown);
    put(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, PUT, STATUS, PUT_BY_GATEWAY]);
    read(&client).unwrap_err();
    put(&client).unwrap();
    assert_eq!(seen(&client)[4..], [RANGE_BY_GATEWAY, STATUS, PUT]);
}

/// A proxy was put before a server that spoke gRPC.
#[test]
fn a_page_where_grpc_has_worked_leads_to_the_gateway() {
    let client = once([grpc_ok(), page(404), gateway_ok()]);
    read(&client).unwrap();
    read(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, RANGE, RANGE_BY_GATEWAY]);
    // It shows that nothing was written.
    let client = once([grpc_ok(), page(404), page(404), gateway_ok()]);
    read(&client).unwrap();
    put(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, PUT, STATUS, PUT_BY_GATEWAY]);
    // It does not.
    let client = once([grpc_ok(), page(502), page(404), gateway_ok()]);
    read(&client).unwrap();
    assert_eq!(put(&client).unwrap_err().outcome(), Outcome::Unknown);
    put(&client).unwrap();
    assert_eq!(seen(&client), [RANGE, PUT, STATUS, PUT_BY_GATEWAY]);
}

#[test]
fn each_endpoint_has_a_protocol_of_its_own() {
    let transport =
        ScriptedTransport::new([page(404), gateway_ok(), Step::Refuse, grpc_ok(), grpc_ok()])
            .with_grpc();
    let client = Client::new(transport, ["http://a", "http://b"]).unwrap();
    read(&client).unwrap();
    read(&client).unwrap();
    put(&client).unwrap();
    let expected = [
        RANGE,
        RANGE_BY_GATEWAY,
        RANGE_BY_GATEWAY,
        "POST b/etcdserverpb.KV/Range",
        "POST b/etcdserverpb.KV/Put",
    ];
    assert_eq!(seen(&client), expected);
    let all = client.endpoints();
    let protocols: Vec<_> = all.iter().map(|it| (it.is_up, it.protocol)).collect();
    let (gateway, grpc) = (Some(Protocol::Gateway), Some(Protocol::Grpc));
    assert_eq!(protocols, [(false, gateway), (true, grpc)]);
}
