//! Controllers in virtual time: what is reconciled, when, and how often at once.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    Client,
    fake::FakeEtcd,
    recipes::{
        Cache, CacheBuilder, CacheDriver, Controller, ControllerBuilder, ControllerDriver,
        ControllerEvent, RecipeError, ReconcileRequest, Reconciled,
    },
    transport::Transport,
    v3::KeyRange,
};
use futures::future::{Either, join, join3, select};

use crate::support::{block_on, client, jumping, millis, seconds};

/// What happened, with the seconds since the start.
#[derive(Clone)]
pub(super) struct Journal {
    etcd: FakeEtcd,
    lines: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl Journal {
    pub(super) fn new(etcd: &FakeEtcd) -> Self {
        Self {
            etcd: etcd.clone(),
            lines: Arc::default(),
        }
    }

    fn note(&self, line: impl Into<String>) {
        let line = (self.etcd.elapsed(), line.into());
        self.lines.lock().unwrap().push(line);
    }

    pub(super) fn take(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn times(&self, wanted: &str) -> Vec<Duration> {
        let lines = self.lines.lock().unwrap();
        let lines = lines.iter().filter(|(_, line)| line == wanted);
        lines.map(|(at, _)| *at).collect()
    }
}

pub(super) fn numbers(client: &Client<FakeEtcd>) -> (Cache<u32>, CacheDriver) {
    Cache::json(client.v3(), KeyRange::prefix("n/"))
}

/// The key, and its value if it was not deleted.
fn state(request: &ReconcileRequest<u32>) -> String {
    let key = String::from_utf8_lossy(&request.key[2..]);
    match &request.entry {
        Some(entry) => format!("{key}={}", entry.value),
        None => format!("{key}-"),
    }
}

/// A controller that notes what it is asked for, and succeeds.
fn noting(
    builder: ControllerBuilder<FakeEtcd, u32>,
    journal: &Journal,
) -> (Controller, ControllerDriver) {
    let journal = journal.clone();
    builder.reconcile(move |request| {
        journal.note(state(&request));
        async { Ok::<_, RecipeError>(Reconciled::AwaitChange) }
    })
}

/// Polls the drivers beside the work.
async fn run(cache: CacheDriver, controller: impl Future<Output = ()>, work: impl Future) {
    let drivers = join(cache, controller);
    if let Either::Left(_) = select(pin!(drivers), pin!(work)).await {
        panic!("the drivers have ended");
    }
}

#[test]
fn keys_are_reconciled_at_the_start_when_they_change_and_when_they_are_deleted() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    etcd.put("n/b", "2");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let (controller, driver) = noting(Controller::builder(&client, &cache), &journal);
        let work = async {
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["a=1", "b=2"]);
            etcd.put("n/c", "3");
            etcd.put("n/a", "10");
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["c=3", "a=10"]);
            client.v3().kv().delete("n/b").await.unwrap();
            controller.enqueue("n/c");
            controller.enqueue("n/never");
            etcd.sleep(seconds(1)).await;
            let mut now = journal.take();
            now.sort();
            assert_eq!(now, ["b-", "c=3", "never-"]);
            let stats = controller.stats();
            assert_eq!((stats.started, stats.succeeded), (7, 7));
            assert_eq!((stats.queued, stats.delayed, stats.running), (0, 0, 0));
        };
        run(cache_driver, driver, work).await;
    });
}

#[test]
fn a_key_that_fails_is_tried_again_after_longer_and_longer_pauses_and_the_error_is_shown() {
    let etcd = jumping().build();
    etcd.put("n/bad", "0");
    etcd.put("n/good", "1");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let (events, calls) = (journal.clone(), journal.clone());
        let (controller, driver) = Controller::builder(&client, &cache)
            .backoff(seconds(1), seconds(8))
            .on_event(move |event| match event {
                ControllerEvent::Started { key, .. } if key == "n/bad" => events.note("start"),
                ControllerEvent::Failed {
                    error, failures, ..
                } => {
                    events.note(format!("{failures}: {error}"));
                }
                _ => {}
            })
            .reconcile(move |request| {
                if request.key == "n/good" {
                    calls.note("good");
                }
                let value = request.entry.map_or(0, |it| it.value);
                async move {
                    match value {
                        0 => Err("zero"),
                        _ => Ok(Reconciled::AwaitChange),
                    }
                }
            });
        let work = async {
            etcd.sleep(seconds(60)).await;
            let starts = journal.times("start");
            let pauses: Vec<_> = starts.windows(2).map(|two| two[1] - two[0]).collect();
            for (pause, most) in pauses.iter().zip([1, 2, 4, 8, 8, 8]) {
                let most = seconds(most);
                assert!(most / 2 <= *pause && *pause <= most, "{pauses:?}");
            }
            assert!((8..=16).contains(&starts.len()), "{starts:?}");
            // The other key does not wait for it.
            assert_eq!(journal.times("good").len(), 1);
            assert_eq!(journal.times("3: zero").len(), 1);
            let stats = controller.stats();
            assert_eq!(stats.failed, starts.len() as u64);
            assert_eq!(stats.retried, stats.failed - 1);
            assert_eq!(stats.delayed, 1);
            // A change does not wait for the pause.
            journal.take();
            etcd.put("n/bad", "1");
            etcd.sleep(millis(1100)).await;
            assert_eq!(journal.take(), ["start"]);
            assert_eq!(controller.stats().delayed, 0);
        };
        run(cache_driver, driver, work).await;
    });
}

