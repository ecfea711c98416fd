//! Namespaces.

use std::time::Duration;

use etcd_http::{
    transport::Transport,
    v3::{
        Compare, DeleteRange, ExactlyOnce, GetTimeToLive, KeyRange, Lock, MirrorChange, Put, Range,
        RangeStream, Txn, TxnOpResponse, Unlock, Watch,
    },
};
use futures::{StreamExt, TryStreamExt};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Shared {
            keys_get_the_prefix_on_their_way_and_lose_it_on_their_way_back,
            transactions_stay_within_the_namespace,
            a_watch_and_a_lock_stay_within_the_namespace,
            an_election_stays_within_the_namespace,
            a_mirror_stays_within_the_namespace,
        }
    }
}

async fn keys_get_the_prefix_on_their_way_and_lose_it_on_their_way_back<T: Transport>(
    etcd: Etcd<T>,
) {
    let (one, two) = (
        etcd.v3().namespace(etcd.key("1/")),
        etcd.v3().namespace(etcd.key("2/")),
    );
    one.kv().put("a", "x").await.unwrap();
    two.kv().put("a", "y").await.unwrap();
    one.namespace("deep/")
        .send(Put::new("b", "z"))
        .await
        .unwrap();
    assert_eq!(
        etcd.v3()
            .kv()
            .get(etcd.key("1/a"))
            .await
            .unwrap()
            .unwrap()
            .value,
        "x"
    );
    let found = one.send(Range::new(KeyRange::all())).await.unwrap();
    let keys: Vec<_> = found.kvs.iter().map(|kv| kv.key.clone()).collect();
    assert_eq!(keys, ["a", "deep/b"]);
    let paged: Vec<_> = one
        .open(RangeStream::new(KeyRange::all()).page(1))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(paged, found.kvs);
    let deleted = one
        .send(DeleteRange::new(KeyRange::all()).prev_kv(true))
        .await
        .unwrap();
    assert_eq!(deleted.prev_kvs, found.kvs);
    assert_eq!(two.send(Range::new("a")).await.unwrap().count, 1);
    assert!(one.send(Put::new("", "x")).await.is_err());
    assert!(
        one.open(Watch::new("").from_revision(1))
            .next()
            .await
            .unwrap()
            .is_err()
    );
}

async fn transactions_stay_within_the_namespace<T: Transport>(etcd: Etcd<T>) {
    let inside = etcd.v3().namespace(etcd.key("n/"));
    let txn = Txn::new()
        .when(Compare::missing("a"))
        .then(Put::new("a", "1"))
        .then(
            Txn::new()
                .when(Compare::missing("b"))
                .then(Put::new("b", "2"))
                .then(Range::new(KeyRange::all())),
        );
    let done = inside.send(txn.clone()).await.unwrap();
    assert!(done.succeeded);
    let TxnOpResponse::Txn(inner) = &done.responses[1] else {
        panic!("{done:?}")
    };
    assert_eq!(inner.range(1).unwrap().kvs[1].key, "b");
    assert!(!inside.send(txn).await.unwrap().succeeded);
    let once = ExactlyOnce::new("m", Txn::new().then(Put::new("c", "3")));
    inside.send(once.clone()).await.unwrap();
    assert!(inside.send(once).await.unwrap().is_earlier());
    let all = etcd
        .v3()
        .kv()
        .range(KeyRange::prefix(etcd.key("")))
        .await
        .unwrap();
    let keys: Vec<_> = all.kvs.iter().map(|kv| kv.key_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["a", "b", "c", "m"].map(|name| etcd.key(format!("n/{name}")))
    );
}

async fn a_watch_and_a_lock_stay_within_the_namespace<T: Transport>(etcd: Etcd<T>) {
    let inside = etcd.v3().namespace(etcd.key("n/"));
    let lease = etcd
        .v3()
        .leases()
        .grant(Duration::from_secs(60))
        .await
        .unwrap()
        .id;
    let first = inside
        .send(Put::new("a", "1").lease(lease))
        .await
        .unwrap()
        .header
        .revision;
    etcd.send(Put::new(etcd.key("outside"), "1").lease(lease))
        .await
        .unwrap();
    let held = inside.send(Lock::new("lock", lease)).await.unwrap();
    assert_eq!(held.key, format!("lock/{lease}"));
    let left = inside
        .send(GetTimeToLive::new(lease).keys(true))
        .await
        .unwrap()
        .unwrap();
    let mut keys = left.keys;
    keys.sort();
    assert_eq!(keys, ["a".into(), held.key.clone()]);
    inside.send(Unlock::new(held.key.clone())).await.unwrap();
    let changes = inside.open(Watch::new(KeyRange::all()).from_revision(first));
    let events: Vec<_> = changes
        .take(3)
        .map(|changes| changes.unwrap().events.remove(0))
        .collect()
        .await;
    assert_eq!(events[0].kv.key, "a");
    assert_eq!(
        (&events[1].kv.key, &events[2].kv.key),
        (&held.key, &held.key)
    );
    assert!(events[2].is_delete());
}

