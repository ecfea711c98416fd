//! Watches of the v2 API that go on from a cursor, in another process.

use etcd_http::{
    Error,
    fake::FakeEtcd,
    v2::{Get, Watch, WatchCursor, WatchUpdate},
};
use futures::StreamExt;

use crate::support::{block_on, client, jumping};

/// The cursor after the next event, as it comes out of a store.
async fn cursor(etcd: &FakeEtcd) -> WatchCursor {
    let client = client(etcd);
    let set = client.v2().set("/k/a", "1").await.unwrap();
    let mut events = client.open(watch().from_index(set.index()));
    let event = events.next().await.unwrap().unwrap();
    let stored = serde_json::to_string(&WatchCursor::after(&event).unwrap()).unwrap();
    serde_json::from_str(&stored).unwrap()
}

fn watch() -> Watch {
    Watch::new("/k").recursive(true)
}

async fn set(etcd: &FakeEtcd, count: usize) {
    for _ in 0..count {
        client(etcd).v2().set("/k/b", "2").await.unwrap();
    }
}

async fn error(etcd: &FakeEtcd, cursor: WatchCursor) -> Error {
    let mut events = client(etcd).open(watch().from_cursor(cursor));
    events.next().await.unwrap().unwrap_err()
}

#[test]
fn a_watch_goes_on_with_the_next_event() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        set(&etcd, 1).await;
        let mut events = client(&etcd).open(watch().from_cursor(stored.clone()));
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.index(), stored.index() + 1);
        assert_eq!(event.node.key, "/k/b");
        // After a read, everything that it reflects is behind.
        let read = client(&etcd).send(Get::new("/k/a")).await.unwrap();
        let after = WatchCursor::after(&read).unwrap();
        assert_eq!(after.index(), stored.index() + 1);
        assert_eq!(after.cluster_id(), stored.cluster_id());
    });
}

#[test]
fn another_cluster_is_reported() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        etcd.change_cluster_id();
        let error = error(&etcd, stored).await;
        assert!(error.is_cluster_changed(), "{error}");
        let text = error.to_string();
        assert!(text.contains("the cursor is of cluster"), "{text}");
    });
}

#[test]
fn a_store_that_was_set_back_is_reported() {
    let etcd = jumping().build();
    block_on(async {
        let backup = etcd.fork();
        set(&etcd, 3).await;
        let stored = cursor(&etcd).await;
        etcd.restore(&backup);
        let by_index = error(&etcd, stored).await;
        assert!(by_index.is_cluster_changed(), "{by_index}");
        let text = by_index.to_string();
        assert!(text.contains("the store's index is"), "{text}");
    });
}

#[test]
fn history_that_is_gone_is_reported_or_read_again() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        set(&etcd, 2).await;
        etcd.clear_history();
        let error = error(&etcd, stored.clone()).await;
        assert!(error.is_history_cleared(), "{error}");
        let resyncing = watch().from_cursor(stored).resyncing();
        let update = client(&etcd).open(resyncing).next().await.unwrap();
        assert!(matches!(update, Ok(WatchUpdate::Resync(_))), "{update:?}");
    });
}
