//! Writes that are applied once, whatever fails: the guarantees of `V2::once` are checked against the store.

use etcd_http::{
    Client, Outcome, Result,
    fake::{FakeEtcd, When},
    v2::{CompareAndSwap, Condition, Create, CreateInOrder, Event},
};

use crate::support::{Misfortune, Server, block_on, client, jumping, misfortunes};

const VALUE: &str = "new, and of this call alone";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Swap,
    InOrder,
}

const KINDS: [Kind; 3] = [Kind::Create, Kind::Swap, Kind::InOrder];

async fn once(kind: Kind, client: &Client<FakeEtcd>, index: u64) -> Result<Event> {
    let v2 = client.v2();
    let is_old = Condition::index_is(index);
    match kind {
        Kind::Create => v2.once(Create::new("/new", VALUE)).await,
        Kind::Swap => v2.once(CompareAndSwap::new("/a", VALUE, is_old)).await,
        Kind::InOrder => v2.once(CreateInOrder::new("/d", VALUE)).await,
    }
}

/// Applies a write once with prepared faults. Also returns how often it was applied.
fn attempt(kind: Kind, faults: impl FnOnce(&FakeEtcd)) -> (FakeEtcd, Result<Event>, u64) {
    let etcd = jumping().build();
    let client = client(&etcd);
    let old = block_on(client.v2().set("/a", "old")).unwrap();
    etcd.clear_log();
    faults(&etcd);
    let done = block_on(once(kind, &client, old.index()));
    // There is no other writer.
    let times = etcd.index() - old.index();
    let keys = etcd.keys().into_iter();
    let found = keys.filter(|key| etcd.value(key).as_deref() == Some(VALUE.as_bytes()));
    assert_eq!(found.count() as u64, times);
    (etcd, done, times)
}

#[track_caller]
fn assert_promise(done: &Result<Event>, times: u64, what: &str) {
    match done {
        Ok(event) => {
            assert_eq!(times, 1, "{what}");
            assert_eq!(event.node.value.as_deref(), Some(VALUE), "{what}");
        }
        Err(error) if error.outcome() == Outcome::Unknown => assert!(times <= 1, "{what}"),
        Err(_) => assert_eq!(times, 0, "{what}"),
    }
}

#[test]
fn one_fault_anywhere_is_no_obstacle() {
    for kind in KINDS {
        for Misfortune {
            name,
            fault,
            server,
        } in misfortunes()
        {
            let (etcd, done, times) = attempt(kind, |etcd| etcd.inject(When::any().once(), fault));
            let what = format!("{kind:?} {name}\n{}", etcd.log_text());
            assert_promise(&done, times, &what);
            // A second file in order cannot be distinguished from the first one that arrives late.
            let is_left_open = kind == Kind::InOrder && server == Server::NotAsked;
            assert_eq!(done.is_ok(), !is_left_open, "{what}");
        }
    }
}

#[test]
fn two_faults_anywhere_break_no_promise() {
    for kind in KINDS {
        for first in misfortunes() {
            for second in misfortunes() {
                for n in 2..=4 {
                    let (etcd, done, times) = attempt(kind, |etcd| {
                        etcd.inject(When::any().once(), first.fault.clone());
                        etcd.inject(When::any().nth(n), second.fault.clone());
                    });
                    let what = format!(
                        "{kind:?} {}, number {n} {}\n{}",
                        first.name,
                        second.name,
                        etcd.log_text()
                    );
                    assert_promise(&done, times, &what);
                    let is_left_open = kind == Kind::InOrder && first.server == Server::NotAsked;
                    assert!(
                        done.is_ok() || is_left_open || second.server != Server::Asked,
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn any_number_of_faults_breaks_no_promise() {
    for kind in KINDS {
        for seed in 0..200 {
            let etcd = jumping().seed(seed).build();
            let client = client(&etcd);
            let old = block_on(client.v2().set("/a", "old")).unwrap();
            for misfortune in misfortunes() {
                etcd.inject(When::any().with_chance(0.04), misfortune.fault);
            }
            let done = block_on(once(kind, &client, old.index()));
            let times = etcd.index() - old.index();
            assert_promise(
                &done,
                times,
                &format!("{kind:?} {seed}\n{}", etcd.log_text()),
            );
        }
    }
}

/// Ten processes increment one counter. Any response may be lost, but no increment is.
#[test]
fn a_counter_loses_no_step_when_responses_are_lost() {
    let etcd = jumping().build();
    let plain = client(&etcd);
    block_on(plain.v2().create("/n", "0 nobody")).unwrap();
    for misfortune in misfortunes() {
        etcd.inject(When::method("PUT").with_chance(0.03), misfortune.fault);
    }
    let count = async |process: usize| {
        let client = client(&etcd);
        let mut steps = 0;
        while steps < 10 {
            let read = client.v2().get("/n").await.unwrap().node;
            let value = read.value.unwrap();
            let number: u64 = value.split_once(' ').unwrap().0.parse().unwrap();
            let next = format!("{} {process}.{steps}", number + 1);
            let is_read = Condition::index_is(read.modified_index);
            match client
                .v2()
                .once(CompareAndSwap::new("/n", next, is_read))
                .await
            {
                Ok(_) => steps += 1,
                Err(error) => assert_eq!(error.outcome(), Outcome::Rejected, "{error}"),
            }
        }
    };
    block_on(futures::future::join_all((0..10).map(count)));
    let value = String::from_utf8(etcd.value("/n").unwrap()).unwrap();
    assert!(value.starts_with("100 "), "{value}");
}
