//! Controllers under schedules of faults: the last state of every key is reconciled, one key never twice at once, and without a
//! valid token nothing is begun. See [`safety`](super::safety) for the number of schedules.

use std::{
    cell::Cell,
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use etcd_http::{
    Error,
    fake::FakeEtcd,
    recipes::{Controller, Election, ReconcileRequest, Reconciled, Session},
    transport::Transport,
};
use futures::future::{join, join_all, join3, select};

use super::{controller::numbers, safety::explore};
use crate::support::{client, millis, seconds};

const TTL: Duration = seconds(5);
const KEYS: usize = 4;

/// What the reconcilers of all controllers have made of the keys.
#[derive(Clone)]
struct World {
    etcd: FakeEtcd,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The revision by which each key was last reconciled; 0 if it was deleted.
    done: BTreeMap<Bytes, i64>,
    running: Vec<Bytes>,
    calls: u64,
    problem: Option<String>,
}

/// A key that is being reconciled, until this is dropped.
struct Running(World, Bytes);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        if let Some(at) = state.running.iter().position(|it| *it == self.1) {
            state.running.swap_remove(at);
        }
    }
}

impl World {
    fn new(etcd: &FakeEtcd) -> Self {
        Self {
            etcd: etcd.clone(),
            state: Arc::default(),
        }
    }

    fn begin(&self, request: &ReconcileRequest<u32>) -> (Running, u64) {
        let mut state = self.state.lock().unwrap();
        if state.running.contains(&request.key) {
            state.problem = Some(format!("{:?} runs twice", request.key));
        }
        if let Some(fence) = &request.fence {
            let queue = self.etcd.get_prefix("leader/");
            let first = queue.iter().min_by_key(|it| it.create_revision);
            if first.is_none_or(|first| first.create_revision != fence.token()) {
                state.problem = Some(format!("began with {fence:?} beside {queue:?}"));
            }
        }
        state.running.push(request.key.clone());
        state.calls += 1;
        (Running(self.clone(), request.key.clone()), state.calls)
    }

    /// Takes a while, fails every third time, and is dropped perhaps.
    async fn reconcile(self, request: ReconcileRequest<u32>) -> Result<Reconciled, &'static str> {
        let (running, call) = self.begin(&request);
        self.etcd.sleep(millis(call % 4 * 150)).await;
        drop(running);
        if call.is_multiple_of(3) {
            return Err("every third call");
        }
        let mut state = self.state.lock().unwrap();
        state
            .done
            .insert(request.key.clone(), request.mod_revision());
        Ok(Reconciled::AwaitChange)
    }

    fn check(&self) -> Result<(), String> {
        let mut state = self.state.lock().unwrap();
        if let Some(problem) = state.problem.take() {
            return Err(problem);
        }
        // What a later fault may have deleted or left is asked of etcd itself.
        for key in (0..KEYS).map(key) {
            let stored = self.etcd.get(&key).map_or(0, |kv| kv.mod_revision);
            let done = state.done.get(&key).copied().unwrap_or(0);
            if done != stored {
                return Err(format!(
                    "{key:?} is at revision {stored}, and was reconciled at {done}"
                ));
            }
        }
        Ok(())
    }
}

fn key(number: usize) -> Bytes {
    format!("n/{number}").into()
}

/// Changes keys, and deletes some. A write that fails is none, or one: etcd tells in the end.
async fn write(etcd: &FakeEtcd, deletes: bool) {
    let client = client(etcd);
    for round in 0..12 {
        let key = key(round % KEYS);
        let _: Result<_, Error> = match round % 5 {
            4 if deletes => client.v3().kv().delete(&key).await.map(drop),
            _ => client
                .v3()
                .kv()
                .put(&key, round.to_string())
                .await
                .map(drop),
        };
        etcd.sleep(millis(120)).await;
    }
}

#[test]
fn the_last_state_of_every_key_is_reconciled_and_no_key_runs_twice() {
    explore("controller", async |etcd| {
        let world = World::new(&etcd);
        let client = client(&etcd);
        let (cache, cache_driver) = numbers(&client);
        let reconciler = world.clone();
        let (controller, driver) = Controller::builder(&client, &cache)
            .concurrency(2)
            .backoff(millis(200), seconds(5))
            .reconcile(move |request| reconciler.clone().reconcile(request));
        let work = async {
            write(&etcd, true).await;
            // What is late has arrived, and an outage has been noticed.
            etcd.sleep(seconds(30)).await;
            controller.stop(seconds(10)).await
        };
        let work = async { futures::join!(driver, work).1 };
        let stopped = cache.run(cache_driver, work).await;
        stopped.map_err(|error| error.to_string())?;
        world.check()
    });
}

/// Three candidates. Each leaves, or crashes, and comes back with another session; the first one crashes again while keys are
/// deleted, which the others know.
#[test]
fn with_an_election_nothing_is_begun_without_a_valid_token_and_the_last_state_is_reconciled() {
    explore("controllers of an election", async |etcd| {
        let world = World::new(&etcd);
        let ready = Cell::new(0);
        let all_ready = async || {
            while ready.get() < 3 {
                etcd.sleep(millis(100)).await;
            }
        };
        let candidate = async |number: u64| {
            let client = client(&etcd);
            for life in [1, 2] {
                let (session, session_driver) = loop {
                    match Session::open(client.v3(), TTL).await {
                        Ok(opened) => break opened,
                        Err(_) => etcd.sleep(seconds(1)).await,
                    }
                };
                let election = Election::new(&session, "leader");
                let (cache, cache_driver) = numbers(&client);
                let reconciler = world.clone();
                let (controller, driver) = Controller::builder(&client, &cache)
                    .concurrency(2)
                    .backoff(millis(200), seconds(5))
                    .elected(&election, number.to_string())
                    .reconcile(move |request| reconciler.clone().reconcile(request));
                let work = async {
                    if life == 2 {
                        let _ = cache.ready().await;
                        ready.set(ready.get() + 1);
                        all_ready().await;
                        etcd.sleep(if number == 1 {
                            millis(500)
                        } else {
                            seconds(30)
                        })
                        .await;
                        return;
                    }
                    etcd.sleep(millis(number * 500)).await;
                    if number > 1 {
                        let _ = controller.stop(seconds(1)).await;
                        let _ = session.close().await;
                    }
                };
                let drivers = join3(session_driver, cache_driver, driver);
                select(pin!(drivers), pin!(work)).await;
            }
        };
        let writes = async {
            write(&etcd, false).await;
            all_ready().await;
            write(&etcd, true).await;
        };
        join(join_all((1..=3).map(candidate)), writes).await;
        world.check()
    });
}
