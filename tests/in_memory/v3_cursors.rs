//! Watches that go on from a cursor: in another process, and perhaps days later.

use etcd_http::{
    Client, Error, Result,
    fake::FakeEtcd,
    transport::Transport,
    v3::{Changes, KeyRange, Watch, WatchCursor, WatchPosition, WatchSet},
};
use futures::{
    StreamExt,
    future::{Either, select},
    poll,
    stream::BoxStream,
};

use crate::support::{block_on, client, jumping, millis, seconds};

type Stream = BoxStream<'static, Result<Changes>>;

fn watch() -> Watch {
    Watch::new(KeyRange::prefix("k"))
}

/// The same fake, by a client that knows nothing.
fn open(etcd: &FakeEtcd, watch: Watch) -> (Stream, WatchPosition) {
    let (watch, position) = watch.positioned();
    (client(etcd).open(watch), position)
}

async fn revision(stream: &mut Stream) -> i64 {
    stream.next().await.unwrap().unwrap().revision
}

async fn error(etcd: &FakeEtcd, cursor: WatchCursor) -> Error {
    let mut stream = client(etcd).open(watch().from_cursor(cursor));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(stream.next().await.is_none());
    error
}

/// The cursor of a watch that has seen the present revision, as it comes out of a store.
async fn cursor(etcd: &FakeEtcd) -> WatchCursor {
    let (mut stream, position) = open(etcd, watch());
    assert_eq!(position.cursor(), None, "no server has responded");
    assert!(poll!(stream.next()).is_pending());
    etcd.put("k", "1");
    revision(&mut stream).await;
    let stored = serde_json::to_string(&position.cursor().unwrap()).unwrap();
    serde_json::from_str(&stored).unwrap()
}

#[test]
fn a_watch_goes_on_after_days_with_the_next_revision() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        assert_eq!(stored.revision(), etcd.revision());
        etcd.advance(seconds(3 * 86_400));
        let missed: Vec<i64> = (0..3).map(|_| etcd.put("k", "2")).collect();
        let (mut stream, position) = open(&etcd, watch().from_cursor(stored));
        for missed in missed {
            assert_eq!(revision(&mut stream).await, missed);
            assert_eq!(position.cursor().unwrap().revision(), missed);
        }
        assert!(poll!(stream.next()).is_pending());
        assert_eq!(position.cursor().unwrap().cluster_id(), stored.cluster_id());
    });
}

#[test]
fn a_cursor_is_behind_what_the_stream_has_not_yielded() {
    let etcd = jumping().build();
    block_on(async {
        let first = etcd.put("k", "1");
        for _ in 0..3 {
            etcd.put("k", "2");
        }
        let (mut stream, position) = open(&etcd, watch().from_revision(first));
        for revision in first..first + 4 {
            assert_eq!(self::revision(&mut stream).await, revision);
            assert_eq!(position.cursor().unwrap().revision(), revision);
        }
    });
}

#[test]
fn a_quiet_watch_has_a_cursor_that_goes_on() {
    let etcd = jumping().progress_interval(seconds(60)).build();
    block_on(async {
        etcd.put("k", "1");
        let (mut stream, position) = open(&etcd, watch());
        assert!(poll!(stream.next()).is_pending());
        let begun = position.cursor().unwrap();
        assert_eq!(begun.revision(), etcd.revision(), "it begins after it");
        for _ in 0..10 {
            etcd.put("other", "1");
        }
        let waited = select(stream.next(), etcd.sleep(seconds(140))).await;
        assert!(matches!(waited, Either::Right(_)), "nothing has happened");
        let now = position.cursor().unwrap();
        assert_eq!(now.revision(), etcd.revision());
        drop(stream);
        // All that it has not needed is gone.
        let kv = client(&etcd);
        let kv = kv.v3().kv();
        kv.compact(etcd.revision()).await.unwrap();
        let next = etcd.put("k", "2");
        let (mut stream, _) = open(&etcd, watch().from_cursor(now));
        assert_eq!(revision(&mut stream).await, next);
        assert!(error(&etcd, begun).await.is_compacted());
    });
}

