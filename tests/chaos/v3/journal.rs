//! The calls of the tasks, and their responses.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use etcd_http::{
    Client, Outcome, Result,
    recipes::RecipeError,
    transport::Transport,
    v3::{KeyRange, Watch},
};
use futures::StreamExt;

use super::{
    END,
    history::{History, Times},
    holding::Holding,
    leases::LeaseRecord,
    observers::Shown,
    recipes::Records,
};
use crate::tally::Tally;

/// The calls, and their responses.
pub(crate) struct Journal(Mutex<Inner>);

struct Inner {
    tally: Tally,
    writes: Vec<Write>,
    observed: Vec<(i64, Instant)>,
    leases: Vec<LeaseRecord>,
    locks: Vec<Holding>,
    elections: Vec<Holding>,
    answers: Vec<Vec<Shown>>,
    recipes: Records,
    oddities: Vec<String>,
    ended_early: Vec<EndedEarly>,
}

/// A write of a unique value, and what its caller knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) operation: &'static str,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) reported: Reported,
}

/// A key that was deleted though its lease was reported as alive, and when its holder found that.
#[derive(Clone, Debug)]
pub(crate) struct EndedEarly {
    pub(crate) key: String,
    pub(crate) found: Instant,
    pub(crate) what: String,
}

/// What the caller knows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// Applied, at this revision.
    Done(i64),
    NotDone,
    Unknown,
}

