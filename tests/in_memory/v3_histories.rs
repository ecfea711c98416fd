//! Keys of the fake's v3 store, by JSON and by gRPC, with three members that are cut off, lag, restart and take turns as the
//! leader, and with every fault of a request: every history is linearizable, no write that was acknowledged is missing, none
//! that was rejected is there, and watches deliver that history.
//!
//! `ETCD_HTTP_HISTORIES` is the number of histories on each wire and defaults to 20. Each has four callers with forty operations.

use std::{env, pin::pin, time::Duration};

use etcd_http::{
    Client, Error, Outcome, Protocol, Result,
    fake::{FakeEtcd, KeyChange},
    transport::Transport,
    v3::{Changes, Compare, DeleteRange, KeyRange, KeyValue, Put, Range, Txn, Watch},
};
use futures::{
    StreamExt,
    executor::block_on,
    future::{Either, join, join_all, select},
};
use harness::linearizability::{self, Op, Swapped, What, is_linearizable};

use crate::{
    histories::{History, inject_faults},
    support::jumping,
};

const CALLERS: usize = 4;
const OPERATIONS: usize = 40;

/// What every caller works on, and what every watch is for.
const REGISTER: &str = "r/0";
const PREFIX: &str = "r/";

/// The last key that is written.
const END: &str = "r/end";

/// What happened to one fake.
struct Run {
    etcd: FakeEtcd,
    ops: Vec<Op>,
    /// The writes whose callers know when they were applied: the revision, and the value unless it was a deletion.
    applied: Vec<(i64, Option<String>)>,
    /// The values of writes that were definitely not applied.
    not_applied: Vec<String>,
    /// What each watch has delivered.
    watched: Vec<Vec<Changes>>,
}

fn check_wire(protocol: Protocol) {
    let count = env::var("ETCD_HTTP_HISTORIES").map_or(20, |text| text.parse().unwrap());
    let (mut operations, mut unknown, mut events) = (0, 0, 0);
    for seed in 0..count {
        let run = run(seed, protocol, false);
        operations += run.ops.len();
        unknown += run.ops.iter().filter(|op| op.returned.is_none()).count();
        events += run.watched.iter().flatten().count();
        let mut problems = run.problems();
        let checked = linearizability::check(&[(REGISTER.to_owned(), run.ops)].into());
        problems.extend(checked.err().map(|error| error.to_string()));
        assert!(problems.is_empty(), "seed {seed}: {problems:#?}");
    }
    println!(
        "{count} histories, {operations} operations, {unknown} of unknown outcome, {events} revisions watched"
    );
    assert!(unknown > operations / 50);
    assert!(events > count as usize * CALLERS * OPERATIONS / 4);
}

#[test]
fn histories_by_json_are_linearizable_and_watched_in_full() {
    check_wire(Protocol::Gateway);
}

#[test]
fn histories_by_grpc_are_linearizable_and_watched_in_full() {
    check_wire(Protocol::Grpc);
}

#[test]
fn a_caller_that_sends_lost_writes_again_is_detected() {
    let protocols = [Protocol::Grpc, Protocol::Gateway];
    let found = (0..20).filter(|&seed| {
        let protocol = protocols[seed as usize % 2];
        !is_linearizable(&run(seed, protocol, true).ops)
    });
    assert!(found.count() > 2);
}

#[test]
fn a_watch_that_loses_repeats_or_swaps_changes_is_detected() {
    let run = run(0, Protocol::Grpc, false);
    assert_eq!(run.problems(), [""; 0]);
    let watched = run.watched[0].clone();
    assert!(watched.len() > 3);
    let altered = |alter: fn(&mut Vec<Changes>)| {
        let mut watched = watched.clone();
        alter(&mut watched);
        run.unlike_history(&watched).is_some()
    };
    assert!(altered(|watched| drop(watched.remove(1))));
    assert!(altered(|watched| watched.insert(1, watched[1].clone())));
    assert!(altered(|watched| watched.swap(1, 2)));
    assert!(altered(
        |watched| watched[1].events[0].kv.value = "other".into()
    ));
    assert!(altered(|watched| watched.truncate(2)));
}

impl Run {
    fn problems(&self) -> Vec<String> {
        let history = self.etcd.history();
        let value = |change: &KeyChange| match change {
            KeyChange::Put(kv) => Some(String::from_utf8_lossy(&kv.value).into_owned()),
            _ => None,
        };
        let mut problems = Vec::new();
        for (revision, expected) in &self.applied {
            let mut found = history.iter().filter(|it| it.revision() == *revision);
            if !found.any(|it| value(it) == *expected) {
                problems.push(format!(
                    "{expected:?} is not what revision {revision} wrote"
                ));
            }
        }
        let values: Vec<String> = history.iter().filter_map(value).collect();
        for refused in &self.not_applied {
            if values.contains(refused) {
                problems.push(format!("{refused} was applied after all"));
            }
        }
        let watched = self.watched.iter();
        problems.extend(watched.filter_map(|watched| self.unlike_history(watched)));
        problems
    }

