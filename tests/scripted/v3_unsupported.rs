//! Calls that a server does not support: each endpoint reports it once, and the client remembers it for a while.

use std::time::Duration;

use etcd_http::{
    Attempt, AttemptOutcome, Client, Error, Operation, Outcome, Protocol, Result, RetryPolicy,
    transport::{Transport, http::Method},
    v3::{
        Downgrade, GetAuthStatus, GetHashKv, KeepAlive, LeaseKeeper, Observe, Put, Snapshot, Watch,
    },
};
use futures::{StreamExt, executor::block_on};
use harness::scripted_transport::{self, Ending, ScriptedTransport, Step};

use crate::{
    protocol::grpc_refusal,
    v3_store::{Connection, Store},
};

fn client(endpoints: &[&str], steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let endpoints = endpoints.iter().map(|host| format!("http://{host}"));
    Client::new(ScriptedTransport::new(steps), endpoints).unwrap()
}

/// Responds as etcd 3.4 does to a call that it does not have.
fn unsupported() -> Step {
    Step::Respond(404, vec![], Ending::Whole("Not Found\n".into()))
}

fn ok() -> Step {
    Step::Respond(
        200,
        vec![],
        Ending::Whole(r#"{"header":{"cluster_id":"7","revision":"7"}}"#.into()),
    )
}

fn send<O: Operation>(client: &Client<ScriptedTransport>, operation: O) -> Result<O::Output> {
    block_on(client.send(operation))
}

#[track_caller]
fn assert_unsupported<O: std::fmt::Debug>(result: Result<O>, outcome: Outcome) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), outcome, "{error}");
}

/// Returns the hosts of the requests.
fn hosts(client: &Client<ScriptedTransport>) -> String {
    let seen = client.transport().seen();
    seen.iter().filter_map(|line| line.chars().nth(5)).collect()
}

fn pass(client: &Client<ScriptedTransport>, seconds: u64) {
    block_on(client.transport().sleep(Duration::from_secs(seconds)));
}

