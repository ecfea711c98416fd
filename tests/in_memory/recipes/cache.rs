//! Caches: one revision at a time, over cut streams, compaction and restored backups, with values that cannot be decoded.

use std::{cell::RefCell, collections::BTreeMap, pin::pin};

use etcd_http::{
    Client, Protocol,
    fake::{FakeEtcd, Fault, When},
    recipes::{Cache, CacheChange, CacheDriver, CacheUpdate, RecipeError, Snapshot},
    transport::{Transport, http::Response},
    v3::KeyRange,
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};

use super::safety::explore;
use crate::support::{block_on, client, jumping, millis, misfortunes, seconds};

/// The paths of a watch, on each wire.
pub(super) const WATCH: [&str; 2] = ["/v3/watch", "/etcdserverpb.Watch/Watch"];

/// A cache of numbers.
pub(super) fn numbers(client: &Client<FakeEtcd>) -> (Cache<u32>, CacheDriver) {
    Cache::json(client.v3(), KeyRange::prefix("n/"))
}

pub(super) fn text(snapshot: &Snapshot<u32>) -> String {
    let valid = snapshot.iter().map(|it| {
        let key = it.kv.key_str().unwrap().trim_start_matches("n/");
        format!("{key}={}", it.value)
    });
    let invalid = snapshot.invalid().map(|it| {
        let key = it.kv.key_str().unwrap().trim_start_matches("n/");
        format!("{key}!")
    });
    valid.chain(invalid).collect::<Vec<_>>().join(" ")
}

/// What an update reports, in a line.
pub(super) fn changes(update: &CacheUpdate<u32>) -> String {
    let change = |change: &CacheChange<u32>| match change {
        CacheChange::Added(new) => format!("+{}", new.value),
        CacheChange::Changed { old, new } => format!("{}>{}", old.value, new.value),
        CacheChange::Removed(old) => format!("-{}", old.value),
        CacheChange::Invalid(invalid) => format!("!{}", invalid.kv.value_str().unwrap()),
        CacheChange::InvalidRemoved(old) => format!("-!{}", old.kv.value_str().unwrap()),
    };
    let changes: Vec<_> = update.changes.iter().map(change).collect();
    let kind = if update.is_resync { "resync " } else { "" };
    format!("{kind}{}", changes.join(" "))
}

/// Waits until the cache shows this, at most for a minute.
async fn shows(etcd: &FakeEtcd, cache: &Cache<u32>, expected: &str) {
    let wait = async {
        let mut updates = cache.changes();
        while text(&cache.snapshot()) != expected {
            updates.next().await.expect("the driver runs");
        }
    };
    if let Either::Right(_) = select(pin!(wait), etcd.sleep(seconds(60))).await {
        panic!("{:?}, and not {expected:?}", text(&cache.snapshot()));
    }
}

/// Cuts the watch, and has the next one begin late.
pub(super) fn delay_watch(etcd: &FakeEtcd) {
    for path in WATCH {
        let watch = When::any().path(path);
        etcd.inject(watch.once(), Fault::delay(seconds(3)));
    }
    etcd.restart();
}

pub(super) fn on_each_wire(test: impl AsyncFn(FakeEtcd, Client<FakeEtcd>)) {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let etcd = jumping().build();
        let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = client.protocol(protocol).build().unwrap();
        block_on(test(etcd, client));
    }
}

#[test]
fn a_stream_delivers_each_change_with_the_value_before() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        etcd.put("other", "1");
        let (cache, driver) = numbers(&client);
        assert_eq!((cache.revision(), cache.snapshot().len()), (0, 0));
        cache
            .run(driver, async {
                let mut updates = cache.changes();
                let next = async |updates: &mut futures::stream::BoxStream<'_, _>| {
                    changes(&updates.next().await.unwrap())
                };
                assert_eq!(next(&mut updates).await, "resync +1");
                let first = cache.snapshot();
                etcd.put("n/b", "2");
                etcd.put("n/a", "10");
                client.v3().kv().delete("n/b").await.unwrap();
                let update = updates.next().await.unwrap();
                assert_eq!(
                    (changes(&update), text(&update.snapshot)),
                    ("+2".into(), "a=1 b=2".into())
                );
                assert_eq!(update.snapshot.revision(), etcd.revision() - 2);
                assert_eq!(next(&mut updates).await, "1>10");
                assert_eq!(next(&mut updates).await, "-2");
                // A snapshot stays what it was.
                assert_eq!(
                    (text(&first), text(&cache.snapshot())),
                    ("a=1".into(), "a=10".into())
                );
                assert_eq!(cache.get("n/a").unwrap().value, 10);
                assert!(cache.get("n/b").is_none());
                // A stream that begins later begins with the present entries.
                assert_eq!(next(&mut cache.changes()).await, "resync +10");
            })
            .await;
    });
}

