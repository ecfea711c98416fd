//! The history of the keys, as one watch of all of them delivers it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use etcd_http::{
    Client,
    transport::Transport,
    v3::{KeyRange, Watch},
};
use futures::StreamExt;

use super::END;

/// All changes of the keys, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
}

/// A change of a key.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: i64,
    pub(crate) key: String,
    /// The value, and the revision that created the key; `None` is a deletion.
    pub(crate) put: Option<(String, i64)>,
}

/// The revisions in which a key was the oldest of its queue: its owner holds the lock, or leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) key: String,
    /// The revision that created the key: the fencing token.
    pub(crate) token: i64,
    /// The first revision of the ownership, and the first after it.
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl History {
    /// Reads the history from this revision to the end.
    pub(crate) async fn read<T: Transport>(client: &Client<T>, from: i64) -> Self {
        let watch = Watch::new(KeyRange::prefix("chaos/")).from_revision(from);
        let mut changes = client.open(watch);
        let mut history = Self::default();
        while let Some(next) = changes.next().await {
            for event in next.unwrap().events {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let key = text(event.key());
                if key == END {
                    return history;
                }
                let value = || (text(&event.kv.value), event.kv.create_revision);
                history.events.push(Event {
                    revision: event.kv.mod_revision,
                    key,
                    put: (!event.is_delete()).then(value),
                });
            }
        }
        panic!("the history has no end");
    }

    /// Returns the revisions that deleted each key.
    pub(crate) fn deletions(&self) -> HashMap<&str, Vec<i64>> {
        let mut deletions: HashMap<&str, Vec<i64>> = HashMap::new();
        for event in self.events.iter().filter(|event| event.put.is_none()) {
            deletions
                .entry(&event.key)
                .or_default()
                .push(event.revision);
        }
        deletions
    }

    /// Returns when the key of a lease was deleted with its lease, which its holder found at this moment: then no other client can
    /// have put it again. The holder may have been the first to observe it.
    pub(crate) fn ended_by(&self, found: Instant, key: &str, times: &Times) -> Instant {
        let mut events = self.events.iter().rev();
        let last = events.find(|event| event.put.is_none() && event.key == key);
        let ended = last.and_then(|event| times.by(event.revision));
        ended.map_or(found, |ended| ended.min(found))
    }

    /// Returns the revisions that wrote each value to a key.
    pub(crate) fn writes(&self) -> HashMap<(&str, &str), Vec<i64>> {
        let mut writes: HashMap<_, Vec<i64>> = HashMap::new();
        for event in &self.events {
            if let Some((value, _)) = &event.put {
                let of_value = writes.entry((event.key.as_str(), value.as_str()));
                of_value.or_default().push(event.revision);
            }
        }
        writes
    }

    /// Returns the owners, one after the other, in the queue of the keys with this prefix.
    pub(crate) fn ownerships(&self, prefix: &str) -> Vec<Ownership> {
        let mut queue: BTreeMap<i64, &str> = BTreeMap::new();
        let mut ownerships: Vec<Ownership> = Vec::new();
        let of_queue = self
            .events
            .iter()
            .filter(|event| event.key.starts_with(prefix));
        let of_queue: Vec<&Event> = of_queue.collect();
        // The changes of one revision take effect together.
        for events in of_queue.chunk_by(|one, other| one.revision == other.revision) {
            let revision = events[0].revision;
            for event in events {
                match &event.put {
                    Some((_, token)) => {
                        queue.insert(*token, &event.key);
                    }
                    None => queue.retain(|_, key| *key != event.key),
                }
            }
            let oldest = queue.first_key_value();
            let current = ownerships
                .last_mut()
                .filter(|ownership| ownership.until == i64::MAX);
            if current.as_ref().map(|ownership| ownership.token) == oldest.map(|(token, _)| *token)
            {
                continue;
            }
            if let Some(ownership) = current {
                ownership.until = revision;
            }
            if let Some((token, key)) = oldest {
                ownerships.push(Ownership {
                    key: (*key).to_owned(),
                    token: *token,
                    from: revision,
                    until: i64::MAX,
                });
            }
        }
        ownerships
    }
}

/// The latest time at which each revision was applied: when it, or a later one, was observed.
#[derive(Debug, Default)]
pub(crate) struct Times(BTreeMap<i64, Instant>);

impl Times {
    /// Computes them from revisions and the times at which each was observed.
    pub(crate) fn new(observed: impl IntoIterator<Item = (i64, Instant)>) -> Self {
        let mut times: BTreeMap<i64, Instant> = BTreeMap::new();
        for (revision, at) in observed {
            let known = times.entry(revision).or_insert(at);
            *known = at.min(*known);
        }
        // A revision is applied after all before it.
        let mut earliest = None;
        for at in times.values_mut().rev() {
            *at = earliest.map_or(*at, |earliest: Instant| earliest.min(*at));
            earliest = Some(*at);
        }
        Self(times)
    }

    /// Returns the latest time at which this revision was applied; `None` if it was not observed.
    pub(crate) fn by(&self, revision: i64) -> Option<Instant> {
        self.0.range(revision..).next().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Puts and deletes of keys `q/…`, a revision each from 2 on.
    pub(crate) fn history(steps: &[(&str, bool)]) -> History {
        let mut created = HashMap::new();
        let events = steps.iter().zip(2..).map(|((key, is_put), revision)| {
            let put = if *is_put {
                let token = *created.entry(*key).or_insert(revision);
                Some((format!("v{revision}"), token))
            } else {
                created.remove(key);
                None
            };
            let key = format!("q/{key}");
            Event { revision, key, put }
        });
        History {
            events: events.collect(),
        }
    }

    #[test]
    fn the_oldest_key_of_a_queue_owns_it() {
        let steps = [
            ("a", true),
            ("b", true),
            ("a", true),
            ("c", true),
            ("b", false),
            ("a", false),
            ("c", false),
            ("a", true),
        ];
        let ownerships = history(&steps).ownerships("q/");
        let found = ownerships.iter().map(|ownership| {
            let Ownership {
                key,
                token,
                from,
                until,
            } = ownership;
            (key.as_str(), *token, *from, *until)
        });
        let expected = [("q/a", 2, 2, 7), ("q/c", 5, 7, 8), ("q/a", 9, 9, i64::MAX)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_revision_is_applied_when_a_later_one_is_observed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let times = Times::new([(2, at(9)), (4, at(3)), (6, at(5)), (2, at(8))]);
        assert_eq!(
            [1, 2, 3, 4].map(|revision| times.by(revision)),
            [Some(at(3)); 4]
        );
        assert_eq!(
            (times.by(5), times.by(6), times.by(7)),
            (Some(at(5)), Some(at(5)), None)
        );
    }
}
