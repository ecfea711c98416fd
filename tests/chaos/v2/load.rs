//! The load: queues, counters and registers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Outcome, Result,
    transport::Transport,
    v2::{CompareAndSwap, Condition, Create, CreateInOrder, Delete, Event, Get, Set},
};
use futures::future::join_all;
use harness::linearizability::{Swapped, What};
use tokio::task::JoinHandle;

use super::journal::Journal;
use crate::is_over;

pub(crate) const COUNTERS: [&str; 2] = ["/chaos/counter/a", "/chaos/counter/b"];

/// The number of operations on a register before the next one is used.
const EPOCH: usize = 40;

/// A load that ends by itself.
pub(crate) struct Load(Vec<JoinHandle<()>>);

impl Load {
    pub(crate) async fn finish(self) {
        for ended in join_all(self.0).await {
            ended.unwrap();
        }
    }
}

/// One task: its client, its duration, and the number of unique values so far.
struct Task<T> {
    client: Client<T>,
    journal: Arc<Journal>,
    name: String,
    made: usize,
    random: fastrand::Rng,
    until: (Instant, Duration),
}

/// Starts the load: creates, counters, in-order creates and registers over each client.
pub(crate) fn start<T: Transport>(
    clients: &[Client<T>],
    journal: &Arc<Journal>,
    duration: Duration,
    seed: u64,
) -> Load {
    let mut tasks = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        let task = |name: &str| Task {
            client: client.clone(),
            journal: Arc::clone(journal),
            name: format!("{name}{number}"),
            made: 0,
            random: fastrand::Rng::with_seed(seed * 100 + number as u64),
            until: (Instant::now(), duration),
        };
        tasks.push(tokio::spawn(task("create").create()));
        tasks.push(tokio::spawn(task("count").count()));
        tasks.push(tokio::spawn(task("enqueue").enqueue()));
        tasks.push(tokio::spawn(task("register").registers()));
        tasks.push(tokio::spawn(task("other").registers()));
    }
    Load(tasks)
}

impl<T: Transport> Task<T> {
    /// Creates the same keys as the other tasks: one of them succeeds.
    async fn create(mut self) {
        let mut number = 0;
        while self.goes_on().await {
            let (key, value) = (format!("/chaos/create/{number:05}"), self.unique());
            number += 1;
            let create = Create::new(&key, &value);
            let (name, result) = if number % 2 == 0 {
                ("create", self.client.send(create).await)
            } else {
                ("create, once", self.client.v2().once(create).await)
            };
            self.journal.write(name, &key, Some(&value), &result);
        }
    }

    /// Increments a counter repeatedly. Its value is a number and something unique.
    async fn count(mut self) {
        while self.goes_on().await {
            let key = COUNTERS[self.random.usize(0..COUNTERS.len())];
            let now = self.read(key).await;
            let value = self.unique();
            let (name, result) = match now {
                Ok(Some(event)) => {
                    let before = event.node.value.as_deref().map_or(0, count_of);
                    let value = format!("{} {value}", before + 1);
                    let index = Condition::index_is(event.node.modified_index);
                    let swap = CompareAndSwap::new(key, &value, index);
                    let (name, result) = if self.random.bool() {
                        ("swap", self.client.send(swap).await)
                    } else {
                        ("swap, once", self.client.v2().once(swap).await)
                    };
                    self.journal.write(name, key, Some(&value), &result);
                    continue;
                }
                Ok(None) => (
                    "create",
                    self.client
                        .send(Create::new(key, format!("1 {value}")))
                        .await,
                ),
                Err(_) => continue,
            };
            self.journal
                .write(name, key, Some(&format!("1 {value}")), &result);
        }
    }

    async fn enqueue(mut self) {
        while self.goes_on().await {
            let value = self.unique();
            let create = CreateInOrder::new("/chaos/queue", &value);
            let (name, result) = if self.random.bool() {
                ("in order", self.client.send(create).await)
            } else {
                ("in order, once", self.client.v2().once(create).await)
            };
            self.journal
                .write(name, "/chaos/queue", Some(&value), &result);
        }
    }

