//! Recipes over the v2 API under faults: one holder at a time, and an end in time.

use std::cell::{Cell, RefCell};

use etcd_http::{
    Error,
    fake::{FakeEtcd, Fault, When},
    recipes::{
        RecipeError,
        v2::{Election, Held, Mutex, Registry},
    },
    transport::Transport,
};
use futures::{
    StreamExt,
    future::{join, join_all, pending},
};

use super::{TTL, safety::explore};
use crate::support::{block_on, client, jumping, millis, misfortunes, seconds};

const KEYS: &str = "/v2/keys/*";

/// The names and values of a registry.
async fn listed(registry: &Registry<FakeEtcd>) -> String {
    let instances = registry.instances().await.unwrap();
    let one = instances.iter().map(|node| {
        let value = node.value.as_deref().unwrap_or_default();
        format!("{}={value}", node.name())
    });
    one.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_mutex_survives_every_fault_of_every_request() {
    for misfortune in misfortunes() {
        for nth in 1..=8 {
            let etcd = jumping().build();
            etcd.inject(When::any().path(KEYS).nth(nth), misfortune.fault.clone());
            let holders = Cell::new(0);
            let tokens = RefCell::new(Vec::new());
            let turn = async || {
                let client = client(&etcd);
                let mutex = Mutex::new(&client, "/lock", TTL);
                // As a caller does whose wait was longer than the time to live.
                loop {
                    let work = mutex.run(async |held| {
                        let _leave = Enter::new(&holders);
                        assert_eq!(holders.get(), 1, "{} {nth}", misfortune.name);
                        tokens.borrow_mut().push(held.fencing_token());
                        etcd.sleep(seconds(1)).await;
                    });
                    match work.await {
                        Ok(()) => break,
                        Err(RecipeError::KeyExpired { .. }) => {}
                        Err(error) => panic!("{} {nth}: {error}", misfortune.name),
                    }
                }
            };
            block_on(async {
                join_all((0..3).map(|_| turn())).await;
                // A key whose creation was not confirmed ends by itself.
                etcd.sleep(TTL + seconds(60)).await;
                let mutex = Mutex::new(&client(&etcd), "/lock", TTL);
                assert_eq!(mutex.holder().await.unwrap(), None, "{}", misfortune.name);
            });
            let tokens = tokens.into_inner();
            assert!(tokens.len() >= 3 && tokens.is_sorted(), "{tokens:?}");
        }
    }
}

#[test]
fn work_ends_within_the_time_to_live_while_no_server_responds() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let mutex = Mutex::new(&client, "/lock", TTL);
    let silent = Cell::new(seconds(0));
    let error = block_on(mutex.run(async |_| {
        etcd.sleep(seconds(30)).await;
        etcd.inject(When::any(), Fault::silence());
        silent.set(etcd.elapsed());
        pending::<()>().await;
    }));
    let error = error.unwrap_err();
    assert!(matches!(error, RecipeError::KeyExpired { .. }), "{error}");
    let ended = etcd.elapsed() - silent.get();
    assert!(ended <= TTL && ended >= TTL / 3, "{ended:?}");
}

#[test]
fn work_ends_at_the_next_refresh_when_its_key_is_deleted() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let election = Election::new(&client, "/leader", TTL);
    let result = block_on(election.run_while_leader("here", async |held: &Held| {
        let leader = election.leader().await.unwrap().unwrap();
        assert_eq!(
            (leader.value.as_deref(), &leader.key),
            (Some("here"), &held.key)
        );
        client.v2().delete(&held.key).await.unwrap();
        pending::<()>().await;
    }));
    let error = result.unwrap_err();
    assert!(matches!(error, RecipeError::KeyExpired { .. }), "{error}");
    assert!(etcd.elapsed() <= TTL / 2, "{:?}", etcd.elapsed());
}

#[test]
fn a_mutex_that_is_not_free_is_not_waited_for_or_for_a_limited_time() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let mutex = Mutex::new(&client, "/lock", TTL);
    let queue = async || client.v2().get("/lock").await.unwrap().node.nodes.len();
    block_on(async {
        assert_eq!(mutex.try_run(async |_| 1).await.unwrap(), Some(1));
        let others = async |_: &Held| {
            assert_eq!(mutex.try_run(async |_| ()).await.unwrap(), None);
            assert_eq!(queue().await, 1, "it has left the queue");
            let began = etcd.elapsed();
            let late = mutex
                .run_within(seconds(3), async |_| ())
                .await
                .unwrap_err();
            assert!(late.is_timed_out(), "{late}");
            let took = etcd.elapsed() - began;
            assert!(took >= seconds(3) && took < seconds(4), "{took:?}");
            assert_eq!(queue().await, 1);
        };
        mutex.run(others).await.unwrap();
        let in_time = join(
            mutex.run(async |_| etcd.sleep(seconds(5)).await),
            mutex.run_within(seconds(20), async |_| ()),
        );
        let (one, other) = in_time.await;
        one.and(other).unwrap();
    });
}

