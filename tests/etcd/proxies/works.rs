//! Calls and streams of each family, through whatever is between.

use std::time::Duration;

use etcd_http::{
    Client,
    transport::Transport,
    v2::{Condition, Get, Watch as WatchV2},
    v3::{Compare, DeleteRange, KeyRange, Mirror, Put, Txn, Watch},
};
use futures::{StreamExt, future::join};

const MINUTE: Duration = Duration::from_secs(60);

/// Uses both APIs, below `prefix`.
pub(crate) async fn works<T: Transport>(client: &Client<T>, prefix: &str) {
    assert!(client.health().await.unwrap().healthy);
    v2(client, &format!("{prefix}/v2")).await;
    keys(client, &format!("{prefix}/keys")).await;
    leases_locks_and_elections(client, &format!("{prefix}/leases")).await;
    watches(client, &format!("{prefix}/watches")).await;
}

async fn v2<T: Transport>(client: &Client<T>, key: &str) {
    let v2 = client.v2();
    let set = v2.set(key, "1").await.unwrap();
    let mut events = client.open(WatchV2::new(key).from_index(set.index() + 1));
    let swap = v2.compare_and_swap(key, "2", Condition::index_is(set.index()));
    let (seen, swapped) = join(events.next(), swap).await;
    assert_eq!(seen.unwrap().unwrap().node, swapped.unwrap().node);
    assert!(v2.create(key, "3").await.unwrap_err().is_already_exists());
    // Another member may be behind.
    let read = client.send(Get::new(key).quorum(true)).await.unwrap();
    assert_eq!(read.node.value.as_deref(), Some("2"));
    let (seen, deleted) = join(events.next(), v2.delete(key)).await;
    assert_eq!(seen.unwrap().unwrap().index(), deleted.unwrap().index());
}

async fn keys<T: Transport>(client: &Client<T>, prefix: &str) {
    let kv = client.v3().kv();
    for number in 0..10 {
        kv.put(format!("{prefix}/{number}"), "x".repeat(10_000))
            .await
            .unwrap();
    }
    let range = || KeyRange::prefix(format!("{prefix}/"));
    assert_eq!(kv.range(range()).await.unwrap().kvs.len(), 10);
    let txn = Txn::new()
        .when(Compare::exists(format!("{prefix}/3")))
        .then(DeleteRange::new(range()));
    assert!(client.send(txn).await.unwrap().succeeded);
    assert_eq!(kv.count(range()).await.unwrap(), 0);
}

async fn leases_locks_and_elections<T: Transport>(client: &Client<T>, prefix: &str) {
    let v3 = client.v3();
    let lease = v3.leases().grant(MINUTE).await.unwrap();
    let mut renewals = v3.leases().keep_alive(lease.id);
    assert_eq!(renewals.next().await.unwrap().unwrap(), MINUTE);
    let held = v3.lock(format!("{prefix}/lock"), lease.id).await.unwrap();
    v3.unlock(held.key).await.unwrap();
    let name = format!("{prefix}/election");
    let elections = v3.elections();
    let won = elections.campaign(&*name, lease.id, "one").await.unwrap();
    let mut leaders = elections.observe(&*name);
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "one");
    let proclaim = elections.proclaim(won.leader.clone(), "two");
    let (seen, proclaimed) = join(leaders.next(), proclaim).await;
    proclaimed.unwrap();
    assert_eq!(seen.unwrap().unwrap().value, "two");
    elections.resign(won.leader).await.unwrap();
    v3.leases().revoke(lease.id).await.unwrap();
}

async fn watches<T: Transport>(client: &Client<T>, prefix: &str) {
    let range = KeyRange::prefix(format!("{prefix}/"));
    let mut mirror = Mirror::new(client, range.clone());
    let listed = mirror.next().await.unwrap().revision;
    let mut changes = client.open(Watch::new(range).from_revision(listed + 1));
    for number in 0..20 {
        let put = client.send(Put::new(format!("{prefix}/{number}"), "x"));
        let (changes, update, put) = futures::join!(changes.next(), mirror.next(), put);
        let revision = put.unwrap().header.revision;
        assert_eq!(changes.unwrap().unwrap().revision, revision);
        assert_eq!(update.unwrap().revision, revision);
    }
}