#[test]
fn history_that_was_compacted_is_reported() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        for _ in 0..3 {
            etcd.put("k", "2");
        }
        let client = client(&etcd);
        client.v3().kv().compact(etcd.revision()).await.unwrap();
        let error = error(&etcd, stored).await;
        assert!(error.is_compacted(), "{error}");
        assert!(!error.is_cluster_changed());
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
fn a_store_that_was_set_back_is_reported_by_its_revision() {
    let etcd = jumping().build();
    block_on(async {
        let backup = etcd.fork();
        for _ in 0..5 {
            etcd.put("k", "2");
        }
        let stored = cursor(&etcd).await;
        etcd.restore(&backup);
        let error = error(&etcd, stored).await;
        assert!(error.is_cluster_changed(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("the cluster's data were lost or restored"),
            "{text}"
        );
    });
}

#[test]
fn a_store_that_was_set_back_and_written_since_is_reported_by_its_term() {
    let etcd = jumping().build();
    block_on(async {
        let backup = etcd.fork();
        for _ in 0..5 {
            etcd.restart();
        }
        let stored = cursor(&etcd).await;
        // A new cluster with the ids of the former one.
        etcd.wipe();
        etcd.restore(&backup);
        for _ in 0..9 {
            etcd.put("k", "3");
        }
        assert!(etcd.revision() > stored.revision());
        let error = error(&etcd, stored).await;
        assert!(error.is_cluster_changed(), "{error}");
        let text = error.to_string();
        assert!(text.contains("the raft term is"), "{text}");
    });
}

#[test]
fn a_member_that_lags_behind_the_cursor_is_no_other_store() {
    let etcd = jumping().members(3).build();
    block_on(async {
        etcd.endpoint(0).lag();
        let at = client_of(&etcd, 1);
        let (watch, position) = watch().positioned();
        let mut stream = at.open(watch);
        assert!(poll!(stream.next()).is_pending());
        etcd.put("k", "1");
        revision(&mut stream).await;
        let stored = position.cursor().unwrap();
        let behind = client_of(&etcd, 0);
        let mut stream = behind.open(self::watch().from_cursor(stored));
        let next = etcd.put("k", "2");
        let catch_up = async {
            etcd.sleep(millis(100)).await;
            etcd.endpoint(0).catch_up();
        };
        let (found, ()) = futures::join!(revision(&mut stream), catch_up);
        assert_eq!(found, next);
    });
}

fn client_of(etcd: &FakeEtcd, number: usize) -> Client<FakeEtcd> {
    let endpoint = etcd.endpoint(number).url();
    Client::new(etcd.clone(), [endpoint]).unwrap()
}

#[test]
fn each_watch_of_a_set_has_its_own_cursor() {
    let etcd = jumping().build();
    block_on(async {
        let stored = cursor(&etcd).await;
        etcd.put("k", "2");
        etcd.change_cluster_id();
        let (fresh, position) = Watch::new("k").positioned();
        let (from, unset) = watch().from_cursor(stored).positioned();
        let mut set = client(&etcd).open(WatchSet::new([from, fresh]));
        let ended = set.next().await.unwrap().unwrap();
        assert_eq!(ended.watch, 0);
        assert!(ended.changes.unwrap_err().is_cluster_changed());
        assert_eq!(unset.cursor(), None);
        assert!(poll!(set.next()).is_pending());
        let next = etcd.put("k", "3");
        let item = set.next().await.unwrap().unwrap();
        assert_eq!((item.watch, item.changes.unwrap().revision), (1, next));
        assert_eq!(position.cursor().unwrap().revision(), next);
    });
}

#[test]
fn keys_are_read_and_watched_from_there_over_a_restart() {
    let etcd = jumping().build();
    block_on(async {
        etcd.put("k", "1");
        let client = client(&etcd);
        let read = client.v3().kv().range(KeyRange::prefix("k")).await.unwrap();
        let cursor = WatchCursor::after(&read.header);
        let next = etcd.put("k", "2");
        let (mut stream, _) = open(&etcd, watch().from_cursor(cursor));
        assert_eq!(revision(&mut stream).await, next);
    });
}

#[test]
fn a_watch_from_a_future_revision_has_no_cursor_before_the_store_is_there() {
    let etcd = jumping().build();
    block_on(async {
        let now = etcd.put("k", "1");
        let (mut stream, position) = open(&etcd, watch().from_revision(now + 2));
        assert!(poll!(stream.next()).is_pending());
        assert_eq!(position.cursor(), None);
        etcd.put("k", "2");
        let next = etcd.put("k", "3");
        assert_eq!(revision(&mut stream).await, next);
        assert_eq!(position.cursor().unwrap().revision(), next);
    });
}
