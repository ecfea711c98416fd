//! The calls, and their responses.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use etcd_http::{Outcome, Result, v2::Event};
use harness::linearizability::{Op, What};

use crate::tally::Tally;

/// The calls, and their responses.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    clock: AtomicU64,
}

struct Inner {
    writes: Vec<Entry>,
    registers: BTreeMap<String, Vec<Op>>,
    tally: Tally,
}

/// A write, and what its caller knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) operation: &'static str,
    /// The key, or the directory of an in-order create that was not acknowledged.
    pub(crate) key: String,
    /// `None` is a deletion.
    pub(crate) value: Option<String>,
    pub(crate) reported: Reported,
}

/// What the caller knows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// Applied, at this index.
    Done(u64),
    /// Not applied.
    NotDone,
    Unknown,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                writes: Vec::new(),
                registers: BTreeMap::new(),
                tally: Tally::new(),
            }),
            clock: AtomicU64::new(0),
        }
    }

    /// Returns the next moment. Each is different.
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// Records the end of a write.
    pub(crate) fn write(
        &self,
        operation: &'static str,
        key: &str,
        value: Option<&str>,
        result: &Result<Event>,
    ) {
        let (reported, key) = match result {
            Ok(event) => (Reported::Done(event.index()), event.node.key.clone()),
            Err(error) if error.outcome() == Outcome::Unknown => {
                (Reported::Unknown, key.to_owned())
            }
            Err(_) => (Reported::NotDone, key.to_owned()),
        };
        let value = value.map(str::to_owned);
        self.count(operation, result);
        self.inner().writes.push(Entry {
            operation,
            key,
            value,
            reported,
        });
    }

    /// Records the end of any operation.
    pub(crate) fn count<O>(&self, operation: &'static str, result: &Result<O>) {
        self.inner().tally.count(operation, result);
    }

    /// Records an operation on a register that was called then and returned now, or whose outcome is unknown.
    pub(crate) fn register(&self, register: &str, called: u64, known: bool, what: What) {
        let returned = known.then(|| self.now());
        let op = Op {
            called,
            returned,
            what,
        };
        self.inner()
            .registers
            .entry(register.to_owned())
            .or_default()
            .push(op);
    }

    pub(crate) fn writes(&self) -> Vec<Entry> {
        self.inner().writes.clone()
    }

    pub(crate) fn registers(&self) -> BTreeMap<String, Vec<Op>> {
        self.inner().registers.clone()
    }

    /// Returns the counts of calls and failures.
    pub(crate) fn figures(&self) -> String {
        self.inner().tally.to_string()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}
