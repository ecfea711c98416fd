//! Transactions over several keys, in histories under schedules of faults: an order of them explains what each has read, and agrees
//! with when each was called and returned. A checker that knows nothing of revisions finds the order.
//!
//! `ETCD_HTTP_SCHEDULES` is the number of schedules and defaults to 300. A failure shows its seed.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use etcd_http::{
    Client, Outcome, Protocol,
    fake::FakeEtcd,
    recipes::{Isolation, RecipeError, Session, Stm},
    transport::Transport,
};
use futures::future::join_all;
use harness::linearizability::transactions::{Transaction, is_strictly_serializable};

use super::{TTL, safety::explore};
use crate::support::millis;

const CALLERS: u64 = 3;
const TRANSACTIONS: u64 = 5;
const KEYS: [&str; 3] = ["x", "y", "z"];

const LEVELS: [Isolation; 3] = [
    Isolation::SerializableSnapshot,
    Isolation::Serializable,
    // What a committed transaction has read is compared at this level, too.
    Isolation::RepeatableReads,
];

/// The transactions, and a clock that never gives the same time twice.
#[derive(Default)]
struct History {
    transactions: RefCell<Vec<Transaction>>,
    clock: Cell<u64>,
}

impl History {
    fn now(&self) -> u64 {
        self.clock.replace(self.clock.get() + 1)
    }

    /// Reads and writes some keys, and records what is known of it.
    async fn transact(&self, stm: &Stm<FakeEtcd>, name: &str) -> Result<(), RecipeError> {
        let random = |keys: &[&'static str], percent: u32| {
            let chosen = keys.iter().filter(|_| fastrand::u32(0..100) < percent);
            chosen.copied().collect::<Vec<_>>()
        };
        let (reads, writes) = (random(&KEYS, 60), random(&KEYS, 40));
        let deletes = random(&writes, 20);
        // Of the last try.
        let tried = RefCell::new((BTreeMap::new(), BTreeMap::new()));
        let called = self.now();
        let done = stm.run(async |txn| {
            let mut tries = (BTreeMap::new(), BTreeMap::new());
            for key in &reads {
                let value = txn.get(*key).await?;
                let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                tries.0.insert((*key).to_owned(), value);
            }
            for key in &writes {
                let value = (!deletes.contains(key)).then(|| name.to_owned());
                match &value {
                    Some(value) => txn.put(*key, value.as_str()),
                    None => txn.delete(*key),
                }
                tries.1.insert((*key).to_owned(), value);
            }
            tried.replace(tries);
            Ok(())
        });
        let done = done.await;
        let returned = match &done {
            Ok(_) => Some(self.now()),
            Err(RecipeError::Client(error)) if error.outcome() == Outcome::Unknown => None,
            Err(RecipeError::SessionLost(_)) => None,
            Err(_) => return done.map(drop),
        };
        let (reads, writes) = tried.into_inner();
        self.transactions.borrow_mut().push(Transaction {
            called,
            returned,
            reads,
            writes,
        });
        done.map(drop)
    }
}

/// One after the other, each at another level. With a session, each is applied exactly once.
async fn call(
    etcd: &FakeEtcd,
    history: &History,
    caller: u64,
    session: Option<&Session<FakeEtcd>>,
    client: &Client<FakeEtcd>,
) {
    for number in 0..TRANSACTIONS {
        let level = LEVELS[(caller + number) as usize % LEVELS.len()];
        let stm = Stm::new(client.v3()).isolation(level).tries(1_000);
        let stm = match session {
            Some(session) => stm.exactly_once(session),
            None => stm,
        };
        // Whatever has failed is in the history, or was not applied.
        let _ = history.transact(&stm, &format!("{caller}.{number}")).await;
        etcd.sleep(millis(fastrand::u64(0..400))).await;
    }
}

#[test]
fn transactions_are_strictly_serializable() {
    let (transactions, unknown, tries) = (Cell::new(0), Cell::new(0), Cell::new(0));
    explore("transactions", async |etcd| {
        let history = History::default();
        let callers = (0..CALLERS).map(async |caller| {
            let protocol = [Protocol::Gateway, Protocol::Grpc][caller as usize % 2];
            let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
            let client = client
                .protocol(protocol)
                .build()
                .map_err(|it| it.to_string())?;
            // The last one has no session.
            if caller + 1 == CALLERS {
                call(&etcd, &history, caller, None, &client).await;
                return Ok(());
            }
            let (session, driver) = loop {
                match Session::open(client.v3(), TTL).await {
                    Ok(opened) => break opened,
                    Err(_) => etcd.sleep(millis(500)).await,
                }
            };
            let work = call(&etcd, &history, caller, Some(&session), &client);
            session.run(driver, work).await;
            Ok::<(), String>(())
        });
        for done in join_all(callers).await {
            done?;
        }
        let all = history.transactions.into_inner();
        transactions.set(transactions.get() + all.len());
        let lost = all.iter().filter(|it| it.returned.is_none()).count();
        unknown.set(unknown.get() + lost);
        tries.set(tries.get() + 1);
        if is_strictly_serializable(&all) {
            Ok(())
        } else {
            Err(format!("no order explains {all:#?}"))
        }
    });
    let (transactions, unknown) = (transactions.get(), unknown.get());
    println!(
        "{transactions} transactions in {} histories, {unknown} of unknown outcome",
        tries.get()
    );
    assert!(transactions > tries.get() * 10);
}
