//! The protocol of v3 calls is found out: gRPC where the transport and the endpoint can.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    AttemptOutcome, Client, EtcdErrorKind, Outcome, Protocol, RetryPolicy,
    transport::Transport,
    v3::{Compare, KeyRange, Put, Range, Txn, Watch},
};
use futures::{StreamExt, future::join};
use harness::{case::Etcd, cases_auto};

cases_auto! {
    any {
        Shared {
            reads_and_writes_travel_by_grpc,
            leases_locks_and_elections_travel_by_grpc,
            watches_travel_by_grpc,
        }
        Alone {
            a_user_logs_in_by_grpc,
            a_restart_is_survived,
        }
        Nothing {
            what_is_not_there_is_not_connected_to,
        }
    }
}

// Over layers of tower's, which know nothing of etcd.
harness::stamp!(
    tower_auto,
    harness::backend::Auto<harness::real::Real<crate::layered::Layered, harness::real::Tokio>>:
        Shared {
            reads_and_writes_travel_by_grpc,
            leases_locks_and_elections_travel_by_grpc,
            watches_travel_by_grpc,
        }
        Alone {
            a_user_logs_in_by_grpc,
            a_restart_is_survived,
        }
        Nothing {
            what_is_not_there_is_not_connected_to,
        }
);

const MINUTE: Duration = Duration::from_secs(60);

/// The protocol that each endpoint is asked by.
fn protocols<T: Transport>(client: &Client<T>) -> Vec<Option<Protocol>> {
    let all = client.endpoints().into_iter();
    all.map(|info| info.protocol).collect()
}

async fn reads_and_writes_travel_by_grpc<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    assert_eq!(protocols(&etcd), [None]);
    let put = etcd.send(Put::new(&*key, [0, 0xff])).await.unwrap();
    assert_eq!(protocols(&etcd), [Some(Protocol::Grpc)]);
    let reader = etcd.client(|client| client);
    let read = reader.send(Range::new(&*key)).await.unwrap();
    assert_eq!(read.kvs[0].mod_revision, put.header.revision);
    assert_eq!(read.kvs[0].value, [0, 0xff][..]);
    assert_eq!(protocols(&reader), [Some(Protocol::Grpc)]);
    let txn = Txn::new()
        .when(Compare::version(&*key).equal(1))
        .then(Put::new(&*key, "2"));
    assert!(etcd.send(txn).await.unwrap().succeeded);
}

async fn leases_locks_and_elections_travel_by_grpc<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client(|client| client);
    let v3 = client.v3();
    let lease = v3.leases().grant(MINUTE).await.unwrap().id;
    let mut renewals = v3.leases().keep_alive(lease);
    assert_eq!(renewals.next().await.unwrap().unwrap(), MINUTE);
    let held = v3.lock(etcd.key("lock"), lease).await.unwrap();
    v3.unlock(held.key).await.unwrap();
    let name = etcd.key("election");
    let elections = v3.elections();
    let won = elections.campaign(&*name, lease, "one").await.unwrap();
    let mut leaders = elections.observe(&*name);
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "one");
    elections.resign(won.leader).await.unwrap();
    v3.leases().revoke(lease).await.unwrap();
    assert_eq!(protocols(&client), [Some(Protocol::Grpc)]);
}

/// isahc has no streams that go on while they are answered: a watch is one request, as for the gateway.
async fn watches_travel_by_grpc<T: Transport>(etcd: Etcd<T>) {
    let range = || KeyRange::prefix(etcd.key(""));
    let start = etcd.send(Put::new(etcd.key("a"), "")).await.unwrap();
    let watcher = etcd.client(|client| client);
    let watch = Watch::new(range()).from_revision(start.header.revision + 1);
    let mut changes = watcher.open(watch);
    for _ in 0..3 {
        let put = etcd.send(Put::new(etcd.key("a"), "x"));
        let (change, put) = join(changes.next(), put).await;
        assert_eq!(
            change.unwrap().unwrap().revision,
            put.unwrap().header.revision
        );
    }
    assert_eq!(protocols(&watcher), [Some(Protocol::Grpc)]);
}

/// The endpoint is examined without a token, which etcd 3.5 refuses: a response nevertheless.
async fn a_user_logs_in_by_grpc<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
    let user = etcd.client(|client| client.v3_auth("root", "r"));
    user.v3().kv().put("a", "1").await.unwrap();
    assert_eq!(protocols(&user), [Some(Protocol::Grpc)]);
    let stranger = etcd.client(|client| client);
    let refused = stranger.v3().kv().put("a", "2").await.unwrap_err();
    assert_eq!(refused.etcd_kind(), Some(EtcdErrorKind::UserNameEmpty));
    assert_eq!(protocols(&stranger), [Some(Protocol::Grpc)]);
}

async fn a_restart_is_survived<T: Transport>(etcd: Etcd<T>) {
    etcd.send(Put::new("a", "1")).await.unwrap();
    etcd.meanwhile(|host| host.restart()).await;
    // The connection may turn out to be gone.
    let _ = etcd.send(Put::new("a", "2")).await;
    etcd.send(Put::new("a", "3")).await.unwrap();
    assert_eq!(protocols(&etcd), [Some(Protocol::Grpc)]);
}

async fn what_is_not_there_is_not_connected_to<T: Transport>(etcd: Etcd<T>) {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&outcomes);
    let client = etcd.client(move |client| {
        client.observe(move |attempt| reported.lock().unwrap().push(attempt.outcome))
    });
    let client = client.with_retry(RetryPolicy::never());
    let error = client.v3().kv().put("a", "1").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert!(error.to_string().contains("could not connect"), "{error}");
    assert_eq!(*outcomes.lock().unwrap(), [AttemptOutcome::NotSent]);
    assert_eq!(protocols(&client), [None]);
    assert!(!client.endpoints()[0].is_up);
}
