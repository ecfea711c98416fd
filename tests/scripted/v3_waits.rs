//! Locks and candidacies that wait at a member which may be lost, with a lease that may be.

use std::time::Duration;

use etcd_http::{
    Error, Outcome, Result,
    v3::{Campaign, LeaseId, Lock},
};
use futures::future::BoxFuture;

use crate::v3_store::{Connection, Store, clients};

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

/// Returns how a pending lock and a pending campaign end, and after how long, if their probes get these responses.
fn waits(probes: &[Connection]) -> [(Result<()>, Duration, Vec<String>); 2] {
    [true, false].map(|is_lock| {
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
    })
}

#[test]
fn a_wait_whose_lease_expires_ends_with_that() {
    let gone = r#"{"code":5,"message":"etcdserver: requested lease not found"}"#;
    for last in [ttl(-1), answer(404, gone)] {
        let probes = [ttl(20), answer(502, "<html>"), ttl(0), last];
        for (result, elapsed, paths) in waits(&probes) {
            let error = result.unwrap_err();
            assert!(error.is_lease_not_found(), "{error}");
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
        for (result, elapsed, paths) in waits(&[ttl(20), lost.clone()]) {
            let error = result.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(elapsed, SECOND * seconds, "{error}");
            assert_eq!(paths.len(), 3, "it is not sent again: {paths:?}");
        }
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
