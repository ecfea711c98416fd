//! Watches of servers that are silent, gone, or unable to serve.

use std::time::Duration;

use etcd_http::{
    Error,
    v3::{Observe, WatchSet},
};
use futures::{Stream, StreamExt, future::select};

use crate::{
    v3_store::{Connection, Store, client, clients, items},
    v3_watch::{all, changes, failure, write_four},
};

/// Polls a stream for this many seconds, or until it has an item.
fn poll_for(store: &Store, stream: &mut (impl Stream + Unpin), seconds: u64) {
    let end = store.clock.sleep(Duration::from_secs(seconds));
    store.clock.run(select(stream.next(), Box::pin(end)));
}

#[test]
fn v3_87_a_server_that_does_not_answer_is_left_after_five_seconds() {
    let store = Store::at(4).with(write_four).with(|state| {
        state.connections = [Connection {
            silent: true,
            ..Connection::default()
        }]
        .into();
    });
    let client = clients(store);
    let delivered = changes(&client, all().from_revision(5), 4);
    assert_eq!(delivered.len(), 4);
    assert_eq!(client.transport().clock.elapsed(), Duration::from_secs(5));
    let hosts: Vec<_> = client
        .transport()
        .seen()
        .iter()
        .map(|line| line[..1].to_owned())
        .collect();
    assert_eq!(hosts, ["a", "b"]);
}

#[test]
fn r_44_a_silent_server_is_asked_whether_it_lives_and_left_if_it_does_not() {
    let store = Store::at(8).with(|state| {
        // The second status call gets no response.
        state.connections = [Connection {
            then: Some(|state| state.failing_status = 0),
            ..Connection::default()
        }]
        .into();
    });
    let client = clients(store);
    let watch = all().from_revision(9);
    let watch = client.open(watch.silence_limit(Duration::from_secs(30)));
    let store = client.transport();
    let event = async {
        let mut watch = watch;
        futures::select_biased! {
            _ = futures::FutureExt::fuse(watch.next()) => panic!("nothing has happened"),
            () = futures::FutureExt::fuse(store.clock.sleep(Duration::from_secs(35))) => {}
        }
        store.state.lock().unwrap().failing_status = 1;
        futures::select_biased! {
            _ = futures::FutureExt::fuse(watch.next()) => panic!("nothing has happened"),
            () = futures::FutureExt::fuse(store.clock.sleep(Duration::from_secs(27))) => {}
        }
        store.state.lock().unwrap().write(["new".to_owned()]);
        watch.next().await.unwrap().unwrap()
    };
    assert_eq!(store.clock.run(event).revision, 9);
    // Thirty seconds of silence, and three for a response to the status.
    assert_eq!(store.clock.elapsed(), Duration::from_secs(63));
    let calls: Vec<_> = store
        .seen()
        .iter()
        .map(|line| line.split_once(' ').unwrap().0.to_owned())
        .collect();
    let status = "a/v3/maintenance/status";
    assert_eq!(calls, ["a/v3/watch", status, status, "b/v3/watch"]);
}

#[test]
fn a_connection_that_stays_silent_is_opened_again_though_the_server_lives() {
    let client = clients(Store::at(8));
    let store = client.transport();
    let watch = all().from_revision(9);
    let mut watch = client.open(watch.silence_limit(Duration::from_secs(30)));
    poll_for(store, &mut watch, 160);
    let calls: Vec<_> = store
        .seen()
        .iter()
        .map(|line| line.split_once(' ').unwrap().0.to_owned())
        .collect();
    let status = "a/v3/maintenance/status";
    assert_eq!(
        calls,
        ["a/v3/watch", status, status, status, status, "a/v3/watch"]
    );
    drop(watch);
    assert_eq!(store.clock.sleepers(), 0);
}