#[test]
fn a_value_that_cannot_be_decoded_leaves_the_last_valid_one() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        etcd.put("n/b", "two");
        let (cache, driver) = numbers(&client);
        let work = async {
            let mut updates = cache.changes();
            for (key, value, change, now) in [
                ("n/c", "3", "resync +1 !two", "a=1 b!"),
                ("n/a", "one", "+3", "a=1 c=3 b!"),
                ("n/b", "2", "!one", "a=1 c=3 a! b!"),
                ("n/b", "", "+2", "a=1 b=2 c=3 a!"),
                ("n/a", "4", "!", "a=1 b=2 c=3 a! b!"),
            ] {
                let update = updates.next().await.unwrap();
                assert_eq!(
                    (&changes(&update)[..], &text(&update.snapshot)[..]),
                    (change, now)
                );
                etcd.put(key, value);
            }
            assert_eq!(changes(&updates.next().await.unwrap()), "1>4");
            let invalid = cache.snapshot();
            let invalid = invalid.invalid().next().unwrap();
            let shown = invalid.to_string();
            assert!(
                shown.starts_with("the value of b\"n/b\" at revision 7"),
                "{shown}"
            );
            // The last valid value goes with its key.
            client.v3().kv().delete("n/b").await.unwrap();
            assert_eq!(changes(&updates.next().await.unwrap()), "-2");
            assert_eq!(text(&cache.snapshot()), "a=4 c=3");
        };
        cache.run(driver, work).await;
    });
}

#[test]
fn a_cache_is_complete_again_after_a_cut_stream_and_a_compaction() {
    on_each_wire(async |etcd, client| {
        for key in ["n/a", "n/b", "n/c"] {
            etcd.put(key, "1");
        }
        let (cache, driver) = numbers(&client);
        let work = async {
            let mut updates = cache.changes();
            updates.next().await.unwrap();
            delay_watch(&etcd);
            etcd.put("n/a", "2");
            client.v3().kv().delete("n/b").await.unwrap();
            // It was deleted, created again, and cannot be decoded: the last valid value is of another key.
            client.v3().kv().delete("n/c").await.unwrap();
            etcd.put("n/c", "three");
            etcd.put("n/d", "4");
            etcd.compact();
            let update = updates.next().await.unwrap();
            assert_eq!(changes(&update), "resync 1>2 -1 -1 !three +4");
            assert_eq!(text(&update.snapshot), "a=2 d=4 c!");
        };
        cache.run(driver, work).await;
    });
}

/// Revisions begin lower after it.
#[test]
fn a_cache_follows_a_store_that_is_restored_from_a_backup() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        let backup = etcd.fork();
        for number in 2..9 {
            etcd.put("n/a", number.to_string());
        }
        etcd.put("n/b", "1");
        let (cache, driver) = numbers(&client);
        let work = async {
            shows(&etcd, &cache, "a=8 b=1").await;
            etcd.restore(&backup);
            // The same revision of the key, in another history.
            for number in 12..19 {
                etcd.put("n/a", number.to_string());
            }
            shows(&etcd, &cache, "a=18").await;
            etcd.restore(&backup);
            shows(&etcd, &cache, "a=1").await;
            assert_eq!(cache.revision(), 2);
            etcd.put("n/c", "3");
            shows(&etcd, &cache, "a=1 c=3").await;
            // A wait for a revision of before lasts until there is one.
            let late = cache.wait_until(20);
            let limit = etcd.sleep(seconds(10));
            if let Either::Left((reached, _)) = select(pin!(late), limit).await {
                panic!("{reached:?}");
            }
        };
        cache.run(driver, work).await;
    });
}