    /// How a watch differs from the history, from the watch's first revision to the end.
    fn unlike_history(&self, watched: &[Changes]) -> Option<String> {
        let first = watched.first().map_or(0, |changes| changes.revision);
        let mut expected = self.etcd.history();
        expected.retain(|change| change.revision() >= first);
        let seen: Vec<_> = watched
            .iter()
            .flat_map(|changes| {
                let events = changes.events.iter();
                events.map(|event| {
                    (
                        changes.revision,
                        event.kv.key.clone(),
                        event.is_put().then(|| event.kv.value.clone()),
                    )
                })
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|change| {
                let value = match change {
                    KeyChange::Put(kv) => Some(kv.value.clone()),
                    _ => None,
                };
                (change.revision(), change.key().to_vec().into(), value)
            })
            .collect();
        (seen != expected).then(|| format!("watched {seen:#?}\ninstead of {expected:#?}"))
    }
}

/// Has callers work on one register while watches look on. A `rash` caller considers a lost write not applied.
fn run(seed: u64, protocol: Protocol, rash: bool) -> Run {
    let etcd = jumping().seed(seed).members(3).build();
    inject_faults(&etcd);
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let client = client.timeout(Duration::from_secs(1));
    let client = client.protocol(protocol).build().unwrap();
    let history = History::default();
    let reported = Reported::default();
    let random = |task: usize| fastrand::Rng::with_seed(seed * 10 + task as u64);
    let working = async {
        let callers = (0..CALLERS).map(|number| {
            Caller {
                client: &client,
                history: &history,
                reported: &reported,
                random: random(number),
                number,
                rash,
            }
            .work()
        });
        {
            // Dropped with the block: the clock waits for a sleep that nobody polls.
            let troubled = pin!(trouble(&etcd, random(CALLERS)));
            select(pin!(join_all(callers)), troubled).await;
        }
        // All that was postponed is over.
        etcd.clear_faults();
        recover(&etcd);
        etcd.sleep(Duration::from_secs(60)).await;
        client.v3().kv().put(END, "").await.unwrap();
    };
    let watching = join_all((0..3).map(|number| watch(&client, random(CALLERS + 1 + number))));
    let both = join(working, watching);
    let limit = etcd.sleep(Duration::from_secs(3600));
    let watched = match block_on(select(pin!(both), pin!(limit))) {
        Either::Left((((), watched), _)) => watched,
        Either::Right(_) => panic!("seed {seed} does not end\n{}", etcd.log_text()),
    };
    Run {
        etcd,
        ops: history.ops.into_inner(),
        applied: reported.applied.into_inner(),
        not_applied: reported.not_applied.into_inner(),
        watched,
    }
}

/// What happens to members, one at a time, forever.
async fn trouble(etcd: &FakeEtcd, mut random: fastrand::Rng) {
    loop {
        etcd.sleep(Duration::from_millis(random.u64(0..1_000)))
            .await;
        let number = random.usize(0..3);
        let member = etcd.endpoint(number);
        match random.u8(0..6) {
            0 => member.isolate(),
            1 => member.lead(),
            2 => member.lag(),
            3 => member.stop(),
            4 => etcd.lose_quorum(),
            _ => etcd.restart(),
        }
        etcd.sleep(Duration::from_millis(random.u64(0..2_000)))
            .await;
        recover(etcd);
    }
}

fn recover(etcd: &FakeEtcd) {
    for number in 0..3 {
        etcd.endpoint(number).start();
        etcd.endpoint(number).catch_up();
    }
    etcd.regain_quorum();
    etcd.heal();
}

/// Watches all registers, from the beginning or from some time on, until the end.
async fn watch<T: Transport>(client: &Client<T>, mut random: fastrand::Rng) -> Vec<Changes> {
    let watch = Watch::new(KeyRange::prefix(PREFIX)).outage_limit(Duration::from_secs(3600));
    let watch = if random.bool() {
        watch.from_revision(1)
    } else {
        let pause = Duration::from_millis(random.u64(0..3_000));
        client.transport().sleep(pause).await;
        watch
    };
    let mut watched: Vec<Changes> = Vec::new();
    loop {
        let mut stream = client.open(watch.clone());
        while let Some(next) = stream.next().await {
            let changes = match next {
                Ok(changes) => changes,
                // A response that is not etcd's ends a watch that has not worked yet.
                Err(Error::Unexpected(_)) if watched.is_empty() => break,
                Err(error) => panic!("{error}"),
            };
            let is_end = changes.events.iter().any(|event| *event.key() == END);
            watched.push(changes);
            if is_end {
                return watched;
            }
        }
        assert!(watched.is_empty(), "the watch ended without an error");
    }
}

/// What callers know about their writes.
#[derive(Default)]
struct Reported {
    applied: std::cell::RefCell<Vec<(i64, Option<String>)>>,
    not_applied: std::cell::RefCell<Vec<String>>,
}

struct Caller<'a, T> {
    client: &'a Client<T>,
    history: &'a History,
    reported: &'a Reported,
    random: fastrand::Rng,
    number: usize,
    rash: bool,
}