async fn an_election_stays_within_the_namespace<T: Transport>(etcd: Etcd<T>) {
    let (one, two) = (
        etcd.v3().namespace(etcd.key("1/")),
        etcd.v3().namespace(etcd.key("2/")),
    );
    let lease = etcd.v3().leases().grant(Duration::from_secs(60)).await;
    let lease = lease.unwrap().id;
    let won = one.elections().campaign("e", lease, "first").await.unwrap();
    assert_eq!(won.leader.name, "e");
    assert_eq!(won.leader.key, format!("e/{lease}"));
    let mut leaders = one.elections().observe("e");
    let reported = leaders.next().await.unwrap().unwrap();
    assert_eq!(
        (&reported.key, &reported.value[..]),
        (&won.leader.key, &b"first"[..])
    );

    // An election of the same name elsewhere is another.
    assert_eq!(two.elections().get_leader("e").await.unwrap(), None);
    let other = two.elections().campaign("e", lease, "other").await.unwrap();
    assert_eq!(other.leader.key, won.leader.key);

    one.elections()
        .proclaim(won.leader.clone(), "second")
        .await
        .unwrap();
    let reported = leaders.next().await.unwrap().unwrap();
    assert_eq!(
        (&reported.key, &reported.value[..]),
        (&won.leader.key, &b"second"[..])
    );
    assert_eq!(
        one.elections().get_leader("e").await.unwrap(),
        Some(reported)
    );
    let whole = etcd
        .v3()
        .elections()
        .get_leader(etcd.key("1/e"))
        .await
        .unwrap();
    assert_eq!(whole.unwrap().key, etcd.key(format!("1/e/{lease}")));

    // The leader's key guards its writes within the namespace.
    let guarded = Txn::new()
        .when(Compare::create_revision(&won.leader.key).equal(won.leader.rev))
        .then(Put::new("written", "by the leader"));
    assert!(one.kv().txn(guarded.clone()).await.unwrap().succeeded);
    one.elections().resign(won.leader).await.unwrap();
    assert!(!one.kv().txn(guarded).await.unwrap().succeeded);
    assert_eq!(one.elections().get_leader("e").await.unwrap(), None);
    let still = two.elections().get_leader("e").await.unwrap().unwrap();
    assert_eq!(still.value, "other");

    assert!(one.elections().campaign("", lease, "").await.is_err());
    assert!(one.elections().observe("").next().await.unwrap().is_err());
}

async fn a_mirror_stays_within_the_namespace<T: Transport>(etcd: Etcd<T>) {
    let inside = etcd.v3().namespace(etcd.key("n/"));
    let outside = etcd.v3().kv();
    inside.kv().put("a", "1").await.unwrap();
    outside.put(etcd.key("n"), "outside").await.unwrap();
    outside.put(etcd.key("n0"), "outside").await.unwrap();
    let mut mirror = inside.mirror(KeyRange::all());
    let first = mirror.next().await.unwrap();
    let [MirrorChange::Added(a)] = &first.changes[..] else {
        panic!("{first:?}")
    };
    assert_eq!((&a.key[..], &a.value[..]), (&b"a"[..], &b"1"[..]));

    outside.put(etcd.key("n"), "again").await.unwrap();
    inside.kv().put("b/c", "2").await.unwrap();
    let added = mirror.next().await.unwrap();
    assert!(
        matches!(&added.changes[..], [MirrorChange::Added(new)] if new.key == "b/c"),
        "{added:?}"
    );
    inside.kv().delete("a").await.unwrap();
    let removed = mirror.next().await.unwrap();
    assert_eq!(removed.changes, [MirrorChange::Removed(a.clone())]);
    assert_eq!(mirror.get("b/c").unwrap().value, "2");
    let now = inside.kv().range(KeyRange::all()).await.unwrap();
    assert!(mirror.iter().eq(now.kvs), "{mirror:?}");
}
