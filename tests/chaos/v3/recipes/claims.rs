//! The guarantees of items that are claimed:
//!
//! - *at least once*: an item whose push succeeded is there until it is acknowledged, even if consumers die;
//! - *acknowledged once*: at most one acknowledgment of an item succeeds, and then it is gone;
//! - *nothing else*: no item goes without an acknowledgment, and none appears that was not pushed.

use std::collections::{BTreeMap, BTreeSet};

use etcd_http::{
    recipes::{Queue, RecipeError},
    transport::Transport,
    v3::Namespace,
};

use super::reported;
use crate::v3::{Task, history::History, journal::Reported, locks};

/// The queue, in a namespace: what is claimed is in it as well.
const NAMESPACE: &str = "chaos/claims/";
const NAME: &str = "jobs";

/// How often a session is used for a queue.
const TURNS: usize = 10;

/// What the callers know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pushed: Vec<(String, Reported)>,
    acked: Vec<String>,
    /// Acknowledgments of unknown outcome.
    maybe_acked: Vec<String>,
    /// How often an item was claimed, and how often again.
    claimed: usize,
    again: usize,
}

impl<T: Transport> Task<T> {
    fn namespace(&self) -> Namespace<T> {
        self.client.v3().namespace(NAMESPACE)
    }

    /// Pushes one item after the other.
    pub(super) async fn post(mut self) {
        while self.goes_on().await {
            let opened = self.session_in(self.namespace(), locks::TTL).await;
            let Some((session, driver)) = opened else {
                continue;
            };
            let queue = Queue::new(&session, NAME);
            for _ in 0..TURNS {
                let item = self.unique();
                let pushed = queue.push(&*item).await;
                self.journal.count_recipe("post", &pushed);
                let reported = reported(&pushed);
                self.journal
                    .record(|records| records.jobs.pushed.push((item, reported)));
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(queue);
            self.end_session(session, driver).await;
        }
    }

    /// Claims one item after the other, and acknowledges it, gives it back, or dies with it.
    pub(super) async fn work(mut self) {
        while self.goes_on().await {
            let opened = self.session_in(self.namespace(), locks::TTL).await;
            let Some((session, driver)) = opened else {
                continue;
            };
            let queue = Queue::new(&session, NAME);
            let mut dies = false;
            for _ in 0..TURNS {
                let claimed = queue.try_claim().await;
                self.journal.count_recipe("claim", &claimed);
                if let Ok(Some(claim)) = claimed {
                    let is_again = claim.attempts() > 1;
                    self.journal.record(|records| {
                        records.jobs.claimed += 1;
                        records.jobs.again += usize::from(is_again);
                    });
                    let item = String::from_utf8(claim.value().to_vec()).unwrap();
                    let pause = self.between(5, 100);
                    self.sleep(pause).await;
                    match self.random.u8(0..10) {
                        0 => {
                            // Its lease is not renewed any more, and ends by itself.
                            driver.abort();
                            dies = true;
                            break;
                        }
                        1 => drop(claim),
                        _ => {
                            let acked = claim.ack().await;
                            self.journal.count_recipe("acknowledge", &acked);
                            self.journal.record(|records| match acked {
                                Ok(()) => records.jobs.acked.push(item),
                                Err(RecipeError::KeyDeleted { .. }) => {}
                                Err(_) => records.jobs.maybe_acked.push(item),
                            });
                        }
                    }
                }
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(queue);
            if !dies {
                self.end_session(session, driver).await;
            }
        }
    }
}

pub(crate) fn check(record: &Record, history: &History) -> (String, Vec<String>) {
    let prefixes = [
        format!("{NAMESPACE}{NAME}/"),
        format!("{NAMESPACE}__claimed/{NAME}/"),
    ];
    // The items that are there, by their keys, and all that ever were.
    let mut there: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ever: BTreeSet<&str> = BTreeSet::new();
    for event in &history.events {
        if prefixes.iter().any(|prefix| event.key.starts_with(prefix)) {
            match &event.put {
                Some((item, _)) => {
                    there.insert(&event.key, item);
                    ever.insert(item);
                }
                None => {
                    there.remove(event.key.as_str());
                }
            }
        }
    }
    let mut problems = Vec::new();
    let left: BTreeSet<&str> = there.values().copied().collect();
    if left.len() != there.len() {
        problems.push(format!("an item is there twice: {there:?}"));
    }
    let mut acked: BTreeSet<&str> = BTreeSet::new();
    for item in &record.acked {
        if !acked.insert(item) {
            problems.push(format!("{item} was acknowledged twice"));
        }
        if left.contains(item.as_str()) {
            problems.push(format!("{item} was acknowledged, and is still there"));
        }
    }
    let maybe: BTreeSet<&str> = record.maybe_acked.iter().map(String::as_str).collect();
    for (item, reported) in &record.pushed {
        let item = item.as_str();
        let (is_there, was_there) = (left.contains(item), ever.remove(item));
        match reported {
            Reported::Done(_) if !was_there => problems.push(format!("{item} was not pushed")),
            Reported::NotDone if was_there => problems.push(format!("{item} was pushed")),
            _ => {}
        }
        if was_there && !is_there && !acked.contains(item) && !maybe.contains(item) {
            problems.push(format!("{item} is lost"));
        }
    }
    problems.extend(ever.iter().map(|item| format!("{item} was never pushed")));
    let figures = format!(
        "  claims: {} items pushed, claimed {} times, {} of these again; {} acknowledged, {} perhaps, {} left\n",
        record.pushed.len(),
        record.claimed,
        record.again,
        acked.len(),
        maybe.len(),
        left.len()
    );
    (figures, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::history::Event;

    /// Items `a` and `b` are pushed and claimed; that of `a` ends, and so does that of `b`, or not.
    fn problems(is_b_deleted: bool, pushed: &[(&str, Reported)], acked: &[&str]) -> usize {
        let event = |(revision, key, item): (i64, &str, Option<&str>)| Event {
            revision,
            key: format!("{NAMESPACE}{key}"),
            put: item.map(|item| (item.to_owned(), revision)),
        };
        let mut events = vec![
            (2, "jobs/1", Some("a")),
            (3, "jobs/2", Some("b")),
            (4, "jobs/1", None),
            (4, "__claimed/jobs/1", Some("a")),
            (5, "jobs/2", None),
            (5, "__claimed/jobs/2", Some("b")),
            (6, "__claimed/jobs/1", None),
        ];
        if is_b_deleted {
            events.push((7, "__claimed/jobs/2", None));
        }
        let history = History {
            events: events.into_iter().map(event).collect(),
        };
        let record = Record {
            pushed: pushed
                .iter()
                .map(|(item, it)| ((*item).to_owned(), *it))
                .collect(),
            acked: acked.iter().map(|item| (*item).to_owned()).collect(),
            ..Record::default()
        };
        check(&record, &history).1.len()
    }

    #[test]
    fn what_is_lost_doubled_or_invented_is_found() {
        let both = [("a", Reported::Done(2)), ("b", Reported::Unknown)];
        assert_eq!(problems(false, &both, &["a"]), 0);
        assert_eq!(problems(true, &both, &["a", "b"]), 0);
        // Lost, still there, twice, invented, not there, there.
        assert_eq!(problems(true, &both, &["a"]), 1);
        assert_eq!(problems(false, &both, &["a", "b"]), 1);
        assert_eq!(problems(true, &both, &["a", "b", "a"]), 1);
        assert_eq!(problems(false, &both[..1], &["a"]), 1);
        let more = [both[0], both[1], ("c", Reported::Done(9))];
        assert_eq!(problems(false, &more, &["a"]), 1);
        let other = [both[0], ("b", Reported::NotDone)];
        assert_eq!(problems(false, &other, &["a"]), 1);
    }
}