/// The copy stays, and nobody waits for changes of it any more.
#[test]
fn a_cache_ends_where_the_client_refuses_the_cluster_as_another_one() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        let (cache, driver) = numbers(&client);
        let work = async {
            let mut updates = cache.changes();
            updates.next().await.unwrap();
            etcd.change_cluster_id();
            etcd.put("n/b", "2");
            assert!(updates.next().await.is_none());
            assert!(cache.failure().unwrap().is_cluster_changed());
            assert_eq!(text(&cache.snapshot()), "a=1");
            assert!(cache.wait_until(20).await.is_err());
        };
        cache.run(driver, work).await;
        assert!(etcd.elapsed() < seconds(60), "{:?}", etcd.elapsed());
    });
}

#[test]
fn a_wait_for_a_revision_ends_whichever_key_it_changed() {
    on_each_wire(async |etcd, client| {
        etcd.put("n/a", "1");
        let (cache, driver) = numbers(&client);
        let work = async {
            for (key, value) in [
                ("n/a", "2"),
                ("other", "2"),
                ("n/b", "invalid"),
                ("other", "3"),
            ] {
                let revision = etcd.put(key, value);
                let snapshot = cache.wait_until(revision).await.unwrap();
                assert_eq!(snapshot.revision(), revision);
            }
            let deleted = client.v3().kv().delete("n/a").await.unwrap();
            let revision = deleted.header.revision;
            let now = text(&cache.wait_until(revision).await.unwrap());
            assert_eq!(now, "b!");
            // The watch is cut, and the store is ahead: the read shows that there was a change.
            delay_watch(&etcd);
            etcd.put("n/c", "3");
            let other = etcd.put("other", "4");
            assert_eq!(text(&cache.wait_until(other).await.unwrap()), "c=3 b!");
            // A delete shows in the number of keys alone.
            delay_watch(&etcd);
            client.v3().kv().delete("n/b").await.unwrap();
            let other = etcd.put("other", "5");
            assert_eq!(text(&cache.wait_until(other).await.unwrap()), "c=3");
        };
        cache.run(driver, work).await;
    });
    // Several wait at a time, and one after a fault of each kind.
    for misfortune in misfortunes() {
        let etcd = jumping().build();
        let client = client(&etcd);
        let (cache, driver) = numbers(&client);
        etcd.put("n/a", "1");
        let work = async {
            cache.ready().await.unwrap();
            etcd.inject(
                When::any().path("/v3/kv/range").once(),
                misfortune.fault.clone(),
            );
            let revision = etcd.put("other", "2");
            let wait = async || cache.wait_until(revision).await.unwrap().revision();
            assert_eq!(
                join(wait(), wait()).await,
                (revision, revision),
                "{}",
                misfortune.name
            );
        };
        block_on(cache.run(driver, work));
        assert!(etcd.elapsed() < seconds(70), "{:?}", etcd.elapsed());
    }
}

#[test]
fn the_age_of_a_copy_grows_while_no_server_responds() {
    let etcd = jumping().build();
    let client = client(&etcd);
    etcd.put("n/a", "1");
    let (cache, driver) = numbers(&client);
    block_on(cache.run(driver, async {
        assert_eq!(cache.last_heard(), None);
        cache.ready().await.unwrap();
        etcd.sleep(seconds(600)).await;
        assert!(cache.last_heard().unwrap() < seconds(10));
        etcd.inject(When::any(), Fault::silence());
        etcd.sleep(seconds(400)).await;
        let age = cache.last_heard().unwrap();
        assert!(age > seconds(389), "{age:?}");
        assert!(cache.failure().is_some());
        assert_eq!(text(&cache.snapshot()), "a=1");
        etcd.clear_faults();
        etcd.put("n/a", "2");
        shows(&etcd, &cache, "a=2").await;
        assert!(cache.failure().is_none());
        assert!(cache.last_heard().unwrap() < seconds(10));
    }));
}

fn denied() -> Fault {
    let body = r#"{"error":"etcdserver: permission denied","code":7,"message":"etcdserver: permission denied"}"#;
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = 403.try_into().unwrap();
    Fault::respond(response)
}

#[test]
fn a_refusal_ends_the_driver_before_the_first_listing_and_is_reported_after_it() {
    let etcd = jumping().build();
    let client = client(&etcd);
    etcd.inject(When::any(), denied());
    let (cache, driver) = numbers(&client);
    block_on(driver);
    let error = block_on(cache.ready()).unwrap_err();
    assert!(matches!(error, RecipeError::Client(_)), "{error}");
    assert!(block_on(cache.changes().next()).is_none());

    etcd.clear_faults();
    etcd.put("n/a", "1");
    let (cache, driver) = numbers(&client);
    block_on(cache.run(driver, async {
        cache.ready().await.unwrap();
        etcd.inject(When::any(), denied());
        etcd.restart();
        etcd.sleep(seconds(20)).await;
        let failure = cache.failure().unwrap().to_string();
        assert!(failure.contains("permission denied"), "{failure}");
        etcd.put("n/a", "2");
        etcd.clear_faults();
        shows(&etcd, &cache, "a=2").await;
        assert!(cache.failure().is_none());
    }));
}