    /// Reads and writes registers with all operations. Swaps compare with the last value that was seen.
    async fn registers(mut self) {
        let mut seen: Option<String> = None;
        let mut done = 0;
        while self.goes_on().await {
            let key = format!("/chaos/register/{:04}", done / EPOCH);
            if done % EPOCH == 0 {
                seen = None;
            }
            done += 1;
            let called = self.journal.now();
            let value = self.unique();
            let choice = self.random.u8(0..10);
            match (choice, &seen) {
                (0..=3, _) => {
                    if let Ok(event) = self.read(&key).await {
                        seen = event.and_then(|event| event.node.value);
                        let what = What::Read(seen.clone());
                        self.journal.register(&key, called, true, what);
                    }
                }
                (4, _) => {
                    let result = self.client.send(Create::new(&key, &value)).await;
                    self.journal.write("create", &key, Some(&value), &result);
                    let exists = result.as_ref().is_err_and(Error::is_already_exists);
                    self.settle(
                        &key,
                        called,
                        &result,
                        exists,
                        What::Create(value, result.is_ok()),
                    );
                }
                (5, _) => {
                    let result = self.client.send(Delete::new(&key)).await;
                    self.journal.write("delete", &key, None, &result);
                    let absent = result.as_ref().is_err_and(Error::is_key_not_found);
                    self.settle(&key, called, &result, absent, What::Delete(before(&result)));
                }
                (6..=7, Some(from)) => {
                    let condition = Condition::value_is(from);
                    let swap = CompareAndSwap::new(&key, &value, condition);
                    let result = self.client.send(swap).await;
                    self.journal
                        .write("swap by value", &key, Some(&value), &result);
                    let answer = match &result {
                        Err(error) if error.is_compare_failed() => Swapped::SomethingElse,
                        Err(error) if error.is_key_not_found() => Swapped::Nothing,
                        _ => Swapped::Done,
                    };
                    let what = What::Swap(from.clone(), value, answer);
                    self.settle(&key, called, &result, answer != Swapped::Done, what);
                }
                _ => {
                    let result = self.client.send(Set::new(&key, &value)).await;
                    self.journal.write("set", &key, Some(&value), &result);
                    self.settle(
                        &key,
                        called,
                        &result,
                        false,
                        What::Set(value, before(&result)),
                    );
                }
            }
        }
    }

    /// Records an operation on a register, unless it was definitely not applied and its refusal says nothing about the
    /// register.
    fn settle(&self, key: &str, called: u64, result: &Result<Event>, telling: bool, what: What) {
        match result {
            Ok(_) => self.journal.register(key, called, true, what),
            Err(_) if telling => self.journal.register(key, called, true, what),
            Err(error) if error.outcome() == Outcome::Unknown => {
                self.journal.register(key, called, false, what);
            }
            Err(_) => {}
        }
    }

    /// Reads a key through the majority.
    async fn read(&self, key: &str) -> Result<Option<Event>> {
        let result = match self.client.send(Get::new(key).quorum(true)).await {
            Err(error) if error.is_key_not_found() => Ok(None),
            result => result.map(Some),
        };
        self.journal.count("read", &result);
        result
    }

    fn unique(&mut self) -> String {
        self.made += 1;
        format!("{}.{}", self.name, self.made)
    }

    /// Pauses; returns `false` when the time is over.
    async fn goes_on(&mut self) -> bool {
        let breath = Duration::from_millis(self.random.u64(50..250));
        self.client.transport().sleep(breath).await;
        let (started, duration) = self.until;
        !is_over(started, duration)
    }
}

/// Returns the number that a counter's value begins with.
pub(crate) fn count_of(value: &str) -> u64 {
    let number = value.split(' ').next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

/// Returns the value that a write has replaced or deleted.
fn before(result: &Result<Event>) -> Option<String> {
    let before = result.as_ref().ok()?.prev_node.as_ref()?;
    before.value.clone()
}
