//! Caches whose watch, listing or reader is late.

use std::pin::pin;

use etcd_http::{
    fake::{Fault, When},
    recipes::{Cache, CacheBuilder},
    transport::Transport,
    v3::KeyRange,
};
use futures::{
    StreamExt,
    future::{Either, select},
    poll,
};

use super::cache::{WATCH, changes, delay_watch, numbers, on_each_wire, text};
use crate::support::{block_on, client, jumping, millis, seconds};

/// The paths of a read, on each wire.
const RANGE: [&str; 2] = ["/v3/kv/range", "/etcdserverpb.KV/Range"];

/// A key comes and goes before the wait, which the read that the wait sends cannot show.
#[test]
fn a_cache_does_not_go_back_after_a_wait_though_its_watch_is_late() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        for path in WATCH {
            etcd.inject(When::any().path(path), Fault::delay_events(seconds(2)));
        }
        let (cache, driver) = numbers(&client);
        let work = async {
            let mut early = cache.changes();
            assert_eq!(changes(&early.next().await.unwrap()), "resync +1");
            etcd.sleep(seconds(10)).await;
            etcd.put("n/b", "2");
            client.v3().kv().delete("n/b").await.unwrap();
            let revision = etcd.put("other", "1");
            cache.wait_until(revision).await.unwrap();
            let mut late = cache.changes();
            assert_eq!(changes(&late.next().await.unwrap()), "resync +1");
            for _ in 0..100 {
                let now = cache.snapshot();
                assert_eq!((now.revision(), text(&now)), (revision, "a=1".into()));
                etcd.sleep(millis(100)).await;
            }
            // What came and went is delivered to a stream from before the wait.
            for expected in [("+2", revision - 2), ("-2", revision - 1)] {
                let update = early.next().await.unwrap();
                let found = (&changes(&update)[..], update.snapshot.revision());
                assert_eq!(found, expected);
            }
            assert!(poll!(late.next()).is_pending());
            let last = etcd.put("n/c", "3");
            for stream in [&mut early, &mut late] {
                let update = stream.next().await.unwrap();
                assert_eq!(
                    (changes(&update), text(&update.snapshot)),
                    ("+3".into(), "a=1 c=3".into())
                );
            }
            assert_eq!(cache.revision(), last);
        };
        cache.run(driver, work).await;
    });
}

/// The listing shows a key that is gone when a wait reads.
#[test]
fn a_wait_does_not_overtake_a_listing() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        let builder = CacheBuilder::new(client.v3(), KeyRange::prefix("n/")).page(1);
        let (cache, driver): (Cache<u32>, _) = builder.json();
        let work = async {
            let mut updates = cache.changes();
            assert_eq!(changes(&updates.next().await.unwrap()), "resync +1");
            etcd.sleep(seconds(1)).await;
            delay_watch(&etcd);
            etcd.put("other", "1");
            etcd.put("other", "2");
            etcd.compact();
            etcd.put("n/b", "2");
            for path in RANGE {
                etcd.inject(When::any().path(path).nth(2), Fault::delay(seconds(5)));
            }
            etcd.sleep(seconds(5)).await;
            client.v3().kv().delete("n/b").await.unwrap();
            let revision = etcd.put("other", "3");
            let mut wait = pin!(cache.wait_until(revision));
            let mut revisions = vec![cache.revision()];
            while let Either::Right(_) = select(&mut wait, etcd.sleep(millis(10))).await {
                revisions.push(cache.revision());
            }
            for _ in 0..1_000 {
                etcd.sleep(millis(10)).await;
                revisions.push(cache.revision());
            }
            revisions.dedup();
            assert!(revisions.is_sorted(), "{revisions:?}");
            for expected in ["resync +2", "-2"] {
                assert_eq!(changes(&updates.next().await.unwrap()), expected);
            }
        };
        cache.run(driver, work).await;
    });
}

#[test]
fn a_stream_that_is_not_polled_gets_the_differences() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let range = KeyRange::prefix("n/");
    let builder = CacheBuilder::new(client.v3(), range).waiting_updates(3);
    let (cache, driver) = builder.json::<u32>();
    etcd.put("n/a", "1");
    block_on(cache.run(driver, async {
        let mut slow = cache.changes();
        let mut late = cache.changes();
        assert_eq!(changes(&slow.next().await.unwrap()), "resync +1");
        for number in 2..=9 {
            let revision = etcd.put("n/a", number.to_string());
            cache.wait_until(revision).await.unwrap();
            if number == 4 {
                let fast = [slow.next().await, slow.next().await, slow.next().await];
                let fast = fast.map(|update| changes(&update.unwrap()));
                assert_eq!(fast, ["1>2", "2>3", "3>4"]);
            }
        }
        assert_eq!(changes(&slow.next().await.unwrap()), "resync 4>9");
        assert_eq!(changes(&late.next().await.unwrap()), "resync +9");
        etcd.put("n/b", "5");
        for stream in [&mut slow, &mut late] {
            assert_eq!(changes(&stream.next().await.unwrap()), "+5");
        }
    }));
}

#[test]
fn a_stream_that_is_not_polled_tells_that_a_key_without_a_valid_value_is_gone() {
    let etcd = jumping().build();
    let client = client(&etcd);
    for key in ["n/a", "n/b", "n/c"] {
        etcd.put(key, &key[2..]);
    }
    let builder = CacheBuilder::new(client.v3(), KeyRange::prefix("n/")).waiting_updates(2);
    let (cache, driver): (Cache<u32>, _) = builder.json();
    let work = async {
        let mut updates = cache.changes();
        let first = changes(&updates.next().await.unwrap());
        assert_eq!(first, "resync !a !b !c");
        client.v3().kv().delete("n/b").await.unwrap();
        let gone = changes(&updates.next().await.unwrap());
        assert_eq!(gone, "-!b");
        client.v3().kv().delete("n/c").await.unwrap();
        for number in 0..9 {
            let revision = etcd.put("n/a", number.to_string());
            cache.wait_until(revision).await.unwrap();
        }
        let late = changes(&updates.next().await.unwrap());
        assert_eq!(late, "resync +8 -!c");
    };
    block_on(cache.run(driver, work));
}
