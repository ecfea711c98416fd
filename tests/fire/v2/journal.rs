use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use etcd_http::{Error, Outcome, Result, v2::Event};

use crate::linear::{Op, What};

/// What the callers have done, and what they were told.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    clock: AtomicU64,
}

struct Inner {
    writes: Vec<Entry>,
    registers: BTreeMap<String, Vec<Op>>,
    /// By operation: how often, and how often it succeeded.
    operations: BTreeMap<&'static str, (usize, usize)>,
    /// By outcome, operation and kind.
    failures: BTreeMap<(&'static str, &'static str, String), usize>,
    last_success: Instant,
    longest_gap: Duration,
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

/// What the caller was told.
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
                operations: BTreeMap::new(),
                failures: BTreeMap::new(),
                last_success: Instant::now(),
                longest_gap: Duration::ZERO,
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
        let mut inner = self.inner();
        let counts = inner.operations.entry(operation).or_default();
        counts.0 += 1;
        match result {
            Ok(_) => {
                counts.1 += 1;
                let gap = inner.last_success.elapsed();
                inner.longest_gap = inner.longest_gap.max(gap);
                inner.last_success = Instant::now();
            }
            Err(error) => {
                let outcome = match error.outcome() {
                    Outcome::NotSent => "not sent",
                    Outcome::Rejected => "rejected",
                    _ => "unknown",
                };
                *inner
                    .failures
                    .entry((outcome, operation, kind(error)))
                    .or_default() += 1;
            }
        }
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

    /// Operations, failures by outcome and kind, the longest time without a success.
    pub(crate) fn figures(&self) -> String {
        let inner = self.inner();
        let mut text = String::new();
        let all: usize = inner.operations.values().map(|counts| counts.0).sum();
        let done: usize = inner.operations.values().map(|counts| counts.1).sum();
        let gap = inner.longest_gap;
        let _ = writeln!(
            text,
            "  {all} operations, {done} succeeded; longest time without a success {gap:.1?}"
        );
        for (operation, (all, done)) in &inner.operations {
            let _ = writeln!(text, "    {operation}: {done} of {all}");
        }
        for ((outcome, operation, kind), count) in &inner.failures {
            let _ = writeln!(text, "    {outcome}: {count} x {operation}: {kind}");
        }
        text
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// What kind of failure it was, without what differs from one to the next.
fn kind(error: &Error) -> String {
    match error {
        Error::Etcd(error) => {
            let cause = if error.code() == Some(300) {
                error.cause()
            } else {
                ""
            };
            format!(
                "code {}, {} {cause}",
                error.code().unwrap_or(0),
                error.message()
            )
        }
        Error::Timeout(_) => "no answer within the time".to_owned(),
        Error::Transport(_) => {
            let text = error.to_string();
            text.rsplit(": ").next().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}
