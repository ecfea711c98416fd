//! Caches.

use std::collections::BTreeMap;

use etcd_http::{
    recipes::{Cache, CacheChange, CacheDriver, CacheUpdate},
    transport::Transport,
    v3::{Compact, DeleteRange, KeyRange, Put, Txn},
};
use futures::StreamExt;
use harness::{case::Etcd, cases_and_grpc};

use crate::namespace;

cases_and_grpc! {
    any {
        Shared {
            a_cache_follows_transactions_undivided_and_reports_what_it_cannot_decode,
            a_wait_for_a_revision_ends_whichever_key_it_changed,
        }
        Alone {
            a_cache_is_complete_again_after_a_restart_and_a_compaction,
        }
    }
}

fn cache<T: Transport>(etcd: &Etcd<T>) -> (Cache<u32>, CacheDriver) {
    Cache::json(namespace(etcd), KeyRange::prefix("n/"))
}

/// The keys that an update reports, and how.
fn changes(update: &CacheUpdate<u32>) -> Vec<String> {
    let change = |change: &CacheChange<u32>| match change {
        CacheChange::Added(new) => format!("+{}", new.value),
        CacheChange::Changed { old, new } => format!("{}>{}", old.value, new.value),
        CacheChange::Removed(old) => format!("-{}", old.value),
        CacheChange::Invalid(invalid) => format!("!{}", invalid.kv.value_str().unwrap()),
        CacheChange::InvalidRemoved(old) => format!("-!{}", old.kv.value_str().unwrap()),
    };
    update.changes.iter().map(change).collect()
}

async fn a_cache_follows_transactions_undivided_and_reports_what_it_cannot_decode<T: Transport>(
    etcd: Etcd<T>,
) {
    let keys = namespace(&etcd);
    keys.kv().put("n/a", "1").await.unwrap();
    keys.kv().put("n/b", "2").await.unwrap();
    let (cache, driver) = cache(&etcd);
    let work = async {
        let mut updates = cache.changes();
        let first = updates.next().await.unwrap();
        assert!(first.is_resync);
        assert_eq!(changes(&first), ["+1", "+2"]);
        let txn = Txn::new()
            .then(Put::new("n/c", "3"))
            .then(Put::new("n/a", "one"))
            .then(DeleteRange::new("n/b"));
        let revision = keys.send(txn).await.unwrap().header.revision;
        let update = updates.next().await.unwrap();
        assert!(!update.is_resync);
        assert_eq!(changes(&update), ["+3", "!one", "-2"]);
        let snapshot = cache.wait_until(revision).await.unwrap();
        let values: BTreeMap<_, _> = snapshot
            .iter()
            .map(|it| (it.kv.key_str().unwrap(), it.value))
            .collect();
        assert_eq!(values, [("n/a", 1), ("n/c", 3)].into());
        let invalid: Vec<_> = snapshot.invalid().map(|it| it.kv.key.clone()).collect();
        assert_eq!(invalid, ["n/a"]);
        assert!(cache.last_heard().is_some() && cache.failure().is_none());
        keys.kv().put("n/a", "4").await.unwrap();
        assert_eq!(changes(&updates.next().await.unwrap()), ["1>4"]);
        assert_eq!(cache.snapshot().invalid().count(), 0);
    };
    cache.run(driver, work).await;
}

async fn a_wait_for_a_revision_ends_whichever_key_it_changed<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    let (cache, driver) = cache(&etcd);
    let work = async {
        for (key, value) in [("n/a", "1"), ("other", "2"), ("n/a", "3"), ("other", "4")] {
            let put = keys.send(Put::new(key, value)).await.unwrap();
            let revision = put.header.revision;
            let snapshot = cache.wait_until(revision).await.unwrap();
            assert!(snapshot.revision() >= revision);
            let expected = if value < "3" { 1 } else { 3 };
            assert_eq!(snapshot.get("n/a").unwrap().value, expected);
        }
        let deleted = keys.kv().delete("n/a").await.unwrap();
        let put = keys.send(Put::new("other", "5")).await.unwrap();
        assert_eq!(deleted.deleted, 1);
        let snapshot = cache.wait_until(put.header.revision).await.unwrap();
        assert!(snapshot.is_empty(), "{snapshot:?}");
    };
    cache.run(driver, work).await;
}

async fn a_cache_is_complete_again_after_a_restart_and_a_compaction<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    for key in ["n/a", "n/b"] {
        keys.kv().put(key, "1").await.unwrap();
    }
    let (cache, driver) = cache(&etcd);
    let mut updates = cache.changes();
    let first = async { changes(&updates.next().await.unwrap()) };
    let mut driver = driver;
    // The driver is not polled while the history is compacted.
    assert_eq!(cache.run(&mut driver, first).await, ["+1", "+1"]);
    etcd.meanwhile(|server| server.restart()).await;
    let writer = namespace_of(&etcd);
    writer.kv().put("n/a", "2").await.unwrap();
    writer.kv().delete("n/b").await.unwrap();
    let put = writer.send(Put::new("n/c", "3")).await.unwrap();
    let compact = Compact::new(put.header.revision);
    writer.client().send(compact).await.unwrap();
    let work = async {
        let update = updates.next().await.unwrap();
        assert!(update.is_resync);
        assert_eq!(changes(&update), ["1>2", "-1", "+3"]);
        let put = writer.send(Put::new("n/d", "4")).await.unwrap();
        let snapshot = cache.wait_until(put.header.revision).await.unwrap();
        assert_eq!(
            snapshot.iter().map(|it| it.value).collect::<Vec<_>>(),
            [2, 3, 4]
        );
    };
    cache.run(driver, work).await;
}

/// The same keys, by connections of their own: those of before the restart are dead.
fn namespace_of<T: Transport>(etcd: &Etcd<T>) -> etcd_http::v3::Namespace<T> {
    let client = etcd.client(|builder| builder);
    client.v3().namespace(format!("{}/", etcd.root()))
}
