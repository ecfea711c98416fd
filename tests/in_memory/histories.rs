//! Registers of the fake under random faults: every history is linearizable, in virtual time.
//!
//! `ETCD_HTTP_HISTORIES` is the number of histories and defaults to 150. Each has four callers with forty operations.

use std::{
    cell::{Cell, RefCell},
    env,
    time::Duration,
};

use etcd_http::{
    Client, Error, Outcome, Result,
    fake::{Clock, FakeEtcd, Fault, When},
    transport::Transport,
    v2::{CompareAndSwap, Condition, Create, Delete, Event, Get, Set},
};
use futures::{executor::block_on, future::join_all};
use harness::linearizability::{self, Op, Swapped, What, is_linearizable};

const CALLERS: usize = 4;
const OPERATIONS: usize = 40;

#[test]
fn histories_under_faults_are_linearizable() {
    let count = env::var("ETCD_HTTP_HISTORIES").map_or(150, |text| text.parse().unwrap());
    let (mut operations, mut unknown) = (0, 0);
    for seed in 0..count {
        let ops = history(seed, false);
        operations += ops.len();
        unknown += ops.iter().filter(|op| op.returned.is_none()).count();
        if let Err(error) = linearizability::check(&[("/r".to_owned(), ops)].into()) {
            panic!("seed {seed}: {error}");
        }
    }
    println!("{count} histories, {operations} operations, {unknown} of unknown outcome");
    assert!(unknown > operations / 50);
}

#[test]
fn a_caller_that_sends_lost_writes_again_is_detected() {
    let found = (0..60).filter(|&seed| !is_linearizable(&history(seed, true)));
    assert!(found.count() > 5);
}

/// The operations of four callers on one register, and their responses. A `rash` caller considers a lost write not
/// applied.
fn history(seed: u64, rash: bool) -> Vec<Op> {
    let etcd = FakeEtcd::builder()
        .clock(Clock::auto())
        .seed(seed)
        .members(3)
        .build();
    inject_faults(&etcd);
    let client = Client::builder(etcd.clone())
        .endpoints(etcd.endpoints())
        .timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let history = History::default();
    let callers = (0..CALLERS).map(|caller| {
        let random = fastrand::Rng::with_seed(seed * 10 + caller as u64);
        call(&client, &history, caller, random, rash)
    });
    block_on(join_all(callers));
    history.ops.into_inner()
}

/// Has every fault of a request happen from time to time.
pub(crate) fn inject_faults(etcd: &FakeEtcd) {
    for (fault, chance) in [
        (Fault::refuse(), 0.05),
        (Fault::break_before(), 0.04),
        (Fault::break_after(), 0.06),
        (Fault::break_body(20), 0.04),
        (Fault::silence_after(), 0.02),
        (Fault::silence(), 0.02),
        (Fault::delay(Duration::from_secs(2)), 0.03),
        (Fault::delay_response(Duration::from_secs(2)), 0.03),
        (Fault::truncate(10), 0.02),
        (Fault::status(503), 0.02),
    ] {
        etcd.inject(When::any().with_chance(chance), fault);
    }
}

/// The operations on one register.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) ops: RefCell<Vec<Op>>,
    clock: Cell<u64>,
}

impl History {
    pub(crate) fn now(&self) -> u64 {
        self.clock.replace(self.clock.get() + 1)
    }

    /// Records the result of a write: applied, refused for a reason that depends on the register, or unknown.
    pub(crate) fn write<R>(
        &self,
        called: u64,
        result: &Result<R>,
        telling: fn(&Error) -> bool,
        what: What,
    ) {
        let returned = match result {
            Ok(_) => Some(self.now()),
            Err(error) if telling(error) => Some(self.now()),
            Err(error) if error.outcome() == Outcome::Unknown => None,
            Err(_) => return,
        };
        self.ops.borrow_mut().push(Op {
            called,
            returned,
            what,
        });
    }
}

async fn call<T: Transport>(
    client: &Client<T>,
    history: &History,
    caller: usize,
    mut random: fastrand::Rng,
    rash: bool,
) {
    let v2 = client.v2();
    let mut seen: Option<String> = None;
    for number in 0..OPERATIONS {
        let pause = Duration::from_millis(random.u64(0..50));
        client.transport().sleep(pause).await;
        let value = format!("{caller}.{number}");
        let called = history.now();
        match (random.u8(0..10), &seen) {
            (0..=3, _) => {
                let value = match client.send(Get::new("/r").quorum(true)).await {
                    Ok(event) => event.node.value,
                    Err(error) if error.is_key_not_found() => None,
                    Err(_) => continue,
                };
                seen.clone_from(&value);
                let returned = Some(history.now());
                history.ops.borrow_mut().push(Op {
                    called,
                    returned,
                    what: What::Read(value),
                });
            }
            (4, _) => {
                let result = client.send(Create::new("/r", &value)).await;
                let what = What::Create(value, result.is_ok());
                history.write(called, &result, Error::is_already_exists, what);
            }
            (5, _) => {
                let result = client.send(Delete::new("/r")).await;
                let what = What::Delete(before(&result));
                history.write(called, &result, Error::is_key_not_found, what);
            }
            (6 | 7, Some(from)) => {
                let swap = CompareAndSwap::new("/r", &value, Condition::value_is(from));
                let result = client.send(swap).await;
                let answer = match &result {
                    Err(error) if error.is_compare_failed() => Swapped::SomethingElse,
                    Err(error) if error.is_key_not_found() => Swapped::Nothing,
                    _ => Swapped::Done,
                };
                let telling = |error: &Error| error.is_compare_failed() || error.is_key_not_found();
                history.write(
                    called,
                    &result,
                    telling,
                    What::Swap(from.clone(), value, answer),
                );
            }
            _ => {
                let mut result = v2.set("/r", &value).await;
                while rash
                    && result
                        .as_ref()
                        .is_err_and(|error| error.outcome() == Outcome::Unknown)
                {
                    result = client.send(Set::new("/r", &value)).await;
                }
                let what = What::Set(value, before(&result));
                history.write(called, &result, |_| false, what);
            }
        }
    }
}

/// Returns the value that a write has replaced or deleted.
fn before(result: &Result<Event>) -> Option<String> {
    let before = result.as_ref().ok()?.prev_node.as_ref()?;
    before.value.clone()
}
