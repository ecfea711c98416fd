//! Locks and elections that the server reports as acquired: whether their keys are still there.

use std::time::Duration;

use etcd_http::{
    Client, Error, Outcome, Result,
    v3::{Campaign, LeaseId, Lock},
};
use futures::future::BoxFuture;

use crate::v3_store::{Connection, Store, base64, clients};

const SECOND: Duration = Duration::from_secs(1);

/// The revision at which the key of the wait was created.
const CREATED: i64 = 9;

type Wait = for<'a> fn(&'a Client<Store>) -> BoxFuture<'a, Result<()>>;

/// A lock and a candidacy, and the key of each.
const WAITS: [(Wait, &str); 2] = [
    (
        |client| Box::pin(async { client.send(Lock::new("l", 7)).await.map(drop) }),
        "l/7",
    ),
    (
        |client| Box::pin(async { client.send(Campaign::new("e", 7, "v")).await.map(drop) }),
        "e/7",
    ),
];

fn answer(status: u16, body: &str) -> Connection {
    Connection {
        ends: true,
        ..Connection::responding(status, body)
    }
}

/// The success of a lock at a later revision, or of a candidate.
fn acquired(key: &str) -> Connection {
    let key = base64(key);
    answer(
        200,
        &format!(
            r#"{{"header":{{"cluster_id":"7","revision":"12"}},"key":"{key}","leader":{{"name":"ZQ==","key":"{key}","rev":"{CREATED}","lease":"7"}}}}"#
        ),
    )
}

fn ttl(seconds: i64) -> Connection {
    answer(
        200,
        &format!(r#"{{"header":{{"cluster_id":"7"}},"ID":"7","TTL":"{seconds}"}}"#),
    )
}

/// A client that gets these responses, of a store with this key, created at this revision.
fn store(key: Option<(&str, i64)>, answers: &[Connection]) -> Client<Store> {
    clients(Store::at(12).with(|state| {
        let key = key.map(|(key, revision)| (key.to_owned(), revision));
        state.keys.extend(key);
        state.connections.extend(answers.iter().cloned());
    }))
}

fn run(client: &Client<Store>, wait: Wait) -> Result<()> {
    client.transport().clock.run(wait(client))
}

fn paths(client: &Client<Store>) -> Vec<String> {
    let seen = client.transport().seen().into_iter();
    seen.map(|line| line.split_once(' ').unwrap().0.to_owned())
        .collect()
}

#[test]
fn what_is_acquired_is_read_once_before_it_counts() {
    for (wait, key) in WAITS {
        let client = store(Some((key, CREATED)), &[acquired(key)]);
        run(&client, wait).unwrap();
        let seen = client.transport().seen();
        let read = format!(
            r#"a/v3/kv/range {{"key":"{}","keys_only":true}}"#,
            base64(key)
        );
        assert_eq!(seen[1..], [read]);
    }
}

#[test]
fn a_wait_whose_lease_has_expired_before_its_turn_has_acquired_nothing() {
    let gone = r#"{"code":5,"message":"etcdserver: requested lease not found"}"#;
    for (wait, key) in WAITS {
        for lease in [ttl(-1), answer(404, gone)] {
            let client = store(None, &[acquired(key), lease]);
            let error = run(&client, wait).unwrap_err();
            assert!(error.is_lease_not_found(), "{error}");
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
            assert!(error.to_string().contains("lease 7"), "{error}");
            assert!(!error.to_string().contains("time_to_live"), "{error}");
            assert_eq!(
                paths(&client)[1..],
                ["a/v3/kv/range", "a/v3/lease/timetolive"]
            );
        }
    }
}

#[test]
fn a_wait_whose_key_was_deleted_has_acquired_nothing_that_is_known() {
    for (wait, key) in WAITS {
        // Gone, and created again by another wait with the same lease.
        for there in [None, Some((key, 13))] {
            let client = store(there, &[acquired(key), ttl(5)]);
            let error = run(&client, wait).unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert!(error.to_string().contains(key), "{error}");
            assert!(error.to_string().starts_with("v3."), "{error}");
        }
    }
}

#[test]
fn the_key_of_another_candidacy_with_the_same_lease_is_not_its_own() {
    let (wait, key) = WAITS[1];
    let client = store(Some((key, CREATED - 1)), &[acquired(key), ttl(5)]);
    assert_eq!(run(&client, wait).unwrap_err().outcome(), Outcome::Unknown);
}

#[test]
fn what_is_acquired_and_cannot_be_read_is_unknown() {
    for (wait, key) in WAITS {
        let client = store(Some((key, CREATED)), &[acquired(key)]);
        let mute = |state: &mut crate::v3_store::State| {
            state.mute.insert("/v3/kv/range", 1000);
        };
        mute(&mut client.transport().state.lock().unwrap());
        let error = run(&client, wait).unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert!(error.to_string().starts_with("v3."), "{error}");

        // The key is gone, and why is not known.
        let broken = Connection::refused;
        let lost: Vec<_> = [acquired(key)]
            .into_iter()
            .chain((0..9).map(|_| broken()))
            .collect();
        let client = store(None, &lost);
        let error = run(&client, wait).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}

#[test]
fn the_read_is_sent_again_to_another_endpoint() {
    for (wait, key) in WAITS {
        let client = store(Some((key, CREATED)), &[acquired(key)]);
        let state = &client.transport().state;
        state.lock().unwrap().mute.insert("/v3/kv/range", 1);
        run(&client, wait).unwrap();
        assert_eq!(paths(&client)[1..], ["a/v3/kv/range", "b/v3/kv/range"]);
    }
}

#[test]
fn the_time_limit_of_a_wait_holds_for_the_read_too() {
    let client = store(Some(("l/7", CREATED)), &[acquired("l/7")]);
    let state = &client.transport().state;
    state.lock().unwrap().mute.insert("/v3/kv/range", 1000);
    let lock = Lock::new("l", 7).time_limit(SECOND * 3);
    let clock = &client.transport().clock;
    let error = clock.run(client.send(lock)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(clock.elapsed() <= SECOND * 5, "{:?}", clock.elapsed());
}

#[test]
fn the_lease_that_the_server_has_granted_is_named_too() {
    let client = store(None, &[acquired("l/1f"), ttl(-1)]);
    let lock = Lock::new("l", LeaseId::NONE);
    let error = client.transport().clock.run(client.send(lock)).unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert!(error.to_string().contains("lease 1f"), "{error}");
}

#[test]
fn in_a_namespace_the_key_with_its_prefix_is_read() {
    for (there, is_held) in [
        (Some(("n/l/7", CREATED)), true),
        (Some(("l/7", CREATED)), false),
    ] {
        let client = store(there, &[acquired("n/l/7"), ttl(-1)]);
        let space = client.v3().namespace("n/");
        let held = client.transport().clock.run(space.send(Lock::new("l", 7)));
        match held {
            Ok(held) => assert!(is_held && held.key == "l/7"),
            Err(error) => assert!(!is_held && error.is_lease_not_found(), "{error}"),
        }
    }
}