#[test]
fn a_driver_ends_with_the_last_handle_and_waits_end_with_the_driver() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let (cache, driver) = numbers(&client);
    let other = cache.clone();
    let changes = cache.changes();
    let drop_all = async {
        cache.ready().await.unwrap();
        drop(cache);
        etcd.sleep(seconds(1)).await;
        assert_eq!(etcd.watches().len(), 1);
        drop((other, changes));
    };
    block_on(join(driver, drop_all));
    assert_eq!(etcd.watches().len(), 0);

    let (cache, driver) = numbers(&client);
    let mut changes = cache.changes();
    drop(driver);
    let error = block_on(cache.wait_until(1)).unwrap_err();
    assert!(matches!(error, RecipeError::DriverEnded), "{error}");
    assert!(block_on(changes.next()).is_none());
}

/// Every state that a cache shows is that of the store at its revision, whatever happens, and the last one comes.
#[test]
fn a_cache_shows_what_was_there_at_each_revision() {
    explore("cache", async |etcd: FakeEtcd| {
        let client = client(&etcd);
        let (cache, driver) = numbers(&client);
        let states = RefCell::new(BTreeMap::new());
        let note = || {
            let pairs = etcd.get_prefix("n/").into_iter().map(|kv| {
                let [key, value] =
                    [kv.key, kv.value].map(|it| String::from_utf8_lossy(&it).into_owned());
                format!("{}={value}", key.trim_start_matches("n/"))
            });
            let state = pairs.collect::<Vec<_>>().join(" ");
            states.borrow_mut().insert(etcd.revision(), state);
        };
        let write = async {
            for number in 0..12 {
                etcd.put(format!("n/{}", number % 5), number.to_string());
                note();
                if number % 3 == 0 {
                    // A late one is applied without a note.
                    let _ = client.v3().kv().delete(format!("n/{}", number % 4)).await;
                    note();
                }
                etcd.sleep(millis(300)).await;
            }
            // Later than the last request that may be late.
            etcd.sleep(seconds(100)).await;
            etcd.put("n/end", "0");
            note();
        };
        let follow = async {
            let mut updates = cache.changes();
            let mut seen = BTreeMap::new();
            while let Some(update) = updates.next().await {
                for change in &update.changes {
                    let (old, new) = match change {
                        CacheChange::Added(new) => (None, Some(new)),
                        CacheChange::Changed { old, new } => (Some(old), Some(new)),
                        CacheChange::Removed(old) => (Some(old), None),
                        CacheChange::Invalid(invalid) | CacheChange::InvalidRemoved(invalid) => {
                            return Err(invalid.to_string());
                        }
                    };
                    let key = old.or(new).map(|it| it.kv.key.clone()).unwrap_or_default();
                    let before = match new {
                        Some(new) => seen.insert(key, new.value),
                        None => seen.remove(&key),
                    };
                    if before != old.map(|old| old.value) {
                        return Err(format!("{change:?} after {before:?}"));
                    }
                }
                let snapshot = &update.snapshot;
                if !snapshot
                    .iter()
                    .map(|it| it.value)
                    .eq(seen.values().copied())
                {
                    return Err(format!("{} is not {seen:?}", text(snapshot)));
                }
                let (found, revision) = (text(snapshot), snapshot.revision());
                if states
                    .borrow()
                    .get(&revision)
                    .is_some_and(|it| *it != found)
                {
                    return Err(format!("{found} at revision {revision}: {states:?}"));
                }
                if snapshot.get("n/end").is_some() {
                    break;
                }
            }
            Ok(())
        };
        let work = async {
            let end = join(follow, write);
            match select(pin!(end), etcd.sleep(seconds(900))).await {
                Either::Left(((result, ()), _)) => result,
                Either::Right(_) => Err("the end has not come".to_owned()),
            }
        };
        cache.run(driver, work).await
    });
}
