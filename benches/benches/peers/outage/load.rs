//! The load: a process with one client, 1,000 tasks and 200 watches.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use etcd_client as tonic;
use etcd_http::{
    Client, RetryBudget,
    hyper::HyperTransport,
    v3::{Put, Range, Watch},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{Phases, TICK};
use crate::{VALUE, memory};

/// The clients.
pub(super) const NAMES: [&str; 4] = [
    "etcd-http",
    "etcd-http, retry budget",
    "etcd-http, budget and call limit",
    "etcd-client",
];

/// A client whose calls and watches are counted.
trait Load: Clone + 'static {
    /// A write or a read of a key.
    async fn call(&mut self, key: &str, is_write: bool) -> bool;
    /// Each item is an event. It ends with a failure.
    async fn watch(&mut self, key: &str) -> BoxStream<'static, ()>;
}

impl Load for Client<HyperTransport> {
    async fn call(&mut self, key: &str, is_write: bool) -> bool {
        match is_write {
            true => self.send(Put::new(key, VALUE)).await.is_ok(),
            false => self.send(Range::new(key)).await.is_ok(),
        }
    }

    async fn watch(&mut self, key: &str) -> BoxStream<'static, ()> {
        let changes = self.open(Watch::new(key));
        changes.filter_map(async |it| it.ok().map(|_| ())).boxed()
    }
}

impl Load for tonic::Client {
    async fn call(&mut self, key: &str, is_write: bool) -> bool {
        match is_write {
            true => self.put(key, VALUE, None).await.is_ok(),
            false => self.get(key, None).await.is_ok(),
        }
    }

    async fn watch(&mut self, key: &str) -> BoxStream<'static, ()> {
        let Ok(watch) = tonic::Client::watch(self, key, None).await else {
            return stream::empty().boxed();
        };
        let events = stream::unfold(watch, async |mut watch| {
            loop {
                let message = watch.message().await.ok()??;
                if !message.events().is_empty() {
                    return Some(((), watch));
                }
            }
        });
        events.boxed()
    }
}

/// What was counted.
#[derive(Default)]
struct Counts {
    succeeded: Vec<u32>,
    failed: Vec<u32>,
    events: Vec<u32>,
    /// How often a watch ended.
    ended: u32,
    /// When each watch had its first event after the outage, in milliseconds.
    watches: Vec<Option<u128>>,
}

/// Runs the load in this process, and prints what it has counted.
pub(super) fn run(name: &str, phases: Phases, start: SystemTime, urls: &[String]) {
    let runtime = etcd_http_benches::tokio();
    let counts = LocalSet::new().block_on(&runtime, async {
        let start = Instant::now() + start.duration_since(SystemTime::now()).unwrap_or_default();
        let builder = || {
            let builder = Client::builder(HyperTransport::default());
            builder.endpoints(urls).timeout(TIMEOUT)
        };
        let budget = RetryBudget::new(20, 0.1);
        let build = |builder: etcd_http::ClientBuilder<_>| builder.build().expect("a client");
        match NAMES.iter().position(|it| *it == name) {
            Some(0) => load(build(builder()), phases, start).await,
            Some(1) => load(build(builder().retry_budget(budget)), phases, start).await,
            Some(2) => {
                let builder = builder().retry_budget(budget);
                load(
                    build(builder.max_concurrent_calls(100, 1000)),
                    phases,
                    start,
                )
                .await
            }
            _ => {
                let options = tonic::ConnectOptions::new()
                    .with_connect_timeout(TIMEOUT)
                    .with_timeout(TIMEOUT)
                    .with_keep_alive(Duration::from_secs(10), Duration::from_secs(3));
                let client = tonic::Client::connect(urls, Some(options)).await;
                load(client.expect("a client"), phases, start).await
            }
        }
    });
    for counted in [&counts.succeeded, &counts.failed, &counts.events] {
        let counted: Vec<_> = counted.iter().map(u32::to_string).collect();
        println!("{}", counted.join(" "));
    }
    let resumed: Option<Vec<_>> = counts.watches.into_iter().collect();
    let last = resumed.and_then(|all| all.into_iter().max());
    let last = last.map_or("never".to_owned(), |it| it.to_string());
    println!("{} {last}", counts.ended);
    println!("{} {}", memory::peak(), memory::resident());
}

/// As long as a call may wait for an endpoint.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often each task makes a call, if the one before is over.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a program waits before it opens a watch again.
const PAUSE: Duration = Duration::from_millis(500);

async fn load<L: Load>(client: L, phases: Phases, start: Instant) -> Counts {
    let ticks = phases.ticks();
    let counts = Rc::new(RefCell::new(Counts {
        succeeded: vec![0; ticks],
        failed: vec![0; ticks],
        events: vec![0; ticks],
        ended: 0,
        watches: vec![None; phases.watches],
    }));
    let healed = start + phases.before + phases.outage;
    let tick = move || {
        let elapsed = Instant::now().saturating_duration_since(start);
        (elapsed.as_millis() / TICK.as_millis()) as usize
    };
    for number in 0..phases.tasks {
        let (mut client, counts) = (client.clone(), Rc::clone(&counts));
        tokio::task::spawn_local(async move {
            let key = format!("/outage/{number}");
            let offset = INTERVAL.mul_f64(number as f64 / phases.tasks as f64);
            let mut turns = interval_at(start + offset, INTERVAL);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for turn in number.. {
                turns.tick().await;
                // A write and a read in turn.
                let is_done = client.call(&key, turn % 2 == 0).await;
                let counts = &mut *counts.borrow_mut();
                let counted = if is_done {
                    &mut counts.succeeded
                } else {
                    &mut counts.failed
                };
                if let Some(counted) = counted.get_mut(tick()) {
                    *counted += 1;
                }
            }
        });
    }
    for number in 0..phases.watches {
        let (mut client, counts) = (client.clone(), Rc::clone(&counts));
        tokio::task::spawn_local(async move {
            let key = format!("/outage/{}", number * phases.tasks / phases.watches);
            loop {
                let mut events = client.watch(&key).await;
                while events.next().await.is_some() {
                    let counts = &mut *counts.borrow_mut();
                    if let Some(counted) = counts.events.get_mut(tick()) {
                        *counted += 1;
                    }
                    if let Some(late) = Instant::now().checked_duration_since(healed) {
                        counts.watches[number].get_or_insert(late.as_millis());
                    }
                }
                counts.borrow_mut().ended += 1;
                sleep(PAUSE).await;
            }
        });
    }
    sleep_until(healed + phases.after).await;
    counts.take()
}

/// The time as milliseconds since 1970, as one process tells it to another.
pub(super) fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// See [`to_millis`].
pub(super) fn from_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
