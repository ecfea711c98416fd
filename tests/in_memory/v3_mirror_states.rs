//! Mirrors and caches that go on from a stored state: in another process, and perhaps days later.

use std::pin::pin;

use etcd_http::{
    Client, Result,
    fake::{FakeEtcd, Fault, When},
    recipes::{Cache, CacheBuilder, CacheChange, CacheDriver, CacheUpdate, RecipeError},
    transport::Transport,
    v3::{KeyRange, Mirror, MirrorChange, MirrorGap, MirrorState, MirrorUpdate},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
    poll,
};

use crate::support::{block_on, client, jumping, seconds};

fn mirror(client: &Client<FakeEtcd>) -> Mirror<FakeEtcd> {
    client.v3().mirror(KeyRange::prefix("k/"))
}

/// The state as it comes out of a store.
fn stored(state: Option<MirrorState>) -> MirrorState {
    let text = serde_json::to_string(&state.unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The state of a mirror that has seen two keys.
async fn two_keys(etcd: &FakeEtcd) -> MirrorState {
    etcd.put("k/a", "1");
    etcd.put("k/b", "2");
    let mut mirror = mirror(&client(etcd));
    assert_eq!(mirror.state(), None);
    mirror.next().await.unwrap();
    let state = stored(mirror.state());
    assert_eq!(
        (state.len(), state.cursor().revision()),
        (2, etcd.revision())
    );
    state
}

/// What an update reports, in a line.
fn text(update: &MirrorUpdate) -> String {
    let value = |kv: &etcd_http::v3::KeyValue| kv.value_str().unwrap().to_owned();
    let change = |change: &MirrorChange| match change {
        MirrorChange::Added(new) => format!("+{}", value(new)),
        MirrorChange::Changed { old, new } => format!("{}>{}", value(old), value(new)),
        MirrorChange::Removed(old) => format!("-{}", value(old)),
    };
    let changes: Vec<_> = update.changes.iter().map(change).collect();
    let kind = match update.is_listing {
        true => format!("{:?} ", update.gap),
        false => String::new(),
    };
    format!("{kind}{}", changes.join(" "))
}

fn listings(etcd: &FakeEtcd) -> usize {
    let log = etcd.log();
    let whole = log.iter().filter(|exchange| {
        let text = exchange.line();
        text.contains("/v3/kv/range") && text.contains("range_end")
    });
    whole.count()
}

async fn gap_of(etcd: &FakeEtcd, state: &MirrorState) -> Result<MirrorUpdate> {
    mirror(&client(etcd)).resume(state.clone()).next().await
}

#[test]
fn only_what_has_changed_since_is_read() {
    let etcd = jumping().build();
    block_on(async {
        let state = two_keys(&etcd).await;
        etcd.advance(seconds(3 * 86_400));
        etcd.put("k/a", "10");
        client(&etcd).v3().kv().delete("k/b").await.unwrap();
        let before = listings(&etcd);
        let mut mirror = mirror(&client(&etcd)).resume(state.clone());
        // It is there before a server was asked.
        assert_eq!(
            (mirror.len(), mirror.revision()),
            (2, state.cursor().revision())
        );
        assert_eq!(mirror.age(), None);
        assert_eq!(stored(mirror.state()), state);
        let update = mirror.next().await.unwrap();
        assert_eq!((text(&update), update.gap), ("1>10".into(), None));
        assert_eq!(text(&mirror.next().await.unwrap()), "-2");
        assert!(mirror.age().is_some());
        assert_eq!(listings(&etcd), before);
        let state = stored(mirror.state());
        assert_eq!(
            (state.len(), state.cursor().revision()),
            (1, etcd.revision())
        );
    });
}

#[test]
fn a_store_that_does_not_go_on_is_reported_with_the_differences_or_as_an_error() {
    /// What happens between, what is reported, and whether it is an error of compaction.
    type Case = (fn(&FakeEtcd, &FakeEtcd), MirrorGap, &'static str);
    let cases: [Case; 6] = [
        (
            |etcd, _| {
                etcd.put("k/c", "3");
                etcd.put("k/a", "4");
                etcd.compact();
            },
            MirrorGap::Compacted,
            "1>4 +3",
        ),
        (
            |etcd, backup| {
                etcd.restore(backup);
            },
            MirrorGap::Restored,
            "-2",
        ),
        // The same revision, of another history.
        (
            |etcd, backup| {
                etcd.wipe();
                etcd.restore(backup);
                etcd.put("k/b", "3");
            },
            MirrorGap::Restored,
            "2>3",
        ),
        (
            |etcd, backup| {
                etcd.wipe();
                etcd.restore(backup);
                for _ in 0..9 {
                    etcd.put("k/a", "5");
                }
            },
            MirrorGap::Restored,
            "1>5 -2",
        ),
        (
            |etcd, _| {
                etcd.change_cluster_id();
                etcd.put("k/c", "6");
            },
            MirrorGap::OtherCluster,
            "+6",
        ),
        (
            |etcd, backup| {
                etcd.restore(backup);
                etcd.change_cluster_id();
                etcd.put("k/b", "7");
            },
            MirrorGap::OtherCluster,
            "2>7",
        ),
    ];
    for (meanwhile, gap, changes) in cases {
        let etcd = jumping().build();
        block_on(async {
            etcd.put("k/a", "1");
            let backup = etcd.fork();
            for _ in 0..5 {
                etcd.restart();
            }
            etcd.put("k/b", "2");
            let mut first = mirror(&client(&etcd));
            first.next().await.unwrap();
            let state = stored(first.state());
            meanwhile(&etcd, &backup);
            let update = gap_of(&etcd, &state).await.unwrap();
            assert_eq!(text(&update), format!("{:?} {changes}", Some(gap)));
            // By choice, it is an error, and the copy stays.
            let mut strict = mirror(&client(&etcd))
                .resume(state.clone())
                .fail_on_gap(true);
            let error = strict.next().await.unwrap_err();
            assert_eq!(error.is_compacted(), gap == MirrorGap::Compacted, "{error}");
            assert_eq!(
                error.is_cluster_changed(),
                gap != MirrorGap::Compacted,
                "{error}"
            );
            assert_eq!(stored(strict.state()), state);
            let update = strict.next().await.unwrap();
            assert_eq!(text(&update), format!("{:?} {changes}", Some(gap)));
        });
    }
}

#[test]
fn a_first_listing_has_no_gap_and_one_after_a_compaction_says_so() {
    let etcd = jumping().build();
    block_on(async {
        etcd.put("k/a", "1");
        let mut mirror = mirror(&client(&etcd));
        assert_eq!(text(&mirror.next().await.unwrap()), "None +1");
        etcd.endpoint(0).stop();
        let next = async { text(&mirror.next().await.unwrap()) };
        let meanwhile = async {
            etcd.sleep(seconds(20)).await;
            etcd.put("k/a", "2");
            etcd.put("k/a", "3");
            etcd.compact();
            etcd.endpoint(0).start();
        };
        assert_eq!(join(next, meanwhile).await.0, "Some(Compacted) 1>3");
    });
}

#[test]
fn a_restored_store_is_a_gap_of_a_mirror_that_follows_it_or_an_error() {
    for strict in [false, true] {
        let etcd = jumping().build();
        block_on(async {
            etcd.put("k/a", "1");
            let backup = etcd.fork();
            let mut mirror = mirror(&client(&etcd)).fail_on_gap(strict);
            mirror.next().await.unwrap();
            etcd.put("k/b", "2");
            etcd.put("k/b", "3");
            mirror.next().await.unwrap();
            mirror.next().await.unwrap();
            etcd.restore(&backup);
            etcd.put("k/b", "4");
            if strict {
                let error = mirror.next().await.unwrap_err();
                assert!(error.is_cluster_changed(), "{error}");
                assert_eq!(mirror.get("k/b").unwrap().value, "3");
            }
            let update = mirror.next().await.unwrap();
            assert_eq!(text(&update), "Some(Restored) 3>4");
            etcd.put("k/a", "5");
            assert_eq!(text(&mirror.next().await.unwrap()), "1>5");
        });
    }
}

/// History is compacted before the second page of the next listing.
fn compact_in_listing(etcd: &FakeEtcd) {
    let compact = |etcd: &FakeEtcd| {
        etcd.put("other", "1");
        etcd.compact();
    };
    let second_page = When::any().path("/v3/kv/range").nth(2);
    etcd.inject(second_page, Fault::before(compact));
}

#[test]
fn a_compaction_during_a_listing_loses_nothing() {
    let etcd = jumping().build();
    block_on(async {
        for number in 0..5 {
            etcd.put(format!("k/{number}"), "1");
        }
        compact_in_listing(&etcd);
        let mut strict = mirror(&client(&etcd)).page(2).fail_on_gap(true);
        assert_eq!(text(&strict.next().await.unwrap()), "None +1 +1 +1 +1 +1");
        // The gap before it is reported once.
        etcd.endpoint(0).stop();
        etcd.put("k/0", "2");
        etcd.put("k/0", "3");
        etcd.compact();
        etcd.endpoint(0).start();
        assert!(strict.next().await.unwrap_err().is_compacted());
        compact_in_listing(&etcd);
        assert_eq!(text(&strict.next().await.unwrap()), "Some(Compacted) 1>3");

        compact_in_listing(&etcd);
        let strict = numbers(&client(&etcd)).page(2).fail_on_gap(true);
        let (cache, driver) = strict.json::<u32>();
        let ready = cache.run(driver, cache.ready()).await;
        assert_eq!(ready.unwrap().len(), 5);
    });
}

#[test]
fn a_state_of_other_keys_is_refused() {
    let etcd = jumping().build();
    block_on(async {
        let state = two_keys(&etcd).await;
        let client = client(&etcd);
        let others = [
            client.v3().mirror(KeyRange::prefix("other/")),
            client.v3().namespace("k/").mirror(KeyRange::prefix("k/")),
        ];
        for other in others {
            let mut other = other.resume(state.clone());
            assert!(other.is_empty());
            let error = other.next().await.unwrap_err();
            assert!(
                error.to_string().contains("another range or namespace"),
                "{error}"
            );
            // The next call lists.
            assert!(other.next().await.unwrap().is_listing);
        }
    });
}

#[test]
fn a_state_outlives_an_outage_at_the_start_without_a_listing() {
    let etcd = jumping().build();
    block_on(async {
        let state = two_keys(&etcd).await;
        let before = listings(&etcd);
        etcd.endpoint(0).stop();
        let mut mirror = mirror(&client(&etcd))
            .resume(state)
            .outage_limit(seconds(30));
        assert!(mirror.next().await.is_err());
        assert_eq!(mirror.len(), 2);
        etcd.endpoint(0).start();
        etcd.put("k/a", "7");
        assert_eq!(text(&mirror.next().await.unwrap()), "1>7");
        assert_eq!(listings(&etcd), before);
    });
}

#[test]
fn the_state_of_quiet_keys_goes_on_with_the_servers_reports() {
    let etcd = jumping().progress_interval(seconds(60)).build();
    block_on(async {
        etcd.put("k/a", "1");
        let mut mirror = mirror(&client(&etcd));
        mirror.next().await.unwrap();
        for _ in 0..10 {
            etcd.put("other", "1");
        }
        {
            let quiet = select(Box::pin(mirror.next()), etcd.sleep(seconds(140))).await;
            assert!(matches!(quiet, Either::Right(_)), "nothing has changed");
        }
        let state = stored(mirror.state());
        assert_eq!(state.cursor().revision(), etcd.revision());
        etcd.compact();
        etcd.put("k/a", "2");
        assert_eq!(text(&gap_of(&etcd, &state).await.unwrap()), "1>2");
    });
}

/// A cut stream, a response that is lost: whatever is stored after any update, what comes then follows it.
#[test]
fn whenever_a_state_is_stored_nothing_is_lost_and_nothing_comes_twice() {
    for update in 1..6 {
        let etcd = jumping().build();
        block_on(async {
            etcd.put("k/0", "0");
            let client = client(&etcd);
            let mut mirror = mirror(&client);
            let write = async {
                for number in 1..8 {
                    etcd.sleep(seconds(1)).await;
                    if number == 3 {
                        etcd.inject(When::any().path("/v3/watch").once(), Fault::break_before());
                        etcd.restart();
                    }
                    etcd.put(format!("k/{number}"), number.to_string());
                }
            };
            let follow = async {
                for _ in 0..update {
                    mirror.next().await.unwrap();
                }
                stored(mirror.state())
            };
            let (state, ()) = join(follow, write).await;
            assert_eq!(state.len(), update);
            let mut again = self::mirror(&client).resume(state);
            for number in update..8 {
                assert_eq!(text(&again.next().await.unwrap()), format!("+{number}"));
            }
            assert!(poll!(pin!(again.next())).is_pending());
        });
    }
}

fn numbers(client: &Client<FakeEtcd>) -> CacheBuilder<FakeEtcd> {
    CacheBuilder::new(client.v3(), KeyRange::prefix("k/"))
}

fn changes(update: &CacheUpdate<u32>) -> Vec<String> {
    let change = |change: &CacheChange<u32>| match change {
        CacheChange::Added(new) => format!("+{}", new.value),
        CacheChange::Changed { old, new } => format!("{}>{}", old.value, new.value),
        CacheChange::Removed(old) => format!("-{}", old.value),
        CacheChange::Invalid(_) => "!".to_owned(),
        CacheChange::InvalidRemoved(_) => "-!".to_owned(),
    };
    update.changes.iter().map(change).collect()
}

#[test]
fn a_cache_has_its_entries_before_a_server_responds_and_delivers_what_has_changed_since() {
    let etcd = jumping().build();
    block_on(async {
        let client = client(&etcd);
        etcd.put("k/a", "1");
        etcd.put("k/b", "2");
        etcd.put("k/bad", "no number");
        let (cache, driver): (Cache<u32>, CacheDriver) = numbers(&client).json();
        assert_eq!(cache.state(), None);
        let state = cache.run(driver, async {
            cache.ready().await.unwrap();
            stored(cache.state())
        });
        let state = state.await;
        client.v3().kv().delete("k/a").await.unwrap();
        etcd.endpoint(0).stop();
        let before = listings(&etcd);
        let (cache, driver) = numbers(&client).resume(state).json::<u32>();
        let mut updates = cache.changes();
        let work = async {
            let ready = cache.ready().await.unwrap();
            assert_eq!((ready.len(), ready.invalid().count()), (2, 1));
            assert_eq!(cache.last_heard(), None);
            etcd.endpoint(0).start();
            etcd.put("k/b", "3");
            cache.wait_until(etcd.revision()).await.unwrap();
            assert!(cache.last_heard().is_some());
            // The deletion reaches a stream that is polled only now.
            for expected in [&["+1", "+2", "!"][..], &["-1"], &["2>3"]] {
                assert_eq!(changes(&updates.next().await.unwrap()), expected);
            }
        };
        cache.run(driver, work).await;
        assert_eq!(listings(&etcd), before);
    });
}

#[test]
fn a_cache_tells_a_gap_or_ends_with_it() {
    let etcd = jumping().build();
    block_on(async {
        let state = two_keys(&etcd).await;
        etcd.put("k/a", "4");
        etcd.put("k/a", "5");
        etcd.compact();
        let client = client(&etcd);
        let (cache, driver) = numbers(&client).resume(state.clone()).json::<u32>();
        let work = async {
            let mut updates = cache.changes();
            assert_eq!(updates.next().await.unwrap().gap, None);
            let update = updates.next().await.unwrap();
            assert!(update.is_resync);
            assert_eq!(update.gap, Some(MirrorGap::Compacted));
            assert_eq!(changes(&update), ["1>5"]);
        };
        cache.run(driver, work).await;
        let strict = numbers(&client).resume(state.clone()).fail_on_gap(true);
        let (cache, driver) = strict.json::<u32>();
        driver.await;
        assert!(cache.failure().unwrap().is_compacted());
        let error = cache.wait_until(i64::MAX).await.unwrap_err();
        assert!(matches!(error, RecipeError::Client(error) if error.is_compacted()));
        assert_eq!(cache.get("k/a").unwrap().value, 1);
        // So does one that follows its keys when the store is restored.
        let backup = etcd.fork();
        let strict = numbers(&client).fail_on_gap(true);
        let (cache, driver) = strict.json::<u32>();
        let restore = async {
            cache.ready().await.unwrap();
            etcd.put("k/a", "6");
            let revision = etcd.put("k/a", "7");
            cache.wait_until(revision).await.unwrap();
            etcd.restore(&backup);
            etcd.put("k/a", "8");
        };
        join(driver, restore).await;
        assert!(cache.failure().unwrap().is_cluster_changed());
        assert_eq!(cache.get("k/a").unwrap().value, 7);
        // A state of other keys is not used.
        let other = CacheBuilder::new(client.v3(), KeyRange::prefix("other/"));
        let (cache, driver) = other.resume(state).json::<u32>();
        assert_eq!(cache.revision(), 0);
        driver.await;
        assert!(cache.failure().unwrap().to_string().contains("other keys"));
    });
}