#[test]
fn v3_2_what_no_endpoint_supports_is_sent_to_each_once_and_then_not_sent() {
    for say in [
        unsupported,
        || {
            Step::Respond(
                404,
                vec![],
                Ending::Whole(r#"{"code":5,"message":"Not Found"}"#.into()),
            )
        },
        || {
            Step::Respond(
                501,
                vec![],
                Ending::Whole(r#"{"code":12,"message":"no such method"}"#.into()),
            )
        },
    ] {
        let client = client(&["a", "b", "c"], [say(), say(), say(), ok()]);
        assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
        assert_eq!(hosts(&client), "abc");
        for _ in 0..3 {
            assert_unsupported(send(&client, GetHashKv::new()), Outcome::NotSent);
        }
        assert_eq!(client.transport().elapsed(), Duration::ZERO, "no pause");
        // It has the others.
        send(&client, Put::new("k", "v")).unwrap();
        assert_eq!(hosts(&client).len(), 4);
    }
}

#[test]
fn an_unsupported_call_is_described_in_the_error() {
    let client = client(&["a"], [unsupported()]);
    let said = send(&client, GetHashKv::new()).unwrap_err();
    assert_eq!(
        said.to_string(),
        "v3.maintenance.hash_kv at http://a: this server does not have this call: its etcd is too old for it: \"Not Found\""
    );
    let known = send(&client, GetHashKv::new()).unwrap_err();
    assert_eq!(
        known.to_string(),
        "v3.maintenance.hash_kv at http://a: this cluster does not support this call, as its endpoints have reported within the last minute: nothing was sent"
    );
}

#[test]
fn where_the_endpoint_has_a_path_it_is_the_likely_reason_for_an_unsupported_call() {
    const REASON: &str = "this server does not have this call: the path of the endpoint is likely wrong, since etcd itself has \
         none; or its etcd is too old for the call";
    let by_gateway = client(&["a/etcd"], [unsupported()]);
    let said = send(&by_gateway, Put::new("k", "v")).unwrap_err();
    let expected = format!("v3.kv.put at http://a/etcd: {REASON}: \"Not Found\"");
    assert_eq!(said.to_string(), expected);

    let refusal = grpc_refusal(12, "unknown service etcd/etcdserverpb.KV");
    let by_grpc = Client::builder(ScriptedTransport::new([refusal]).with_grpc())
        .endpoints(["http://a/etcd"])
        .protocol(Protocol::Grpc)
        .build()
        .unwrap();
    let said = send(&by_grpc, Put::new("k", "v")).unwrap_err();
    let words = "\"unknown service etcd/etcdserverpb.KV\"";
    let expected = format!("v3.kv.put at http://a/etcd: {REASON}: {words}");
    assert_eq!(said.to_string(), expected);
}

#[test]
fn while_a_cluster_is_upgraded_a_call_goes_to_a_member_that_supports_it() {
    let client = client(
        &["a", "b", "c"],
        [unsupported(), unsupported(), ok(), ok(), ok()],
    );
    send(&client, GetHashKv::new()).unwrap();
    send(&client, GetHashKv::new()).unwrap();
    assert_eq!(hosts(&client), "abcc");
    // It attracts no other calls.
    send(&client, Put::new("k", "v")).unwrap();
    assert_eq!(hosts(&client), "abcca");
}

#[test]
fn a_call_for_every_member_is_sent_to_none_while_one_does_not_support_it() {
    // A member of 3.5 that executes the call makes members of 3.4 panic.
    let client = client(&["a", "b"], [unsupported(), unsupported(), ok(), ok()]);
    for outcome in [Outcome::Rejected, Outcome::NotSent] {
        assert_unsupported(send(&client, GetAuthStatus::new()), outcome);
    }
    for outcome in [Outcome::Rejected, Outcome::NotSent] {
        assert_unsupported(send(&client, Downgrade::validate("3.4.0")), outcome);
    }
    assert_eq!(hosts(&client), "aa");
    pass(&client, 60);
    send(&client, GetAuthStatus::new()).unwrap();
}

#[test]
fn an_endpoint_without_a_call_is_used_for_all_others() {
    let client = client(&["a", "b"], [unsupported(), unsupported(), ok(), ok()]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
    send(&client, Put::new("k", "v")).unwrap();
    send(&client, Put::new("k", "v")).unwrap();
    assert_eq!(hosts(&client), "abaa");
    let client = self::client(&["a", "b"], [unsupported(), ok(), ok()]);
    send(&client, GetHashKv::new()).unwrap();
    send(&client, Put::new("k", "v")).unwrap();
    assert_eq!(hosts(&client), "aba");
}

#[test]
fn a_server_that_is_upgraded_is_tried_again_after_a_minute() {
    let client = client(&["a", "b"], [unsupported(), unsupported(), ok()]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
    pass(&client, 59);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::NotSent);
    pass(&client, 1);
    send(&client, GetHashKv::new()).unwrap();
    assert_eq!(hosts(&client), "aba");
}

#[test]
fn a_server_that_was_away_is_tried_again_at_once() {
    for away in [Step::Refuse, Step::Break] {
        let client = client(&["a"], [unsupported(), away, ok()]);
        let client = client.with_retry(RetryPolicy::never());
        assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
        assert_unsupported(send(&client, GetHashKv::new()), Outcome::NotSent);
        send(&client, Put::new("k", "v")).unwrap_err();
        send(&client, GetHashKv::new()).unwrap();
    }
}

#[test]
fn an_endpoint_that_does_not_respond_may_support_the_call() {
    let client = client(
        &["a", "b"],
        [unsupported(), Step::Refuse, Step::Refuse, ok()],
    );
    send(&client, GetHashKv::new()).unwrap();
    assert_eq!(hosts(&client), "abbb");
}

#[test]
fn a_call_that_is_sent_once_is_sent_to_the_next_endpoint_the_next_time() {
    let client = client(&["a", "b"], [unsupported(), ok()]);
    let once = client.with_retry(RetryPolicy::never());
    assert_unsupported(send(&once, GetHashKv::new()), Outcome::Rejected);
    send(&once, GetHashKv::new()).unwrap();
    assert_eq!(hosts(&client), "ab");
}

#[test]
fn what_is_known_of_an_endpoint_survives_a_sync_and_a_new_one_is_asked() {
    let client = client(&["a"], [unsupported(), unsupported(), unsupported(), ok()]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
    client.merge_endpoints(["http://b"]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
    client.merge_endpoints(["http://b", "http://c"]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::Rejected);
    assert_eq!(hosts(&client), "abc");
    // An endpoint that is removed and added again is a new one.
    client.merge_endpoints(["http://c"]);
    assert_unsupported(send(&client, GetHashKv::new()), Outcome::NotSent);
    client.merge_endpoints(["http://b", "http://c"]);
    send(&client, GetHashKv::new()).unwrap();
    assert_eq!(hosts(&client), "abcb");
}

#[test]
fn the_leader_is_not_asked_for_what_it_does_not_support() {
    let list = scripted_transport::members(&[&["http://a"], &["http://b"]]);
    let leader = scripted_transport::leader(2);
    let script = ScriptedTransport::new([list, leader, unsupported(), ok(), ok(), ok()]);
    let client = Client::builder(script).endpoints(["http://a", "http://b"]);
    let client = client.prefer_leader(true).build().unwrap();
    block_on(client.sync()).unwrap();
    // A write, which would go to the leader.
    let enable = etcd_http::v3::EnableAuth::new;
    send(&client, enable()).unwrap();
    send(&client, enable()).unwrap();
    send(&client, Put::new("k", "v")).unwrap();
    let seen = client.transport().seen();
    assert_eq!(
        seen[2..],
        [
            "POST b/v3/auth/enable",
            "POST a/v3/auth/enable",
            "POST a/v3/auth/enable",
            "POST b/v3/kv/put"
        ]
    );
}

#[test]
fn a_404_of_a_proxy_does_not_mark_the_call_as_unsupported() {
    for page in [
        "404 page not found\n",
        "default backend - 404",
        "<h1>Not Found</h1>",
    ] {
        let page = || Step::Respond(404, vec![], Ending::Whole(page.into()));
        let alone = client(&["a"], [page(), ok()]);
        assert_unsupported(send(&alone, GetHashKv::new()), Outcome::Rejected);
        send(&alone, GetHashKv::new()).unwrap();
        let client = client(&["a", "b"], [page(), ok()]);
        send(&client, GetHashKv::new()).unwrap();
        assert_eq!(hosts(&client), "ab");
    }
}

#[test]
fn a_raw_request_does_not_mark_a_call_as_unsupported() {
    let client = client(&["a"], [unsupported(), unsupported(), ok()]);
    let raw = || client.request(Method::POST, "/v3/maintenance/hashkv");
    for _ in 0..2 {
        let error = send(&client, raw()).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    }
    send(&client, GetHashKv::new()).unwrap();
}

#[test]
fn an_observer_sees_each_response() {
    let reported = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = std::sync::Arc::clone(&reported);
    let client = Client::builder(ScriptedTransport::new([unsupported(), ok()]))
        .endpoints(["http://a", "http://b"]);
    let client = client.observe(move |attempt: &Attempt| {
        let status = attempt.status.map(|status| status.as_u16());
        tell.lock()
            .unwrap()
            .push((attempt.number, attempt.outcome, status));
    });
    send(&client.build().unwrap(), GetHashKv::new()).unwrap();
    let answered = AttemptOutcome::Answered;
    let expected = [(1, answered, Some(404)), (2, answered, Some(200))];
    assert_eq!(*reported.lock().unwrap(), expected);
}

fn unsupporting() -> Connection {
    Connection::responding(404, "Not Found\n")
}

/// A client of two endpoints. The first this many requests for a stream are not supported.
fn store(rejected: usize) -> Client<Store> {
    let store = Store::at(4).with(|state| {
        state.write(["k".to_owned()]);
        state.messages = vec![serde_json::json!({"kv": {"key": "aw==", "mod_revision": "5"}})];
        state
            .leases
            .insert(7, (Duration::from_secs(10), Duration::from_secs(10)));
        state.connections = vec![unsupporting(); rejected].into();
    });
    Client::new(store, ["http://a", "http://b"]).unwrap()
}

/// Returns the hosts to which this path was sent.
fn asked(client: &Client<Store>, path: &str) -> String {
    let seen = client.transport().seen();
    let hosts = seen.iter().filter_map(|line| line.split_once(path));
    hosts.map(|(host, _)| host).collect()
}

/// Returns the first items of two streams, opened one after the other, or their errors.
fn two<O: etcd_http::StreamOperation>(
    client: &Client<Store>,
    open: impl Fn() -> O,
) -> [Result<()>; 2] {
    [(), ()].map(|()| {
        let mut stream = client.open(open());
        let first = client.transport().clock.run(stream.next());
        first.unwrap().map(drop)
    })
}

#[test]
fn a_stream_is_opened_at_an_endpoint_that_supports_it() {
    let watch = || Watch::new("k").from_revision(5);
    let client = store(1);
    assert!(two(&client, watch).iter().all(Result::is_ok));
    assert_eq!(asked(&client, "/v3/watch"), "abb");
    let client = store(1);
    assert!(two(&client, || Observe::new("e")).iter().all(Result::is_ok));
    assert_eq!(asked(&client, "/v3/election/observe"), "abb");
}

#[test]
fn a_stream_that_no_endpoint_has_is_an_error_and_then_is_not_asked_for() {
    fn check<O: etcd_http::StreamOperation>(path: &str, open: impl Fn() -> O) {
        let client = store(2);
        let [first, second] = two(&client, open);
        assert_unsupported(first, Outcome::Rejected);
        assert_unsupported(second, Outcome::NotSent);
        assert_eq!(asked(&client, path), "ab");
    }
    check("/v3/watch", || Watch::new("k").from_revision(5));
    check("/v3/election/observe", || Observe::new("e"));
    check("/v3/maintenance/snapshot", Snapshot::new);
    check("/v3/lease/keepalive", || KeepAlive::new(7));
}

#[test]
fn what_a_stream_has_learned_a_call_knows_and_the_other_way_round() {
    let client = store(2);
    let clock = &client.transport().clock;
    let renew = || etcd_http::v3::KeepAliveOnce::new(7);
    assert_unsupported(clock.run(client.send(renew())), Outcome::Rejected);
    let mut renewals = client.open(KeepAlive::new(7));
    assert_unsupported(clock.run(renewals.next()).unwrap(), Outcome::NotSent);
    assert_eq!(asked(&client, "/v3/lease/keepalive"), "ab");
}

#[test]
fn a_lease_is_renewed_by_an_endpoint_that_supports_it() {
    let client = store(0);
    let (keeper, run) = LeaseKeeper::new(&client);
    let work = async {
        let lease = keeper.grant(Duration::from_secs(10)).await.unwrap();
        client.transport().state.lock().unwrap().connections = [unsupporting()].into();
        client
            .transport()
            .clock
            .sleep(Duration::from_secs(25))
            .await;
        assert!(lease.is_alive());
    };
    let clock = &client.transport().clock;
    clock.run(futures::future::select(Box::pin(work), Box::pin(run)));
    let asked = asked(&client, "/v3/lease/keepalive");
    assert!(asked.starts_with("abbb"), "{asked}");
}