impl<T: Transport> Caller<'_, T> {
    async fn work(mut self) {
        let mut seen: Option<String> = None;
        for number in 0..OPERATIONS {
            let pause = Duration::from_millis(self.random.u64(0..50));
            self.client.transport().sleep(pause).await;
            let value = format!("{}.{number}", self.number);
            match (self.random.u8(0..10), &seen) {
                (0..=3, _) => {
                    if let Ok(value) = self.read().await {
                        seen = value;
                    }
                }
                (4, _) => self.create(value).await,
                (5, _) => self.delete().await,
                (6 | 7, Some(from)) => self.swap(from.clone(), value).await,
                _ => self.put(value).await,
            }
        }
    }

    async fn read(&self) -> Result<Option<String>> {
        let called = self.history.now();
        let read = self.client.send(Range::new(REGISTER)).await?;
        let value = read.first().map(text);
        self.history.ops.borrow_mut().push(Op {
            called,
            returned: Some(self.history.now()),
            what: What::Read(value.clone()),
        });
        Ok(value)
    }

    async fn put(&self, value: String) {
        let called = self.history.now();
        let put = || Put::new(REGISTER, &*value).prev_kv(true);
        let mut result = self.client.send(put()).await;
        while self.rash && is_unknown(&result) {
            result = self.client.send(put()).await;
        }
        let before = result.as_ref().ok().and_then(|it| it.prev_kv.as_ref());
        let what = What::Set(value.clone(), before.map(text));
        self.write(called, &result, what);
        let revision = result.as_ref().map(|put| Some(put.header.revision));
        self.tell(revision, Some(value));
    }

    async fn delete(&self) {
        let called = self.history.now();
        let delete = DeleteRange::new(REGISTER).prev_kv(true);
        let result = self.client.send(delete).await;
        let before = result.as_ref().ok().and_then(|it| it.prev_kvs.first());
        self.write(called, &result, What::Delete(before.map(text)));
        let revision = result
            .as_ref()
            .map(|it| (it.deleted > 0).then_some(it.header.revision));
        self.tell(revision, None);
    }

    async fn create(&self, value: String) {
        let called = self.history.now();
        let txn = Txn::new()
            .when(Compare::missing(REGISTER))
            .then(Put::new(REGISTER, &*value));
        let result = self.client.send(txn).await;
        let succeeded = result.as_ref().is_ok_and(|txn| txn.succeeded);
        self.write(called, &result, What::Create(value.clone(), succeeded));
        self.tell_txn(&result, value);
    }

    async fn swap(&self, from: String, value: String) {
        let called = self.history.now();
        let txn = Txn::new()
            .when(Compare::value(REGISTER).equal(&*from))
            .then(Put::new(REGISTER, &*value))
            .otherwise(Range::new(REGISTER));
        let result = self.client.send(txn).await;
        let answer = match &result {
            Ok(txn) if !txn.succeeded => match txn.range(0).and_then(|range| range.first()) {
                Some(_) => Swapped::SomethingElse,
                None => Swapped::Nothing,
            },
            _ => Swapped::Done,
        };
        self.write(called, &result, What::Swap(from, value.clone(), answer));
        self.tell_txn(&result, value);
    }

    fn write<R>(&self, called: u64, result: &Result<R>, what: What) {
        self.history.write(called, result, |_| false, what);
    }

    fn tell_txn(&self, result: &Result<etcd_http::v3::TxnResponse>, value: String) {
        match result {
            Ok(txn) if !txn.succeeded => self.reported.not_applied.borrow_mut().push(value),
            result => self.tell(
                result.as_ref().map(|txn| Some(txn.header.revision)),
                Some(value),
            ),
        }
    }

    /// Records what a caller learned: the revision of its write, that it was not applied, or nothing.
    fn tell(&self, revision: Result<Option<i64>, &Error>, value: Option<String>) {
        match revision {
            Ok(Some(revision)) => self.reported.applied.borrow_mut().push((revision, value)),
            Ok(None) => {}
            Err(error) if error.outcome() == Outcome::Unknown => {}
            Err(_) => self.reported.not_applied.borrow_mut().extend(value),
        }
    }
}

fn is_unknown<R>(result: &Result<R>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.outcome() == Outcome::Unknown)
}

fn text(kv: &KeyValue) -> String {
    String::from_utf8_lossy(&kv.value).into_owned()
}