impl Reported {
    /// By the revision at which it was applied, or at which its comparison failed.
    pub(crate) fn by(result: &Result<Option<i64>>) -> Self {
        match result {
            Ok(Some(revision)) => Self::Done(*revision),
            Ok(None) => Self::NotDone,
            Err(error) if error.outcome() == Outcome::Unknown => Self::Unknown,
            Err(_) => Self::NotDone,
        }
    }
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Inner {
            tally: Tally::new(),
            writes: Vec::new(),
            observed: Vec::new(),
            leases: Vec::new(),
            locks: Vec::new(),
            elections: Vec::new(),
            answers: Vec::new(),
            recipes: Records::default(),
            oddities: Vec::new(),
            ended_early: Vec::new(),
        }))
    }

    /// Records the end of any operation.
    pub(crate) fn count<O>(&self, operation: &'static str, result: &Result<O>) {
        self.inner().tally.count(operation, result);
    }

    /// Records the end of any operation of a recipe.
    pub(crate) fn count_recipe<O>(&self, operation: &'static str, result: &Result<O, RecipeError>) {
        self.inner().tally.count_recipe(operation, result);
    }

    /// Records the end of a recipe's write of a unique value, with what is known of it.
    pub(crate) fn write_of_recipe(&self, write: Write) {
        let mut inner = self.inner();
        if let Reported::Done(revision) = write.reported {
            inner.observed.push((revision, Instant::now()));
        }
        inner.writes.push(write);
    }

    /// Records something that concerns the recipes alone.
    pub(crate) fn record(&self, record: impl FnOnce(&mut Records)) {
        record(&mut self.inner().recipes);
    }

    pub(crate) fn records(&self) -> Records {
        self.inner().recipes.clone()
    }

    /// Records the end of a write of a unique value: with its revision, or because its comparison failed.
    pub(crate) fn write(&self, write: Write, result: &Result<Option<i64>>) {
        self.count(write.operation, result);
        let mut inner = self.inner();
        if let Ok(Some(revision)) = result {
            inner.observed.push((*revision, Instant::now()));
        }
        inner.writes.push(write);
    }

    /// Records that a caller has observed this revision.
    pub(crate) fn observed(&self, revision: i64) {
        self.inner().observed.push((revision, Instant::now()));
    }

    pub(crate) fn lease(&self, lease: LeaseRecord) {
        self.inner().leases.push(lease);
    }

    pub(crate) fn lock(&self, holding: Holding) {
        self.inner().locks.push(holding);
    }

    pub(crate) fn election(&self, holding: Holding) {
        self.inner().elections.push(holding);
    }

    /// The responses to one caller, in order.
    pub(crate) fn answers(&self, answers: Vec<Shown>) {
        self.inner().answers.push(answers);
    }

    /// Problems that need no comparison.
    pub(crate) fn oddity(&self, what: String) {
        self.inner().oddities.push(what);
    }

    /// The key of a lease that was reported as alive is not there any more.
    pub(crate) fn ended_early(&self, key: &[u8], what: String) {
        let ended = EndedEarly {
            key: String::from_utf8_lossy(key).into_owned(),
            found: Instant::now(),
            what,
        };
        self.inner().ended_early.push(ended);
    }

    pub(crate) fn all_ended_early(&self) -> Vec<EndedEarly> {
        self.inner().ended_early.clone()
    }

    pub(crate) fn leases(&self) -> Vec<LeaseRecord> {
        self.inner().leases.clone()
    }

    pub(crate) fn locks(&self) -> Vec<Holding> {
        self.inner().locks.clone()
    }

    pub(crate) fn elections(&self) -> Vec<Holding> {
        self.inner().elections.clone()
    }

    pub(crate) fn all_answers(&self) -> Vec<Vec<Shown>> {
        self.inner().answers.clone()
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.inner().writes.clone()
    }

    pub(crate) fn times(&self) -> Times {
        Times::new(self.inner().observed.iter().copied())
    }

    /// Checks that each write is in the history as often as its caller knows, and that no caller found anything odd.
    pub(crate) fn account(&self, history: &History) -> Vec<String> {
        let found = history.writes();
        let inner = self.inner();
        let dishonest = inner.writes.iter().filter_map(|write| {
            let key = (write.key.as_str(), write.value.as_str());
            let revisions = found.get(&key).map_or(&[][..], Vec::as_slice);
            let is_consistent = match write.reported {
                Reported::Done(revision) => revisions == [revision],
                Reported::NotDone => revisions.is_empty(),
                Reported::Unknown => revisions.len() <= 1,
            };
            (!is_consistent).then(|| format!("{write:?}, found at {revisions:?}"))
        });
        dishonest.chain(inner.oddities.iter().cloned()).collect()
    }

    pub(crate) fn figures(&self) -> String {
        let inner = self.inner();
        let reported = |wanted: fn(&Reported) -> bool| {
            let writes = inner.writes.iter();
            writes.filter(|write| wanted(&write.reported)).count()
        };
        let done = reported(|reported| matches!(reported, Reported::Done(_)));
        let unknown = reported(|reported| *reported == Reported::Unknown);
        format!(
            "{}  {done} writes of unique values acknowledged, {unknown} unknown\n",
            inner.tally
        )
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

/// Records when each revision is observed, up to the end.
pub(crate) async fn witness<T: Transport>(client: Client<T>, journal: Arc<Journal>, from: i64) {
    let watch = Watch::new(KeyRange::prefix("chaos/")).from_revision(from);
    let mut changes = client.open(watch);
    while let Some(changes) = changes.next().await {
        let changes = changes.unwrap();
        for event in &changes.events {
            journal.observed(event.kv.mod_revision);
        }
        if changes.events.iter().any(|event| event.key() == END) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    #[test]
    fn writes_that_are_lost_doubled_or_invented_are_found() {
        let event = |revision, value: &str| Event {
            revision,
            key: "k".to_owned(),
            put: Some((value.to_owned(), 2)),
        };
        let events = vec![event(2, "a"), event(3, "b"), event(4, "b"), event(5, "c")];
        let history = History { events };
        let problems = |value: &str, reported| {
            let journal = Journal::new();
            let write = Write {
                operation: "put",
                key: "k".to_owned(),
                value: value.to_owned(),
                reported,
            };
            journal.write(write, &Ok(None));
            journal.account(&history).len()
        };
        assert_eq!(problems("a", Reported::Done(2)), 0);
        assert_eq!(problems("c", Reported::Unknown), 0);
        assert_eq!(problems("d", Reported::Unknown), 0);
        assert_eq!(problems("d", Reported::NotDone), 0);
        // Elsewhere, twice, never, against the word.
        assert_eq!(problems("a", Reported::Done(3)), 1);
        assert_eq!(problems("b", Reported::Done(3)), 1);
        assert_eq!(problems("b", Reported::Unknown), 1);
        assert_eq!(problems("d", Reported::Done(6)), 1);
        assert_eq!(problems("c", Reported::NotDone), 1);
    }
}
