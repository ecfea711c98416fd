//! What the callers have done, and the responses they had.

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

/// What the callers have done, and the responses they had.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    clock: AtomicU64,
}

struct Inner {
    writes: Vec<Entry>,
    registers: BTreeMap<String, Vec<Op>>,
    tally: Tally,
}

/// A write, and what its caller knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) operation: &'static str,
    /// The key; of an in-order create that was not acknowledged, the directory.
    pub(crate) key: String,
    /// `None` is a deletion.
    pub(crate) value: Option<String>,
    pub(crate) told: Told,
}

/// What the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Carried out, at this index.
    Done(u64),
    /// Not carried out.
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

    /// The next moment: no two are the same.
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// A write came back.
    pub(crate) fn write(
        &self,
        operation: &'static str,
        key: &str,
        value: Option<&str>,
        result: &Result<Event>,
    ) {
        let (told, key) = match result {
            Ok(event) => (Told::Done(event.index()), event.node.key.clone()),
            Err(error) if error.outcome() == Outcome::Unknown => (Told::Unknown, key.to_owned()),
            Err(_) => (Told::NotDone, key.to_owned()),
        };
        let value = value.map(str::to_owned);
        self.count(operation, result);
        self.inner().writes.push(Entry {
            operation,
            key,
            value,
            told,
        });
    }

    /// Any operation came back.
    pub(crate) fn count<O>(&self, operation: &'static str, result: &Result<O>) {
        self.inner().tally.count(operation, result);
    }

    /// An operation on a register that was called then came back now, or its outcome is unknown.
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

    /// How often what was called, and how it went.
    pub(crate) fn figures(&self) -> String {
        self.inner().tally.to_string()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}
