//! Locks and candidacies that wait at a member which may be lost, with a lease that may be.

use std::time::Duration;

use etcd_http::{
    Error, Outcome, Result,
    v3::{Campaign, LeaseId, Lock},
};
use futures::future::BoxFuture;

use crate::v3_store::{Connection, Store, base64, client, clients};

const SECOND: Duration = Duration::from_secs(1);

fn silent() -> Connection {
    Connection {
        silent: true,
        ..Connection::default()
    }
}

fn answer(status: u16, body: &str) -> Connection {
    Connection {
        answer: Some((status, body.to_owned())),
        ends: true,
        ..Connection::default()
    }
}

fn ttl(seconds: i64) -> Connection {
    answer(
        200,
        &format!(r#"{{"header":{{"cluster_id":"7"}},"ID":"7","TTL":"{seconds}"}}"#),
    )
}

/// A lease with these keys.
fn ttl_and_keys(keys: &[&str]) -> Connection {
    let keys: Vec<_> = keys.iter().map(|key| base64(key)).collect();
    answer(
        200,
        &format!(r#"{{"header":{{"cluster_id":"7"}},"ID":"7","TTL":"5","keys":{keys:?}}}"#),
    )
}

/// The first key of the queue; `None` where the key of the wait is not there.
fn queue(first: Option<&str>) -> Connection {
    let header = r#""header":{"cluster_id":"7"}"#;
    answer(
        200,
        &match first {
            None => format!("{{{header}}}"),
            Some(first) => format!(
                r#"{{{header},"succeeded":true,"responses":[{{"response_range":{{"kvs":[{{"key":"{}"}}]}}}}]}}"#,
                base64(first)
            ),
        },
    )
}

/// Returns how a pending lock, or a pending campaign, ends, and after how long, if its probes get these responses.
fn wait(is_lock: bool, probes: &[Connection]) -> (Result<()>, Duration, Vec<String>) {
    let client = clients(Store::at(4).with(|state| {
        state.connections = [silent()].into();
        state.connections.extend(probes.iter().cloned());
    }));
    let wait: BoxFuture<'_, Result<()>> = if is_lock {
        Box::pin(async { client.send(Lock::new("l", 7)).await.map(drop) })
    } else {
        Box::pin(async { client.send(Campaign::new("e", 7, "v")).await.map(drop) })
    };
    let result = client.transport().clock.run(wait);
    let paths = client.transport().seen().into_iter();
    let paths = paths.map(|line| line.split_once(' ').unwrap().0.to_owned());
    (result, client.transport().clock.elapsed(), paths.collect())
}

/// A pending lock, and a pending campaign.
fn waits(probes: &[Connection]) -> [(Result<()>, Duration, Vec<String>); 2] {
    [true, false].map(|is_lock| wait(is_lock, probes))
}

#[test]
fn a_wait_whose_lease_expires_ends_with_that() {
    let gone = r#"{"code":5,"message":"etcdserver: requested lease not found"}"#;
    for last in [ttl(-1), answer(404, gone)] {
        let probes = [ttl(20), answer(502, "<html>"), ttl(0), last];
        for (result, elapsed, paths) in waits(&probes) {
            let error = result.unwrap_err();
            assert!(error.is_lease_not_found(), "{error}");
            assert!(error.to_string().contains("lease 7"), "{error}");
            assert_eq!(elapsed, SECOND * 40);
            assert_eq!(paths[1..], ["a/v3/lease/timetolive"; 4]);
            assert!(error.to_string().starts_with("v3."), "{error}");
            assert!(!error.to_string().contains("time_to_live"), "{error}");
        }
    }
}

#[test]
fn a_wait_at_a_member_that_is_halted_is_given_up_as_unknown() {
    let refused = Connection::refused();
    // The probe has ten seconds.
    for (lost, seconds) in [(silent(), 30), (refused, 20)] {
        for (result, elapsed, paths) in waits(&[ttl(20), lost.clone(), queue(None), ttl(20)]) {
            let error = result.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(elapsed, SECOND * seconds, "{error}");
            // It is not sent again: only its key and its lease are asked for, elsewhere.
            assert_eq!(paths[3..], ["b/v3/kv/txn", "b/v3/lease/timetolive"]);
        }
    }
}

#[test]
fn a_wait_at_the_only_endpoint_is_given_up_when_that_does_not_respond() {
    let store = Store::at(4).with(|state| state.connections = [silent(), silent()].into());
    let client = client(store);
    let lock = client.send(Lock::new("l", 7));
    let error = client.transport().clock.run(lock).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    // One probe after ten seconds, which has another ten; no other endpoint could know the queue.
    assert_eq!(client.transport().clock.elapsed(), SECOND * 20);
    assert_eq!(client.transport().seen().len(), 2);
}

#[test]
fn a_wait_at_a_member_that_is_halted_goes_on_elsewhere_until_its_turn_has_come() {
    for (is_lock, own) in [(true, "l/7"), (false, "e/7")] {
        let place = |first| queue(Some(first));
        let probes = [
            silent(),
            place("other"),
            // If the member returns, it may itself report the first position.
            place(own),
            place("other"),
            place("other"),
            place(own),
            place(own),
        ];
        let (result, elapsed, paths) = wait(is_lock, &probes);
        let error = result.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert!(error.to_string().contains("its turn has come"), "{error}");
        assert_eq!(elapsed, SECOND * 25, "{error}");
        assert_eq!(paths[2..], ["b/v3/kv/txn"; 6]);
    }
}

#[test]
fn a_wait_at_a_member_that_is_halted_ends_with_its_lease() {
    let probes = [silent(), queue(Some("other")), queue(None), ttl(-1)];
    for (result, elapsed, _) in waits(&probes) {
        let error = result.unwrap_err();
        assert!(error.is_lease_not_found(), "{error}");
        assert!(error.to_string().contains("lease 7"), "{error}");
        assert_eq!(elapsed, SECOND * 21);
    }
}

#[test]
fn a_wait_whose_key_is_deleted_elsewhere_is_over() {
    for (is_lock, own) in [(true, "l/7"), (false, "e/7")] {
        let probes = [
            // The key is not there yet.
            ttl_and_keys(&["k"]),
            ttl_and_keys(&["k", own]),
            ttl_and_keys(&["k"]),
        ];
        let (result, elapsed, paths) = wait(is_lock, &probes);
        let error = result.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert!(error.to_string().contains(own), "{error}");
        assert_eq!(elapsed, SECOND * 30);
        assert_eq!(paths.len(), 4);
    }
}

#[test]
fn the_time_limit_of_a_wait_says_nothing_about_the_endpoint() {
    let late = r#"{"code":4,"message":"context deadline exceeded"}"#;
    for first in [answer(504, late), silent()] {
        let client = clients(Store::at(4).with(|state| state.connections = [first].into()));
        let clock = &client.transport().clock;
        let lock = Lock::new("l", 7).time_limit(SECOND * 5);
        clock.run(client.send(lock)).unwrap_err();
        clock.run(client.v3().kv().get("k")).unwrap();
        let seen = client.transport().seen();
        assert!(seen[1].starts_with("a/v3/kv/range"), "{seen:?}");
    }
}

#[test]
fn a_wait_at_a_member_that_has_lost_the_others_is_given_up_as_unknown() {
    let no_leader = || answer(503, r#"{"code":14,"message":"etcdserver: no leader"}"#);
    let probes = [
        no_leader(),
        no_leader(),
        ttl(5),
        no_leader(),
        no_leader(),
        no_leader(),
        queue(None),
        ttl(5),
    ];
    for (result, elapsed, _) in waits(&probes) {
        let error = result.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert!(error.to_string().contains("no leader"), "{error}");
        assert_eq!(elapsed, SECOND * 60);
    }
}

#[test]
fn without_a_lease_the_member_is_asked_for_its_status() {
    let client = clients(Store::at(4).with(|state| {
        state.connections = [silent()].into();
        state.failing_status = 1;
    }));
    let lock = Lock::new("l", LeaseId::NONE).silence_limit(SECOND * 3);
    let error = client.transport().clock.run(client.send(lock)).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(client.transport().clock.elapsed(), SECOND * 13);
}

#[test]
fn a_silence_limit_of_zero_is_refused() {
    let client = clients(Store::at(4));
    let clock = &client.transport().clock;
    let lock = Lock::new("l", 7).silence_limit(Duration::ZERO);
    let error = clock.run(client.send(lock)).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let campaign = Campaign::new("e", 7, "v").silence_limit(Duration::ZERO);
    let error = clock.run(client.send(campaign)).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(client.transport().seen().is_empty());
}