#[test]
fn what_a_leader_proclaims_is_observed_whatever_fails() {
    for misfortune in misfortunes() {
        for nth in 1..=10 {
            let etcd = jumping().build();
            let client = client(&etcd);
            let election = Election::new(&client, "/leader", seconds(60));
            etcd.inject(When::any().path(KEYS).nth(nth), misfortune.fault.clone());
            let observed = async {
                let mut values = Vec::new();
                let mut leaders = election.observe();
                while values.last().is_none_or(|(value, _)| value != "6") {
                    let leader = leaders.next().await.unwrap().unwrap();
                    values.push((leader.value.unwrap(), leader.key));
                }
                values
            };
            let lead = async {
                for first in [1, 4] {
                    let value = first.to_string();
                    let work = election.run_while_leader(value, async |held| {
                        for value in [first + 1, first + 2] {
                            etcd.sleep(seconds(5)).await;
                            let value = value.to_string();
                            election.proclaim(held, &value).await.unwrap();
                            let leader = election.leader().await.unwrap().unwrap();
                            assert_eq!((leader.value, &leader.key), (Some(value), &held.key));
                        }
                        etcd.sleep(seconds(5)).await;
                        held.clone()
                    });
                    let former = work.await.unwrap();
                    let late = election.proclaim(&former, "late").await.unwrap_err();
                    assert!(matches!(late, RecipeError::KeyExpired { .. }), "{late}");
                }
            };
            let (values, ()) = block_on(join(observed, lead));
            let what = format!("{}, {nth}: {values:?}", misfortune.name);
            // A candidate whose creation was not confirmed may lead for its time to live.
            assert!(values.is_sorted_by(|one, next| one < next), "{what}");
            assert!(values.len() >= 3, "{what}");
        }
    }
}

#[test]
fn a_time_to_live_is_whole_seconds_and_at_least_one() {
    let etcd = jumping().build();
    let client = client(&etcd);
    for ttl in [seconds(0), millis(500), millis(1500)] {
        let registry = Registry::new(&client, "/web", ttl);
        let error = block_on(registry.register("a", "1")).unwrap_err();
        assert!(
            matches!(error, RecipeError::Client(Error::Invalid(_))),
            "{error}"
        );
    }
    etcd.assert_count(&When::any(), 0);
}

#[test]
fn an_instance_is_registered_again_and_leaves_with_its_work() {
    for misfortune in misfortunes() {
        let etcd = jumping().build();
        let client = client(&etcd);
        let registry = Registry::new(&client, "/web", TTL);
        let serve = async {
            assert_eq!(listed(&registry).await, "a=1");
            etcd.inject(When::any().path(KEYS).once(), misfortune.fault.clone());
            etcd.sleep(seconds(60)).await;
            assert_eq!(listed(&registry).await, "a=1", "{}", misfortune.name);
            client.v2().delete("/web/a").await.unwrap();
            etcd.sleep(TTL).await;
            assert_eq!(listed(&registry).await, "a=1");
        };
        block_on(registry.run_registered("a", "1", serve)).unwrap();
        assert_eq!(block_on(listed(&registry)), "");
    }
}

#[test]
fn of_two_instances_with_one_name_the_last_stays() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let registry = Registry::new(&client, "/web", TTL);
    let second = async {
        etcd.sleep(seconds(1)).await;
        registry
            .run_registered("a", "2", etcd.sleep(seconds(30)))
            .await
    };
    let ended = async {
        // Its work ends after the second one has registered, and before the first one has noticed.
        registry
            .run_registered("a", "1", etcd.sleep(seconds(2)))
            .await
            .unwrap();
        assert_eq!(listed(&registry).await, "a=2");
        let first = registry.run_registered("a", "3", etcd.sleep(seconds(100)));
        let (first, listed) = join(first, async {
            etcd.sleep(seconds(20)).await;
            listed(&registry).await
        })
        .await;
        (first, listed)
    };
    let (second, (first, listed)) = block_on(join(second, ended));
    assert!(
        matches!(second, Err(RecipeError::AlreadyHeld)),
        "{second:?}"
    );
    assert_eq!((first.ok(), &listed[..]), (Some(()), "a=3"));
}

/// Three clients increment a number of a store that is not etcd and fences by tokens.
#[test]
fn a_mutex_never_has_two_holders_with_valid_tokens() {
    explore("v2 mutex", async |etcd: FakeEtcd| {
        let holders = Cell::new(0_u32);
        let problem = RefCell::new(None);
        let token = Cell::new(0);
        let worker = async |number: u64| {
            let client = client(&etcd);
            let mutex = Mutex::new(&client, "/lock", seconds(5));
            let mut done = 0;
            for _ in 0..50 {
                let work = mutex.run(async |held| {
                    let _leave = Enter::new(&holders);
                    if holders.get() > 1 || held.fencing_token() <= token.get() {
                        let now = (holders.get(), held.fencing_token(), token.get());
                        *problem.borrow_mut() = Some(format!("{now:?}"));
                    }
                    token.set(held.fencing_token());
                    etcd.sleep(millis(number * 700)).await;
                });
                done += u32::from(work.await.is_ok());
                if done == 2 {
                    return Ok(());
                }
                etcd.sleep(millis(100)).await;
            }
            Err("no end of failures".to_owned())
        };
        for result in join_all((1..=3).map(worker)).await {
            result?;
        }
        problem.take().map_or(Ok(()), Err)
    });
}

/// A holder, for as long as its work is not dropped.
struct Enter<'a>(&'a Cell<u32>);

impl<'a> Enter<'a> {
    fn new(holders: &'a Cell<u32>) -> Self {
        holders.set(holders.get() + 1);
        Self(holders)
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[test]
fn a_wait_for_a_lock_has_its_limit_where_etcd_cannot_be_reached() {
    let etcd = jumping().build();
    etcd.inject(When::any(), Fault::refuse());
    block_on(async {
        let client = client(&etcd);
        let mutex = Mutex::new(&client, "/lock", TTL);
        let error = mutex.run_within(seconds(1), async |_| ()).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, RecipeError::TimedOut(limit) if limit == seconds(1)),
            "{error}"
        );
        assert_eq!(etcd.elapsed(), seconds(1));
        let error = mutex.try_run(async |_| ()).await.unwrap_err();
        assert!(
            matches!(error, RecipeError::TimedOut(limit) if limit == TTL),
            "{error}"
        );
        assert_eq!(etcd.elapsed(), seconds(1) + TTL);
    });
}
