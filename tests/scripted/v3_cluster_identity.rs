//! Responses of v3 and messages of its streams contain the id of the cluster: those of another one are errors.

use std::time::Duration;

use etcd_http::{
    Client, Error, Operation, Outcome, RawResponse, Result,
    transport::http::Method,
    v3::{
        Authenticate, ExactlyOnce, GetLeader, KeepAlive, KeepAliveOnce, LeaseKeeper, ListAlarms,
        ListLeases, ListRoles, ListUsers, Observe, Put, Range, Snapshot, Txn, Watch,
    },
};
use futures::{
    StreamExt,
    executor::block_on,
    future::{join, select},
};
use harness::scripted_transport::{Ending, ScriptedTransport, Step};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::v3_store::{Connection, Store, base64};

/// A response of this cluster that every operation can decode.
fn of(cluster: u32) -> Step {
    let header = format!(r#"{{"header":{{"cluster_id":"{cluster}"}},"kvs":[]"#);
    let body = format!(r#"{header},"result":{header},"ID":"7","TTL":"9"}}}}"#);
    let headers = vec![("content-type", "application/json".to_owned())];
    Step::Respond(200, headers, Ending::Whole(body))
}

/// Returns the error, after the first cluster has responded once, and the requests.
fn from_another<O: Operation>(operation: O) -> (Error, Vec<String>) {
    let client = Client::new(
        ScriptedTransport::new([of(1), of(2), of(1)]),
        ["http://a", "http://b"],
    );
    let client = client.unwrap();
    block_on(client.send(Range::new("k"))).unwrap();
    let error = block_on(client.send(operation)).map(drop).unwrap_err();
    block_on(client.send(Range::new("k"))).unwrap();
    (error, client.transport().seen())
}

#[track_caller]
fn assert_refused<O: Operation>(operation: O) {
    let (error, seen) = from_another(operation);
    assert!(error.is_cluster_changed(), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    let is_write = ["v3.kv.put", "v3.kv.exactly_once"].contains(&O::NAME);
    let doubt = if is_write {
        " (the write may have been applied)"
    } else {
        ""
    };
    assert_eq!(
        error.to_string(),
        format!(
            "{} at http://a: the response is from the cluster 2, and those before were from \
             1: is an endpoint wrong, or was the cluster replaced? If so, set \
             `allow_cluster_change`{doubt}",
            O::NAME
        )
    );
    // The request is not retried, and the endpoint is avoided from then on.
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[2], "POST b/v3/kv/range");
}

#[test]
fn r_22_no_response_of_another_cluster_counts_whatever_the_operation_makes_of_it() {
    assert_refused(Range::new("k"));
    assert_refused(Put::new("k", "v"));
    assert_refused(ExactlyOnce::new("m", Txn::new()));
    assert_refused(KeepAliveOnce::new(7));
    assert_refused(ListLeases::new());
    assert_refused(GetLeader::new("e"));
    assert_refused(ListAlarms::new());
    assert_refused(ListUsers::new());
    assert_refused(ListRoles::new());
    assert_refused(Authenticate::new("u", "p"));
}

#[test]
fn a_raw_request_is_guarded_like_any_other() {
    let raw = |client: &Client<ScriptedTransport>| -> Result<RawResponse> {
        let body = json!({"key": "aw=="});
        block_on(client.send(client.request(Method::POST, "/v3/kv/range").json(&body)))
    };
    let client = Client::new(ScriptedTransport::new([of(1), of(2)]), ["http://a"]).unwrap();
    raw(&client).unwrap();
    assert!(raw(&client).unwrap_err().is_cluster_changed());
}

#[test]
fn both_apis_tell_of_the_same_cluster() {
    let v2 = Step::Respond(
        200,
        vec![
            ("x-etcd-cluster-id", "ff".to_owned()),
            ("x-etcd-index", "3".to_owned()),
        ],
        Ending::Whole(harness::scripted_transport::file("get", "/x", 3)),
    );
    let client = Client::new(ScriptedTransport::new([v2, of(255), of(256)]), ["http://a"]).unwrap();
    block_on(client.v2().get("/x")).unwrap();
    block_on(client.send(Range::new("k"))).unwrap();
    let error = block_on(client.send(Range::new("k"))).unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
}

/// A response of this member, in this term.
fn by(member: u32, term: u32) -> Step {
    let header = format!(
        r#"{{"header":{{"cluster_id":"7","member_id":"{member}","revision":"900","raft_term":"{term}"}}"#
    );
    let headers = vec![("content-type", "application/json".to_owned())];
    Step::Respond(
        200,
        headers,
        Ending::Whole(format!(r#"{header},"kvs":[]}}"#)),
    )
}

fn read(client: &Client<ScriptedTransport>) -> Result<u64> {
    block_on(client.send(Range::new("k"))).map(|range| range.header.raft_term)
}

#[test]
fn a_recreated_store_that_has_overtaken_is_found_by_the_term_of_its_member() {
    let steps = [by(1, 5), by(1, 2), by(1, 2)];
    let client = Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap();
    read(&client).unwrap();
    for operation in ["v3.kv.range", "v3.kv.put"] {
        let error = match operation {
            "v3.kv.put" => block_on(client.send(Put::new("k", "v"))).map(drop),
            _ => read(&client).map(drop),
        };
        let error = error.unwrap_err();
        assert!(error.is_cluster_changed(), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown);
        let doubt = match operation {
            "v3.kv.put" => " (the write may have been applied)",
            _ => "",
        };
        assert_eq!(
            error.to_string(),
            format!(
                "{operation} at http://a: the raft term of member 1 is 2, and was 5 before: was the \
                 cluster's data lost or restored? If so, set `allow_cluster_change`{doubt}"
            )
        );
    }
}

#[test]
fn a_member_that_lags_behind_the_others_rightly_shows_a_lower_term() {
    let steps = [by(1, 5), by(2, 3), by(1, 6), by(2, 4), by(3, 1), by(2, 6)];
    let count = steps.len();
    let client = Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap();
    for _ in 0..count {
        read(&client).unwrap();
    }
}

#[test]
fn a_recreated_store_is_accepted_where_that_is_meant_and_must_not_go_back_from_there() {
    let steps = [by(1, 5), by(1, 2), by(1, 3), by(1, 3)];
    let client = Client::builder(ScriptedTransport::new(steps))
        .endpoints(["http://a"])
        .allow_cluster_change(true)
        .build()
        .unwrap();
    let terms: Vec<_> = (0..4).map(|_| read(&client).unwrap()).collect();
    assert_eq!(terms, [5, 2, 3, 3]);
}

#[test]
fn a_watch_does_not_go_on_in_a_recreated_store() {
    let store = Store::at(4).with(|state| {
        state.write(["k".to_owned()]);
        state.raft_term = 5;
    });
    let client = client(store);
    let clock = &client.transport().clock;
    client.transport().state.lock().unwrap().raft_term = 2;
    let mut watch = client.open(Watch::new("k").from_revision(5));
    let error = clock.run(watch.next()).unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    assert!(clock.run(watch.next()).is_none());
}

fn client(store: Store) -> Client<Store> {
    let client = Client::new(store, ["http://a", "http://b"]).unwrap();
    client
        .transport()
        .clock
        .run(client.send(Range::new("k")))
        .unwrap();
    client
}

fn another() -> Connection {
    Connection {
        cluster: Some(8),
        ..Connection::default()
    }
}

/// Returns the endpoints to which this path was sent.
fn hosts(client: &Client<Store>, path: &str) -> Vec<String> {
    let seen = client.transport().seen();
    let hosts = seen.iter().filter_map(|line| line.split_once(path));
    hosts.map(|(host, _)| host.to_owned()).collect()
}

#[test]
fn r_22_a_watch_that_another_cluster_would_serve_is_an_error_and_the_next_is_opened_elsewhere() {
    let store = Store::at(4).with(|state| {
        state.write(["k".to_owned()]);
        state.connections = [another()].into();
    });
    let client = client(store);
    let clock = &client.transport().clock;
    let mut watch = client.open(Watch::new("k").from_revision(5));
    let error = clock.run(watch.next()).unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    assert!(clock.run(watch.next()).is_none());
    let mut watch = client.open(Watch::new("k").from_revision(5));
    assert_eq!(clock.run(watch.next()).unwrap().unwrap().revision, 5);
    assert_eq!(hosts(&client, "/v3/watch"), ["a", "b"]);
}

#[test]
fn r_22_a_silent_watch_notices_another_cluster_when_it_asks_who_is_there() {
    let client = client(Store::at(4));
    let clock = &client.transport().clock;
    let mut watch = client.open(Watch::new("k").from_revision(5));
    let minute = Box::pin(clock.sleep(Duration::from_secs(60)));
    clock.run(select(watch.next(), minute));
    client.transport().state.lock().unwrap().cluster = 8;
    let error = clock.run(watch.next()).unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
}

#[test]
fn r_22_an_observer_does_not_tell_of_another_clusters_leader() {
    let leader = |cluster: &str| {
        let kv = json!({"key": base64("one"), "mod_revision": "5"});
        json!({"header": {"cluster_id": cluster}, "kv": kv})
    };
    let store = Store::at(4).with(|state| state.messages = vec![leader("7"), leader("8")]);
    let client = client(store);
    let clock = &client.transport().clock;
    let mut leaders = client.open(Observe::new("e"));
    clock.run(leaders.next()).unwrap().unwrap();
    let error = clock.run(leaders.next()).unwrap().unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
}

#[test]
fn r_22_a_lease_is_not_lost_because_another_cluster_does_not_have_it() {
    const TTL: Duration = Duration::from_secs(10);
    let client = client(Store::at(1));
    let clock = &client.transport().clock;
    let (keeper, run) = LeaseKeeper::new(&client);
    let work = async {
        let lease = keeper.grant(TTL).await.unwrap();
        let mut renewals = client.open(KeepAlive::new(lease.id()));
        renewals.next().await.unwrap().unwrap();
        for _ in 0..3 {
            client.transport().state.lock().unwrap().connections = [another(), another()].into();
            assert_eq!(renewals.next().await.unwrap().unwrap(), TTL);
            assert!(lease.is_alive());
        }
    };
    clock.run(select(Box::pin(work), Box::pin(run)));
}

#[test]
fn a_lease_reports_why_it_could_not_be_renewed() {
    const TTL: Duration = Duration::from_secs(10);
    let client = client(Store::at(1));
    let (keeper, run) = LeaseKeeper::new(&client);
    let work = async move {
        let lease = keeper.grant(TTL).await.unwrap();
        lease.lost().await
    };
    client.transport().state.lock().unwrap().connections = vec![another(); 10_000].into();
    let (loss, ()) = client.transport().clock.run(join(work, run));
    assert!(loss.is_deadline(), "{loss}");
    assert!(loss.last_error().unwrap().is_cluster_changed(), "{loss}");
}

#[test]
fn r_22_a_snapshot_names_no_cluster_so_its_member_is_asked_before_the_first_piece() {
    let database = b"database";
    let blobs = [&database[..], &Sha256::digest(database)];
    for (cluster, whole) in [(7, true), (8, false)] {
        let store = Store::at(4).with(|state| {
            let blobs = blobs.map(|blob| {
                use base64::{Engine, prelude::BASE64_STANDARD};
                json!({"blob": BASE64_STANDARD.encode(blob)})
            });
            state.messages = blobs.into();
            state.connections = [Connection {
                ends: true,
                ..Connection::default()
            }]
            .into();
        });
        let client = client(store);
        client.transport().state.lock().unwrap().cluster = cluster;
        let clock = &client.transport().clock;
        let mut pieces = client.open(Snapshot::new());
        let first = clock.run(pieces.next()).unwrap();
        if whole {
            first.unwrap();
        } else {
            assert!(first.unwrap_err().is_cluster_changed());
            assert!(clock.run(pieces.next()).is_none());
            assert!(
                clock
                    .run(client.open(Snapshot::new()).next())
                    .unwrap()
                    .is_err()
            );
        }
        let asked = if whole { &["a"][..] } else { &["a", "b"] };
        assert_eq!(hosts(&client, "/v3/maintenance/status"), asked);
    }
}

#[test]
fn a_snapshot_is_taken_from_a_member_that_is_not_well() {
    let store = Store::at(4).with(|state| {
        state.failing_status = 1;
        let file = [&[0; 8][..], &Sha256::digest([0; 8])].concat();
        use base64::{Engine, prelude::BASE64_STANDARD};
        state.messages = vec![json!({"blob": BASE64_STANDARD.encode(file)})];
        state.connections = [Connection {
            ends: true,
            ..Connection::default()
        }]
        .into();
    });
    let client = client(store);
    let mut file = Vec::new();
    let size = client
        .transport()
        .clock
        .run(Snapshot::new().write_to(&client, &mut file));
    assert_eq!(size.unwrap(), 40);
}
