//! The guarantees of queues:
//!
//! - *pushed once*: an item whose push succeeded was added once, at the revision that it returned; one whose push failed, once
//!   at most, and not at all if that is known;
//! - *taken once*: no item is taken by two consumers, and what is taken is deleted;
//! - *nothing lost*: what was deleted was taken, except for one item for each pop that failed;
//! - *in order*: items are taken in the order of their revisions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use etcd_http::{recipes::Queue, transport::Transport};

use super::reported;
use crate::v3::{Task, history::History, journal::Reported, leases};

const NAME: &str = "chaos/queue";

/// How often a session is used for a queue.
const TURNS: usize = 20;

/// What the callers know: the items that they pushed and popped, and how many pops failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pushed: Vec<(String, Reported)>,
    popped: Vec<String>,
    failed_pops: usize,
}

impl<T: Transport> Task<T> {
    /// Pushes one item after the other.
    pub(super) async fn produce(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(leases::LONG).await else {
                continue;
            };
            let queue = Queue::new(&session, NAME);
            for _ in 0..TURNS {
                let item = self.unique();
                let pushed = queue.push(&*item).await;
                self.journal.count_recipe("push", &pushed);
                let reported = reported(&pushed);
                self.journal
                    .record(|records| records.queue.pushed.push((item, reported)));
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(queue);
            self.end_session(session, driver).await;
        }
    }

    /// Takes one item after the other.
    pub(super) async fn consume(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(leases::LONG).await else {
                continue;
            };
            let queue = Queue::new(&session, NAME);
            for _ in 0..TURNS {
                let popped = queue.try_pop().await;
                self.journal.count_recipe("pop", &popped);
                self.journal.record(|records| match popped {
                    Ok(Some(item)) => {
                        let item = String::from_utf8(item.value.to_vec()).unwrap();
                        records.queue.popped.push(item);
                    }
                    Ok(None) => {}
                    Err(_) => records.queue.failed_pops += 1,
                });
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(queue);
            self.end_session(session, driver).await;
        }
    }
}

/// Figures of the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pushed: usize,
    popped: usize,
    failed_pops: usize,
    lost: usize,
}

pub(crate) fn check(record: &Record, history: &History) -> (Figures, Vec<String>) {
    let prefix = format!("{NAME}/");
    // The revision that added each item, and those that deleted one, in order.
    let mut added: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut there: HashMap<&str, &str> = HashMap::new();
    let mut waiting: BTreeMap<i64, &str> = BTreeMap::new();
    let mut deleted: BTreeSet<&str> = BTreeSet::new();
    let mut problems = Vec::new();
    for event in &history.events {
        if !event.key.starts_with(&prefix) {
            continue;
        }
        match &event.put {
            Some((item, _)) => {
                added.entry(item).or_default().push(event.revision);
                there.insert(&event.key, item);
                waiting.insert(event.revision, item);
            }
            None => {
                let first = waiting.pop_first().map(|(_, item)| item);
                let item = there.remove(event.key.as_str());
                if item != first {
                    problems.push(format!(
                        "{item:?} was taken at {}, before {first:?}",
                        event.revision
                    ));
                }
                deleted.extend(item);
            }
        }
    }
    for (item, reported) in &record.pushed {
        let revisions = added.remove(item.as_str()).unwrap_or_default();
        let is_consistent = match reported {
            Reported::Done(revision) => revisions == [*revision],
            Reported::NotDone => revisions.is_empty(),
            Reported::Unknown => revisions.len() <= 1,
        };
        if !is_consistent {
            problems.push(format!(
                "push of {item}: {reported:?}, found at {revisions:?}"
            ));
        }
    }
    problems.extend(added.keys().map(|item| format!("{item} was never pushed")));
    let mut taken = BTreeSet::new();
    for item in &record.popped {
        if !taken.insert(item.as_str()) {
            problems.push(format!("{item} was taken twice"));
        }
        if !deleted.contains(item.as_str()) {
            problems.push(format!("{item} was taken, and is still there"));
        }
    }
    let lost = deleted.difference(&taken).count();
    if lost > record.failed_pops {
        let failed = record.failed_pops;
        problems.push(format!("{lost} items are lost, and {failed} pops failed"));
    }
    let figures = Figures {
        pushed: record.pushed.len(),
        popped: record.popped.len(),
        failed_pops: record.failed_pops,
        lost,
    };
    (figures, problems)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pushed,
            popped,
            failed_pops,
            lost,
        } = self;
        writeln!(
            f,
            "  queue: {pushed} pushes, {popped} items taken, {failed_pops} pops failed, {lost} items went with them"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    /// Items `a` and `b` are added at 2 and 3, and deleted in this order, a revision each.
    fn problems(deleted: &[&str], record: &Record) -> usize {
        let put = [("a", 2), ("b", 3)];
        let puts = put.map(|(item, revision)| (item, revision, Some((item.to_owned(), revision))));
        let deletes = deleted.iter().zip(4..).map(|(item, at)| (*item, at, None));
        let events = puts
            .into_iter()
            .chain(deletes)
            .map(|(item, revision, put)| Event {
                revision,
                key: format!("{NAME}/{item}"),
                put,
            });
        let history = History {
            events: events.collect(),
        };
        check(record, &history).1.len()
    }

    fn record(pushed: &[(&str, Reported)], popped: &[&str], failed_pops: usize) -> Record {
        let pushed = pushed
            .iter()
            .map(|(item, done)| ((*item).to_owned(), *done));
        Record {
            pushed: pushed.collect(),
            popped: popped.iter().map(|item| (*item).to_owned()).collect(),
            failed_pops,
        }
    }

    const BOTH: [(&str, Reported); 2] = [("a", Reported::Done(2)), ("b", Reported::Unknown)];

    #[test]
    fn items_that_are_added_and_taken_once_are_no_problem() {
        assert_eq!(problems(&[], &record(&BOTH, &[], 0)), 0);
        assert_eq!(problems(&["a", "b"], &record(&BOTH, &["a", "b"], 0)), 0);
        assert_eq!(problems(&["a", "b"], &record(&BOTH, &["b"], 1)), 0);
    }

    #[test]
    fn what_is_doubled_lost_invented_or_out_of_order_is_found() {
        for (what, deleted, record) in [
            ("twice", &["a", "b"][..], record(&BOTH, &["a", "b", "a"], 0)),
            ("lost", &["a"], record(&BOTH, &[], 0)),
            ("not deleted", &[], record(&BOTH, &["a"], 0)),
            ("out of order", &["b"], record(&BOTH, &["b"], 0)),
            ("invented", &[], record(&BOTH[..1], &[], 0)),
            (
                "elsewhere",
                &[],
                record(&[BOTH[1], ("a", Reported::Done(9))], &[], 0),
            ),
            (
                "not done",
                &[],
                record(&[BOTH[0], ("b", Reported::NotDone)], &[], 0),
            ),
        ] {
            assert_eq!(problems(deleted, &record), 1, "{what}");
        }
    }
}
