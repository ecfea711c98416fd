//! Responses that are not etcd's: a proxy's page, a peer port, a status without etcd's words.

use std::time::Duration;

use etcd_http::{
    Client, ClientBuilder, Error, Outcome, Protocol, Result, RetryPolicy,
    transport::Transport,
    v2::{self, Get, Set},
    v3::{self, Put, Range},
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, etcd_error, file, keys, with_headers},
};

use crate::v3_store::{Connection, Store};

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b"])
}

fn grpc(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let transport = ScriptedTransport::new(steps).with_grpc();
    let builder = Client::builder(transport).endpoints(["http://a", "http://b"]);
    builder.protocol(Protocol::Grpc).build().unwrap()
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
    Step::Respond(200, status.into_iter().collect(), Ending::Whole(message))
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

/// Something that is not etcd's, with this status.
fn page(status: u16, body: &str) -> Step {
    let headers = vec![("content-type", "text/html".to_owned())];
    Step::Respond(status, headers, Ending::Whole(body.to_owned()))
}

fn json(status: u16, body: &str) -> Step {
    let headers = vec![("content-type", "application/json".to_owned())];
    Step::Respond(status, headers, Ending::Whole(body.to_owned()))
}

fn v3_ok() -> Step {
    json(200, r#"{"header":{"cluster_id":"7","revision":"9"}}"#)
}

fn v2_ok() -> Step {
    keys(200, 7, file("set", "/x", 7))
}

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    builder(steps).build().unwrap()
}

fn set(client: &Client<ScriptedTransport>) -> Result<()> {
    block_on(client.send(Set::new("x", "y"))).map(drop)
}

fn put(client: &Client<ScriptedTransport>) -> Result<()> {
    block_on(client.send(Put::new("k", "v"))).map(drop)
}

/// What shows that nothing was done: a peer port, a wrong path, and what proxies say.
fn not_served() -> Vec<Step> {
    let elsewhere = |status| {
        let headers = vec![("location", "https://login.example/".to_owned())];
        Step::Respond(status, headers, Ending::Whole(String::new()))
    };
    let mut all = vec![
        page(404, "404 page not found\n"),
        json(404, r#"{"error":"no such route"}"#),
    ];
    all.extend([401, 403, 404, 413, 421, 429, 431].map(|status| page(status, "<h1>No</h1>")));
    all.extend([301, 302, 307, 308].map(elsewhere));
    all
}

#[test]
fn what_shows_that_nothing_was_done_goes_to_the_next_endpoint_writes_too() {
    for number in 0..not_served().len() {
        let step = || not_served().swap_remove(number);
        let v2 = client([step(), v2_ok(), v2_ok()]);
        set(&v2).unwrap_or_else(|error| panic!("{:?}: {error}", step()));
        // It is remembered for a while.
        set(&v2).unwrap();
        assert_eq!(hosts(&v2), "abb", "{:?}", step());
        let v3 = client([step(), v3_ok(), v3_ok()]);
        put(&v3).unwrap_or_else(|error| panic!("{:?}: {error}", step()));
        put(&v3).unwrap();
        assert_eq!(hosts(&v3), "abb", "{:?}", step());
        assert_eq!(v3.transport().elapsed(), Duration::ZERO, "no pause");
    }
}

#[test]
fn by_grpc_too_what_shows_that_nothing_was_done_goes_to_the_next_endpoint() {
    for step in not_served() {
        let shown = format!("{step:?}");
        let client = grpc([step, grpc_message(Some(0)), grpc_message(Some(0))]);
        put(&client).unwrap_or_else(|error| panic!("{shown}: {error}"));
        put(&client).unwrap();
        assert_eq!(hosts(&client), "abb", "{shown}");
    }
}

#[test]
fn an_endpoint_that_was_passed_over_is_tried_again_after_a_minute() {
    let client = client([page(404, "no"), v2_ok(), v2_ok(), v2_ok()]);
    set(&client).unwrap();
    block_on(client.transport().sleep(Duration::from_secs(59)));
    set(&client).unwrap();
    block_on(client.transport().sleep(Duration::from_secs(1)));
    set(&client).unwrap();
    assert_eq!(hosts(&client), "abba");
}

#[test]
fn when_no_endpoint_serves_a_call_the_error_names_each_with_its_reason() {
    let v2 = client([page(404, "404 page not found\n"), page(403, "no")]);
    let error = set(&v2).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(
        error.to_string(),
        "v2.keys.set at http://b (attempt 2): HTTP status 403 Forbidden, not an etcd error response: \"no\": \
         a proxy before etcd does not let this client through; \
         http://a: no v2 API here: is this a peer port? If it is the port for clients, start etcd with --enable-v2 \
         (3.4 and 3.5; 3.6 has none): \"404 page not found\": the endpoint names no port, so this is port 80: \
         did you mean :2379?"
    );
    // They are asked again the next time: a proxy may have changed its mind.
    let v3 = client([
        page(404, "<html>"),
        page(404, "404 page not found\n"),
        page(429, ""),
        v3_ok(),
    ]);
    let error = put(&v3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v3.kv.put at http://b (attempt 2): no v3 API here: is this a peer port? If it is the port for clients, etcd has \
         its JSON gateway disabled, or is too old: \"404 page not found\": the endpoint names no port, so this is port 80: \
         did you mean :2379?; \
         http://a: this is not etcd's v3 API: is the path of this endpoint wrong?: \"<html>\": the endpoint names no \
         port, so this is port 80: did you mean :2379?"
    );
    put(&v3).unwrap();
    assert_eq!(hosts(&v3), "abab");
}

#[test]
fn several_endpoints_that_are_down_are_all_named() {
    let client = client([Step::Refuse, Step::Refuse]);
    let client = client.with_retry(RetryPolicy::default().attempts(2));
    let error = set(&client).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.set at http://b (attempt 2): could not connect: connection refused: the endpoint names no port, so this \
         is port 80: did you mean :2379?; \
         http://a: could not connect: connection refused: the endpoint names no port, so this is port 80: did you mean \
         :2379?"
    );
}

#[test]
fn what_may_have_been_done_goes_on_only_where_a_repeat_is_safe() {
    for step in [
        || page(500, "<h1>Oops</h1>"),
        || page(501, ""),
        || page(520, ""),
        || page(200, "<h1>Maintenance</h1>"),
        || page(204, ""),
        || json(200, "{}"),
        || json(200, r#"{"header":{},"kvs":[]}"#),
    ] {
        let (v2, v3) = (client([step()]), client([step()]));
        for (client, error) in [(&v2, set(&v2)), (&v3, put(&v3))] {
            let error = error.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(hosts(client), "a");
        }
        let v2 = client([step(), v2_ok()]);
        block_on(v2.send(Get::new("x"))).unwrap();
        let v3 = client([step(), v3_ok()]);
        block_on(v3.send(Range::new("k"))).unwrap();
        assert_eq!(hosts(&v2) + &hosts(&v3), "abab");
    }
}

#[test]
fn what_etcd_itself_refuses_is_asked_of_no_other_endpoint() {
    let v2 = client([etcd_error(403, 102, 9)]);
    assert!(set(&v2).unwrap_err().is_not_a_file());
    let v2 = client([json(401, r#"{"message":"Insufficient credentials"}"#)]);
    assert!(set(&v2).unwrap_err().is_unauthorized());
    // A response to HEAD has no body: etcd shows itself by its headers.
    let head = with_headers(json(404, ""), &[("x-etcd-cluster-id", "cdf818194e3a8c32")]);
    let v2 = client([head]);
    block_on(v2.send(v2.request(etcd_http::transport::http::Method::HEAD, "/v2/keys/x")))
        .unwrap_err();
    assert_eq!(hosts(&v2), "a");
    let v3 = client([json(
        403,
        r#"{"code":7,"message":"etcdserver: permission denied"}"#,
    )]);
    assert!(put(&v3).unwrap_err().is_permission_denied());
}

#[test]
fn a_proxy_that_asks_for_a_pause_gets_it_writes_too() {
    let later = with_headers(page(429, "slow down"), &[("retry-after", "3")]);
    let client = Client::new(ScriptedTransport::new([later, v2_ok()]), ["http://a"]).unwrap();
    set(&client).unwrap();
    assert_eq!(client.transport().elapsed(), Duration::from_secs(3));
}

fn learner() -> Step {
    json(
        503,
        r#"{"code":14,"message":"etcdserver: rpc not supported for learner"}"#,
    )
}

#[test]
fn a_learner_is_passed_over_by_the_gateway_and_by_grpc() {
    let client = self::client([learner(), v3_ok(), v3_ok()]);
    put(&client).unwrap();
    put(&client).unwrap();
    assert_eq!(hosts(&client), "abb");
    let status = vec![
        ("grpc-status", "14".to_owned()),
        (
            "grpc-message",
            "etcdserver: rpc not supported for learner".to_owned(),
        ),
    ];
    let refused = Step::Respond(200, status, Ending::Whole(String::new()));
    let client = grpc([refused, grpc_message(Some(0)), grpc_message(Some(0))]);
    put(&client).unwrap();
    put(&client).unwrap();
    assert_eq!(hosts(&client), "abb");
    // A learner alone says what it is, each time.
    let alone = Client::new(ScriptedTransport::new([learner(), learner()]), ["http://a"]).unwrap();
    for _ in 0..2 {
        let error = put(&alone).unwrap_err();
        assert_eq!(
            error.etcd_kind(),
            Some(etcd_http::EtcdErrorKind::NotSupportedByLearner)
        );
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
}

/// What a proxy says that keeps requests from etcd.
const NOT_SERVED: [u16; 11] = [301, 302, 307, 308, 401, 403, 404, 413, 421, 429, 431];

#[test]
fn a_stream_is_opened_at_an_endpoint_that_serves_it() {
    for (status, body) in [
        (
            503,
            r#"{"code":14,"message":"etcdserver: rpc not supported for learner"}"#,
        ),
        (404, "404 page not found\n"),
    ]
    .into_iter()
    .chain(NOT_SERVED.map(|status| (status, "<h1>No</h1>")))
    {
        let store = Store::at(4).with(|state| {
            state.write(["k".to_owned()]);
            let answer = Some((status, body.into()));
            let connection = Connection {
                answer,
                ..Connection::default()
            };
            state.connections = [connection].into();
        });
        let client = Client::new(store, ["http://a", "http://b"]).unwrap();
        for _ in 0..2 {
            let mut watch = client.open(v3::Watch::new("k").from_revision(5));
            client.transport().clock.run(watch.next()).unwrap().unwrap();
        }
    }
}

#[test]
fn a_v2_watch_goes_where_it_is_served() {
    let event = || keys(200, 7, file("set", "/x", 7));
    let client = client([page(404, "404 page not found\n"), event()]);
    let mut watch = client.open(v2::Watch::new("x").from_index(7));
    block_on(watch.next()).unwrap().unwrap();
    assert_eq!(hosts(&client), "ab");
    let client = self::client([page(403, ""), page(404, "no")]);
    let mut watch = client.open(v2::Watch::new("x").from_index(7));
    block_on(watch.next()).unwrap().unwrap_err();
    assert_eq!(hosts(&client), "ab");
}

#[test]
fn a_sync_leaves_learners_out() {
    let list = r#"{"header":{"cluster_id":"7"},"members":[
        {"ID":"1","name":"v","clientURLs":["http://c"]},
        {"ID":"2","name":"l","clientURLs":["http://d"],"isLearner":true}]}"#;
    let client = client([json(200, list)]);
    let synced = block_on(client.sync()).unwrap();
    let added: Vec<_> = synced.added.iter().map(ToString::to_string).collect();
    assert_eq!(added, ["http://c"]);
}

#[test]
fn a_success_without_a_mandatory_field_is_unexpected() {
    let unexpected = |error: Error| {
        assert!(matches!(error, Error::Unexpected(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    };
    let v3 = |body: &str| client([json(200, body)]);
    let header = r#"{"header":{"cluster_id":"7","revision":"9"}"#;
    for body in ["{}", r#"{"header":{"revision":"9"},"key":"bC83","ID":"7"}"#] {
        unexpected(put(&v3(body)).unwrap_err());
        unexpected(block_on(v3(body).send(v3::Lock::new("l", 7))).unwrap_err());
        unexpected(block_on(v3(body).send(v3::Campaign::new("e", 7, "v"))).unwrap_err());
        let server = v3::GrantLease::new(Duration::from_secs(9)).id_of_the_server();
        unexpected(block_on(v3(body).send(server)).unwrap_err());
    }
    // A header alone is no lock, no lease and no leader.
    let alone = format!("{header}}}");
    unexpected(block_on(v3(&alone).send(v3::Lock::new("l", 7))).unwrap_err());
    unexpected(block_on(v3(&alone).send(v3::Campaign::new("e", 7, "v"))).unwrap_err());
    let no_revision = format!(r#"{header},"leader":{{"name":"ZQ==","key":"ZS83"}}}}"#);
    unexpected(block_on(v3(&no_revision).send(v3::Campaign::new("e", 7, "v"))).unwrap_err());
    let grant = || v3::GrantLease::new(Duration::from_secs(9));
    unexpected(block_on(v3(&alone).send(grant())).unwrap_err());
    // v2 tells the index of its store.
    unexpected(set(&client([json(200, &file("set", "/x", 7))])).unwrap_err());
}