#[test]
fn by_default_a_silent_server_is_left_after_eight_seconds() {
    let client = clients(Store::at(8).with(|state| state.failing_status = 1));
    let store = client.transport();
    let mut watch = client.open(all().from_revision(9));
    poll_for(store, &mut watch, 9);
    let seen = store.seen().into_iter();
    let calls: Vec<_> = seen
        .map(|line| line.split_once(' ').unwrap().0.to_owned())
        .collect();
    let status = "a/v3/maintenance/status";
    assert_eq!(calls, ["a/v3/watch", status, "b/v3/watch"]);
}

#[test]
fn by_default_a_connection_that_stays_silent_is_opened_again_after_150_seconds() {
    let client = clients(Store::at(8));
    let store = client.transport();
    let mut watch = client.open(all().from_revision(9));
    poll_for(store, &mut watch, 299);
    let seen = store.seen();
    let opened = seen.iter().filter(|line| line.starts_with("a/v3/watch"));
    assert_eq!(opened.count(), 2);
}

#[test]
fn one_probe_in_five_seconds_is_for_all_streams_of_a_client() {
    let client = clients(Store::at(8));
    let store = client.transport();
    let watches = (0..50).map(|_| client.open(all().from_revision(9)));
    let mut watches = futures::stream::select_all(watches);
    poll_for(store, &mut watches, 61);
    let seen = store.seen();
    let probes = seen.iter().filter(|line| line.contains("/status")).count();
    assert_eq!((seen.len() - probes, probes), (50, 12));
    // A member that no longer responds is left by all of them.
    store.state.lock().unwrap().failing_status = 1;
    poll_for(store, &mut watches, 10);
    let seen = store.seen();
    let elsewhere = seen.iter().filter(|line| line.starts_with("b/v3/watch"));
    assert_eq!(elsewhere.count(), 50);
}

#[test]
fn an_outage_longer_than_the_limit_ends_in_its_last_error() {
    let refused = Connection::refused();
    let store = Store::at(4).with(|state| state.connections = vec![refused; 10_000].into());
    let client = clients(store);
    let minute = Duration::from_secs(60);
    let error = failure(&client, all().from_revision(5).outage_limit(minute));
    assert!(
        error.to_string().contains(
            "at http://a: could not connect: connection refused: the endpoint names no port"
        ),
        "{error}"
    );
    let elapsed = client.transport().clock.elapsed();
    assert!(
        elapsed >= minute && elapsed < minute + Duration::from_secs(11),
        "{elapsed:?}"
    );
}

#[test]
fn a_server_that_ends_every_watch_at_once_is_not_flooded_with_requests() {
    let ends = Connection {
        ends: true,
        ..Connection::default()
    };
    let store = Store::at(4).with(|state| state.connections = vec![ends; 100_000].into());
    let client = clients(store);
    let store = client.transport();
    let mut watch = client.open(all().from_revision(5));
    poll_for(store, &mut watch, 3600);
    let requests = store.seen().len();
    assert!((100..2_000).contains(&requests), "{requests}");
}

#[test]
fn transient_errors_are_waited_out() {
    for message in [
        r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
        r#"{"error":{"code":14,"message":"error reading from server: EOF"}}"#,
        r#"{"error":{"code":14,"message":"transport is closing"}}"#,
        r#"{"error":"EOF"}"#,
    ] {
        for status in [200, 503] {
            let connection = Connection::responding(status, message);
            let store = Store::at(4)
                .with(write_four)
                .with(|state| state.connections = [connection].into());
            let delivered = changes(&client(store), all().from_revision(5), 4);
            assert_eq!(delivered.len(), 4);
        }
    }
}

#[test]
fn a_silence_limit_of_zero_is_refused() {
    let client = clients(Store::at(4));
    let zero = Duration::ZERO;
    let set = WatchSet::new([all()]).silence_limit(zero);
    let errors = [
        failure(&client, all().silence_limit(zero)),
        items(&client, set, 1).remove(0).unwrap_err(),
        items(&client, Observe::new("e").silence_limit(zero), 1)
            .remove(0)
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    assert!(client.transport().seen().is_empty());
}
