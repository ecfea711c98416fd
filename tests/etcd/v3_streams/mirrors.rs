//! Mirrors of a range.

use std::pin::pin;

use etcd_http::{
    transport::Transport,
    v3::{Compact, DeleteRange, KeyRange, Mirror, MirrorChange, Put, RangeStream, Txn},
};
use futures::{
    TryStreamExt,
    future::{Either, select},
};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Shared {
            a_mirror_says_what_is_added_changed_and_removed,
            a_mirror_and_a_paged_read_of_more_than_the_client_takes_at_once_are_whole,
        }
        Alone {
            a_mirror_is_equal_again_after_a_gap,
            a_mirror_misses_no_delete_wherever_history_is_compacted,
        }
    }
    http {
        Alone {
            seventy_megabytes_of_large_values_are_read_with_default_limits,
        }
    }
}

fn names(changes: &[MirrorChange]) -> Vec<String> {
    let name = |change: &MirrorChange| match change {
        MirrorChange::Added(new) => format!("+{}", last(&new.key)),
        MirrorChange::Changed { old, new } => {
            assert!(old.mod_revision < new.mod_revision);
            format!("~{}", last(&new.key))
        }
        MirrorChange::Removed(old) => format!("-{}", last(&old.key)),
    };
    changes.iter().map(name).collect()
}

fn last(key: &[u8]) -> String {
    char::from(*key.last().unwrap()).to_string()
}

async fn put<T: Transport>(etcd: &Etcd<T>, name: &str) {
    etcd.send(Put::new(etcd.key(name), "x")).await.unwrap();
}

async fn assert_equal<T: Transport>(etcd: &Etcd<T>, mirror: &Mirror<T>) {
    let now = etcd
        .v3()
        .kv()
        .range(KeyRange::prefix(etcd.key("")))
        .await
        .unwrap();
    assert!(mirror.iter().eq(now.kvs), "{mirror:?}");
}

async fn a_mirror_says_what_is_added_changed_and_removed<T: Transport>(etcd: Etcd<T>) {
    put(&etcd, "b").await;
    put(&etcd, "a").await;
    let mut mirror = Mirror::new(&etcd, KeyRange::prefix(etcd.key("")));
    assert!(mirror.is_empty() && mirror.revision() == 0);
    let update = mirror.next().await.unwrap();
    assert!(update.is_listing && mirror.revision() == update.revision);
    assert_eq!(names(&update.changes), ["+a", "+b"]);
    let txn = Txn::new()
        .then(Put::new(etcd.key("c"), "x"))
        .then(Put::new(etcd.key("a"), "y"))
        .then(DeleteRange::new(etcd.key("b")));
    etcd.send(txn).await.unwrap();
    let update = mirror.next().await.unwrap();
    assert!(!update.is_listing);
    assert_eq!(names(&update.changes), ["+c", "~a", "-b"]);
    assert_eq!(mirror.get(etcd.key("a")).unwrap().value, "y");
    assert_equal(&etcd, &mirror).await;
}

async fn a_mirror_is_equal_again_after_a_gap<T: Transport>(etcd: Etcd<T>) {
    for name in ["a", "b", "c"] {
        put(&etcd, name).await;
    }
    let mut mirror = Mirror::new(&etcd, KeyRange::prefix(etcd.key("")));
    mirror.next().await.unwrap();
    // The connection is cut with the server, and the history is compacted when it is back.
    etcd.meanwhile(|server| server.restart()).await;
    // A write is not repeated when the connection that it takes turns out to be dead: a new client has none.
    let writer = etcd.client(|builder| builder);
    writer.send(Put::new(etcd.key("a"), "x")).await.unwrap();
    writer.send(DeleteRange::new(etcd.key("b"))).await.unwrap();
    let put = writer.send(Put::new(etcd.key("d"), "x")).await.unwrap();
    writer
        .send(Compact::new(put.header.revision))
        .await
        .unwrap();
    let update = mirror.next().await.unwrap();
    assert!(update.is_listing);
    assert_eq!(names(&update.changes), ["~a", "-b", "+d"]);
    assert_equal(&etcd, &mirror).await;
}

async fn a_mirror_misses_no_delete_wherever_history_is_compacted<T: Transport>(etcd: Etcd<T>) {
    for (before, after) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1)] {
        for compacted in 0..=before + 1 + after {
            put(&etcd, "k").await;
            let mut mirror = Mirror::new(&etcd, KeyRange::prefix(etcd.key("")));
            let listed = mirror.next().await.unwrap().revision;
            // The watch begins when the mirror is polled again.
            for _ in 0..before {
                put(&etcd, "a").await;
            }
            etcd.send(DeleteRange::new(etcd.key("k"))).await.unwrap();
            for _ in 0..after {
                put(&etcd, "b").await;
            }
            let compact = Compact::new(listed + compacted).physical(true);
            etcd.send(compact).await.unwrap();
            let last = listed + before + 1 + after;
            let follow = async {
                while mirror.revision() < last {
                    mirror.next().await.unwrap();
                }
            };
            let case = format!("{before} before, {after} after, {compacted} compacted");
            let limit = etcd.sleep(60_000);
            if let Either::Right(_) = select(pin!(follow), pin!(limit)).await {
                panic!("the delete is missing: {case}");
            }
            assert!(mirror.get(etcd.key("k")).is_none(), "{case}");
            assert_equal(&etcd, &mirror).await;
        }
    }
}

async fn a_mirror_and_a_paged_read_of_more_than_the_client_takes_at_once_are_whole<T: Transport>(
    etcd: Etcd<T>,
) {
    for number in 0..12 {
        let put = Put::new(etcd.key(format!("{number:02}")), "x".repeat(30_000));
        etcd.send(put).await.unwrap();
    }
    let small = etcd.client(|builder| builder.max_response_size(100_000));
    let range = || KeyRange::prefix(etcd.key(""));
    let read = small.open(RangeStream::new(range()));
    let found: Vec<_> = read.try_collect().await.unwrap();
    assert_eq!(found.len(), 12);
    let mut mirror = small.v3().mirror(range());
    mirror.next().await.unwrap();
    assert!(mirror.iter().eq(found));
}

async fn seventy_megabytes_of_large_values_are_read_with_default_limits<T: Transport>(
    etcd: Etcd<T>,
) {
    const SIZE: usize = 1_400_000;
    for number in 0..52 {
        let put = Put::new(etcd.key(format!("{number:02}")), "x".repeat(SIZE));
        etcd.send(put).await.unwrap();
    }
    let range = || KeyRange::prefix(etcd.key(""));
    let mut read = etcd.open(RangeStream::new(range()));
    let mut sizes = Vec::new();
    while let Some(pair) = read.try_next().await.unwrap() {
        sizes.push(pair.value.len());
    }
    assert_eq!(sizes, [SIZE; 52]);
    let mut mirror = etcd.v3().mirror(range());
    mirror.next().await.unwrap();
    assert_eq!(mirror.len(), 52);
    assert!(mirror.iter().all(|pair| pair.value.len() == SIZE));
}