#[test]
fn different_keys_run_side_by_side_up_to_the_limit_and_one_key_never_twice() {
    let etcd = jumping().build();
    for key in 0..10 {
        etcd.put(format!("n/{key}"), "1");
    }
    let client = client(&etcd);
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let running: Arc<Mutex<BTreeMap<bytes::Bytes, u32>>> = Arc::default();
        let most = Arc::new(Mutex::new(0));
        let (inner, inner_most, clock) = (running.clone(), most.clone(), etcd.clone());
        let builder = Controller::builder(&client, &cache).concurrency(3);
        let (controller, driver) = builder.reconcile(move |request| {
            let (running, most, clock) = (inner.clone(), inner_most.clone(), clock.clone());
            async move {
                {
                    let mut running = running.lock().unwrap();
                    *running.entry(request.key.clone()).or_default() += 1;
                    assert!(running.values().all(|count| *count <= 1), "{running:?}");
                    let now = running.values().sum::<u32>();
                    let mut most = most.lock().unwrap();
                    *most = now.max(*most);
                }
                clock.sleep(seconds(1)).await;
                running.lock().unwrap().remove(&request.key);
                Ok::<_, RecipeError>(Reconciled::AwaitChange)
            }
        });
        let work = async {
            // Each changes while it waits, and while it is under way.
            for _ in 0..8 {
                etcd.sleep(millis(450)).await;
                for key in 0..10 {
                    etcd.put(format!("n/{key}"), "2");
                }
            }
            assert_eq!(controller.stats().running, 3);
            etcd.sleep(seconds(60)).await;
            assert_eq!(*most.lock().unwrap(), 3);
            let stats = controller.stats();
            assert_eq!(
                (stats.started, stats.succeeded),
                (stats.succeeded, stats.started)
            );
            // Far less than the 90 writes, and each at least for its last state.
            assert!((11..=30).contains(&stats.started), "{stats:?}");
        };
        run(cache_driver, driver, work).await;
    });
}

#[test]
fn a_key_comes_again_when_it_asked_for_it_and_all_do_at_a_resync() {
    let etcd = jumping().build();
    etcd.put("n/often", "1");
    etcd.put("n/seldom", "2");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let notes = journal.clone();
        let (_controller, driver) = Controller::builder(&client, &cache)
            .resync_interval(seconds(60))
            .reconcile(move |request| {
                notes.note(state(&request));
                let next = match &request.key[..] {
                    b"n/often" => Reconciled::RequeueAfter(seconds(7)),
                    _ => Reconciled::AwaitChange,
                };
                async move { Ok::<_, RecipeError>(next) }
            });
        run(cache_driver, driver, etcd.sleep(seconds(150))).await;
        assert_eq!(journal.times("seldom=2").len(), 3);
        let often = journal.times("often=1");
        assert!((21..=24).contains(&often.len()), "{often:?}");
        assert_eq!(often[1] - often[0], seconds(7));
    });
}

#[test]
fn a_value_that_cannot_be_decoded_is_reported_and_is_never_a_deletion() {
    let etcd = jumping().build();
    etcd.put("n/new", "no number");
    etcd.put("n/old", "1");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let events = journal.clone();
        let builder = Controller::builder(&client, &cache).on_event(move |event| {
            if let ControllerEvent::Invalid(invalid) = event {
                events.note(format!("invalid {:?}", invalid.kv.value));
            }
        });
        let (controller, driver) = noting(builder, &journal);
        let work = async {
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["invalid b\"no number\"", "old=1"]);
            etcd.put("n/old", "bad");
            etcd.sleep(seconds(1)).await;
            controller.enqueue("n/new");
            controller.enqueue("n/old");
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["invalid b\"bad\""]);
            etcd.put("n/new", "3");
            client.v3().kv().delete("n/old").await.unwrap();
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["new=3", "old-"]);
        };
        run(cache_driver, driver, work).await;
    });
}

