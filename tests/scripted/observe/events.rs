//! Events of endpoints, streams and leases.

use etcd_http::v3::{KeyRange, LeaseKeeper, Watch};
use futures::future::join;

use super::*;
use crate::{
    spans::Spans,
    v3_store::{Connection, Store, client},
};

/// Returns what is recorded meanwhile.
fn recorded(work: impl FnOnce()) -> Spans {
    // See `an_operation_is_a_span_and_an_attempt_an_event_in_it`.
    let _another = tracing::Dispatch::new(Spans::default());
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), work);
    spans
}

fn warnings(work: impl FnOnce()) -> Vec<String> {
    recorded(work).warnings()
}

/// Returns the events with a message, each from there on.
fn messages(work: impl FnOnce()) -> Vec<String> {
    let lines = recorded(work).lines();
    let messages = lines.iter().filter_map(|line| line.split_once("message="));
    messages.map(|(_, message)| message.to_owned()).collect()
}

fn lost(warnings: &[String]) -> Vec<&String> {
    let lost = warnings
        .iter()
        .filter(|line| line.contains("a lease is lost"));
    lost.collect()
}

#[test]
fn a_lost_lease_is_warned_of_once_and_a_revoked_one_is_not() {
    let reported = warnings(|| {
        let client = client(Store::at(1));
        let (keeper, run) = LeaseKeeper::new(&client);
        let work = async move {
            let lease = keeper.grant(Duration::from_secs(10)).await.unwrap();
            let expired = keeper.grant(Duration::from_secs(10)).await.unwrap();
            lease.clone().revoke().await.unwrap();
            keeper_lost(&expired).await;
            assert!(!expired.is_alive());
        };
        let refused = Connection {
            refused: true,
            ..Connection::default()
        };
        client.transport().state.lock().unwrap().connections = vec![refused; 10_000].into();
        client.transport().clock.run(join(work, run));
    });
    let lost = lost(&reported);
    assert_eq!(lost.len(), 1, "{reported:?}");
    assert!(
        lost[0].contains("reason=the lease could not be renewed in time: "),
        "{lost:?}"
    );
}

async fn keeper_lost(lease: &etcd_http::v3::HeldLease<Store>) {
    let loss = lease.lost().await;
    assert!(loss.is_deadline(), "{loss}");
}

#[test]
fn a_mirror_that_lists_again_warns() {
    let cut = Connection {
        cut: Some(0),
        then: Some(|state| {
            state.revision = 9;
            state.compacted = 9;
        }),
        ..Connection::default()
    };
    let reported = warnings(|| {
        let client = client(Store::at(4).with(|state| state.connections = [cut].into()));
        let clock = &client.transport().clock;
        let mut mirror = client.v3().mirror(KeyRange::all());
        assert!(clock.run(mirror.next()).unwrap().is_listing);
        assert!(clock.run(mirror.next()).unwrap().is_listing);
    });
    let again: Vec<_> = reported
        .iter()
        .filter(|line| line.contains("changes are lost: reading everything again"))
        .collect();
    assert_eq!(again.len(), 1, "{reported:?}");
    assert!(again[0].contains("compacted"), "{again:?}");
}

#[test]
fn an_endpoint_that_fails_is_warned_of_once_until_it_answers() {
    let steps = [
        Step::Refuse,
        Step::Refuse,
        Step::Refuse,
        ok(),
        Step::Refuse,
        ok(),
    ];
    let reported = warnings(|| {
        let client = builder(steps).build().unwrap();
        block_on(client.v2().get("x")).unwrap();
        block_on(client.v2().get("x")).unwrap();
    });
    let endpoints: Vec<_> = reported
        .iter()
        .filter_map(|line| line.split_once("endpoint="))
        .map(|(_, rest)| rest)
        .collect();
    assert_eq!(
        endpoints,
        [
            "http://a pause=1.0",
            "http://b pause=1.0",
            "http://b pause=1.0"
        ]
    );
}

#[test]
fn an_endpoint_that_responds_again_is_an_event() {
    let reported = messages(|| {
        let client = builder([Step::Refuse, Step::Refuse, ok(), ok()]);
        let client = client.build().unwrap();
        block_on(client.v2().get("x")).unwrap();
        block_on(client.v2().get("x")).unwrap();
    });
    let again: Vec<_> = reported
        .iter()
        .filter(|line| line.starts_with("an endpoint responds again endpoint=http://"))
        .collect();
    assert_eq!(again.len(), 1, "{reported:?}");
    assert!(again[0].ends_with(" failures=1"), "{again:?}");
}

#[test]
fn a_stream_that_is_interrupted_and_goes_on_is_an_event() {
    let cut = Connection {
        cut: Some(400),
        ..Connection::default()
    };
    let reported = messages(|| {
        let store = Store::at(4).with(|state| {
            for key in ["a", "b", "c", "d"] {
                state.write([key.to_owned()]);
            }
            state.connections = [cut].into();
        });
        let client = client(store);
        let mut watch = client.open(Watch::new(KeyRange::all()).from_revision(5));
        for _ in 0..4 {
            let changes = client.transport().clock.run(watch.next());
            changes.unwrap().unwrap();
        }
    });
    let position = |text: &str| reported.iter().position(|line| line.starts_with(text));
    let interrupted = position("a stream was interrupted and is opened again reason=");
    let resumed = position("a stream goes on outage=");
    assert!(interrupted.is_some(), "{reported:?}");
    assert!(resumed > interrupted, "{reported:?}");
}

#[test]
fn what_a_keeper_does_with_a_lease_is_an_event() {
    let reported = messages(|| {
        let client = client(Store::at(1));
        let (keeper, run) = LeaseKeeper::new(&client);
        let clock = &client.transport().clock;
        let work = async move {
            let lease = keeper.grant(Duration::from_secs(10)).await.unwrap();
            clock.sleep(Duration::from_secs(5)).await;
            lease.revoke().await.unwrap();
        };
        clock.run(join(work, run));
    });
    let leases: Vec<_> = reported
        .iter()
        .filter_map(|line| line.split_once(" lease="))
        .map(|(message, _)| message)
        .collect();
    let expected = [
        "a lease is kept alive",
        "a lease was renewed",
        "a lease was revoked",
    ];
    assert_eq!(leases, expected, "{reported:?}");
}
