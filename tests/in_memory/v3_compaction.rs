//! A delete whose revision is compacted before a watch begins there: etcd 3.4 leaves it out and does not say so (etcd issue 18089).

use etcd_http::{
    Error, Result,
    fake::{FakeEtcd, Profile},
    v3::{Changes, KeyRange, Watch},
};
use futures::{StreamExt, poll, stream::BoxStream};

use crate::support::{block_on, client, jumping};

fn watch() -> Watch {
    Watch::new(KeyRange::prefix("k"))
}

fn each_version(test: impl AsyncFn(FakeEtcd, Profile)) {
    for profile in [Profile::V3_4, Profile::V3_5] {
        block_on(test(jumping().profile(profile).build(), profile));
    }
}

/// Deletes `k1`, and compacts history at that revision.
async fn delete_and_compact(etcd: &FakeEtcd) -> i64 {
    let deleted = client(etcd).v3().kv().delete("k1").await.unwrap();
    etcd.compact();
    deleted.header.revision
}

async fn error(mut stream: BoxStream<'static, Result<Changes>>) -> Error {
    stream.next().await.unwrap().unwrap_err()
}

#[test]
fn a_watch_after_a_read_reports_that_a_delete_was_compacted() {
    each_version(async |etcd, _| {
        etcd.put("k1", "");
        let client = client(&etcd);
        let read = client.v3().kv().range(KeyRange::prefix("k")).await.unwrap();
        let revision = read.header.revision;
        assert_eq!(delete_and_compact(&etcd).await, revision + 1);
        etcd.put("k2", "");
        let error = error(client.open(watch().after_revision(revision))).await;
        assert!(error.is_compacted(), "{error}");
        let compacted = error.as_etcd().unwrap().compact_revision();
        assert_eq!(compacted, Some(revision + 1));
    });
}

#[test]
fn a_watch_after_a_read_delivers_what_comes_next_and_nothing_before() {
    each_version(async |etcd, _| {
        let read = etcd.put("k1", "");
        let mut stream = client(&etcd).open(watch().after_revision(read));
        assert!(poll!(stream.next()).is_pending());
        let next = etcd.put("k2", "");
        let changes = stream.next().await.unwrap().unwrap();
        assert_eq!((changes.revision, changes.events.len()), (next, 1));
    });
}

#[test]
fn a_start_that_is_the_compacted_revision_is_accepted_as_by_etcd() {
    each_version(async |etcd, profile| {
        etcd.put("k1", "");
        let deleted = delete_and_compact(&etcd).await;
        let next = etcd.put("k2", "");
        let mut stream = client(&etcd).open(watch().from_revision(deleted));
        let first = stream.next().await.unwrap().unwrap();
        let expected = match profile {
            Profile::V3_4 => next,
            _ => deleted,
        };
        assert_eq!(first.revision, expected);
    });
}

#[test]
fn a_watch_that_is_open_and_cut_before_its_first_event_reports_that_a_delete_was_compacted() {
    each_version(async |etcd, _| {
        let from = etcd.put("k1", "") + 1;
        let mut stream = client(&etcd).open(watch().from_revision(from));
        assert!(poll!(stream.next()).is_pending());
        assert_eq!(etcd.open_watches(), 1);
        etcd.restart();
        assert_eq!(delete_and_compact(&etcd).await, from);
        etcd.put("k2", "");
        let error = error(stream).await;
        assert!(error.is_compacted(), "{error}");
    });
}