/// It had one before the cache was listed, perhaps.
#[test]
fn a_key_without_a_valid_value_is_reconciled_when_it_is_deleted() {
    let etcd = jumping().build();
    etcd.put("n/bad", "no number");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    let delete = async || drop(client.v3().kv().delete("n/bad").await.unwrap());
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let (_controller, driver) = noting(Controller::builder(&client, &cache), &journal);
        let work = async {
            etcd.sleep(seconds(1)).await;
            delete().await;
            etcd.sleep(seconds(1)).await;
            assert_eq!(journal.take(), ["bad-"]);
        };
        run(cache_driver, driver, work).await;
        // The controller gets only the differences to what the cache had.
        etcd.put("n/bad", "no number");
        let builder = CacheBuilder::new(client.v3(), KeyRange::prefix("n/")).waiting_updates(1);
        let (cache, mut cache_driver) = builder.json();
        let late = async {
            cache.ready().await.unwrap();
            let made = noting(Controller::builder(&client, &cache), &journal);
            delete().await;
            for number in 1..4 {
                let revision = etcd.put("n/a", number.to_string());
                cache.wait_until(revision).await.unwrap();
            }
            made
        };
        let (_controller, driver) = cache.run(&mut cache_driver, late).await;
        run(cache_driver, driver, etcd.sleep(seconds(1))).await;
        assert_eq!(journal.take(), ["bad-", "a=3"]);
    });
}

/// A controller whose reconciler takes this long, and notes its end.
pub(super) fn slow(
    builder: ControllerBuilder<FakeEtcd, u32>,
    journal: &Journal,
    time: Duration,
) -> (Controller, ControllerDriver) {
    let (notes, events) = (journal.clone(), journal.clone());
    let builder = builder.on_event(move |event| match event {
        ControllerEvent::Dropped { .. } => events.note("dropped"),
        ControllerEvent::Elected { .. } => events.note("elected"),
        ControllerEvent::LeadershipLost(_) => events.note("lost"),
        _ => {}
    });
    builder.reconcile(move |request| {
        let notes = notes.clone();
        async move {
            notes.note(format!("begins {}", state(&request)));
            notes.etcd.sleep(time).await;
            notes.note(format!("ends {}", state(&request)));
            Ok::<_, RecipeError>(Reconciled::AwaitChange)
        }
    })
}

#[test]
fn a_stop_finishes_what_is_under_way_within_its_limit_and_begins_nothing() {
    for (limit, expected) in [
        (seconds(10), vec!["begins a=1", "ends a=1"]),
        (seconds(2), vec!["begins a=1", "dropped"]),
    ] {
        let etcd = jumping().build();
        etcd.put("n/a", "1");
        etcd.put("n/b", "1");
        let (client, journal) = (client(&etcd), Journal::new(&etcd));
        block_on(async {
            let (cache, cache_driver) = numbers(&client);
            let (controller, driver) =
                slow(Controller::builder(&client, &cache), &journal, seconds(5));
            let work = async {
                etcd.sleep(seconds(1)).await;
                let began = etcd.elapsed();
                // One that gives up waiting changes nothing.
                select(pin!(controller.stop(seconds(60))), etcd.sleep(millis(1))).await;
                let stopped = controller.stop(limit).await;
                let took = etcd.elapsed() - began;
                match stopped {
                    Ok(()) => assert_eq!(took, seconds(4)),
                    Err(error) => {
                        assert!(error.is_timed_out(), "{error}");
                        assert_eq!(took, seconds(2) + millis(1));
                    }
                }
                assert_eq!(controller.stats().running, 0);
                // It has stopped: nothing is left to wait for.
                assert!(controller.stop(limit).await.is_ok());
            };
            select(pin!(cache_driver), pin!(join(driver, work))).await;
        });
        assert_eq!(journal.take(), expected);
    }
}

#[test]
fn a_controller_ends_with_its_cache_and_says_that_its_driver_was_dropped() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let (_controller, driver) =
            slow(Controller::builder(&client, &cache), &journal, seconds(5));
        let cache_runs = async {
            select(cache_driver, etcd.sleep(seconds(2))).await;
        };
        join(driver, cache_runs).await;
        assert_eq!(journal.take(), ["begins a=1", "ends a=1"]);
        let (controller, driver) = noting(Controller::builder(&client, &cache), &journal);
        drop(driver);
        let error = controller.stop(seconds(1)).await.unwrap_err();
        assert!(matches!(error, RecipeError::DriverEnded), "{error}");
    });
}

#[test]
fn closing_the_client_ends_a_controller() {
    let etcd = jumping().build();
    etcd.put("n/a", "1");
    let (client, journal) = (client(&etcd), Journal::new(&etcd));
    block_on(async {
        let (cache, cache_driver) = numbers(&client);
        let (controller, driver) = noting(Controller::builder(&client, &cache), &journal);
        let work = async {
            etcd.sleep(seconds(1)).await;
            client.close(seconds(5)).await.unwrap();
        };
        join3(cache_driver, driver, work).await;
        assert!(controller.stop(seconds(1)).await.is_ok());
    });
}
