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

/// Everything that happened to the keys, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
}

/// What happened to a key.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: i64,
    pub(crate) key: String,
    /// The value, and the revision that created the key; `None` is a deletion.
    pub(crate) put: Option<(String, i64)>,
}

/// While a key was the oldest of its queue: who has it holds the lock, or leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) key: String,
    /// The revision that created the key: the fencing token.
    pub(crate) token: i64,
    /// The first revision of the reign, and the first after it.
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl History {
    /// Reads it all, from this revision to the end.
    pub(crate) async fn read<T: Transport>(client: &Client<T>, from: i64) -> Self {
        let watch = Watch::new(KeyRange::prefix("fire/")).from_revision(from);
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

    /// Which revisions deleted each key.
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

    /// Which revisions wrote each value to a key.
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

    /// Who reigned, one after the other, in the queue of the keys with this prefix.
    pub(crate) fn reigns(&self, prefix: &str) -> Vec<Reign> {
        let mut queue: BTreeMap<i64, &str> = BTreeMap::new();
        let mut reigns: Vec<Reign> = Vec::new();
        let of_queue = self
            .events
            .iter()
            .filter(|event| event.key.starts_with(prefix));
        let of_queue: Vec<&Event> = of_queue.collect();
        // What one revision does, it does at once.
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
            let reigning = reigns.last_mut().filter(|reign| reign.until == i64::MAX);
            if reigning.as_ref().map(|reign| reign.token) == oldest.map(|(token, _)| *token) {
                continue;
            }
            if let Some(reign) = reigning {
                reign.until = revision;
            }
            if let Some((token, key)) = oldest {
                reigns.push(Reign {
                    key: (*key).to_owned(),
                    token: *token,
                    from: revision,
                    until: i64::MAX,
                });
            }
        }
        reigns
    }
}

/// By when revisions were surely there: somebody had heard of them, or of later ones.
#[derive(Debug, Default)]
pub(crate) struct Times(BTreeMap<i64, Instant>);

impl Times {
    /// Of revisions, and when each was heard of.
    pub(crate) fn new(heard: impl IntoIterator<Item = (i64, Instant)>) -> Self {
        let mut times: BTreeMap<i64, Instant> = BTreeMap::new();
        for (revision, at) in heard {
            let known = times.entry(revision).or_insert(at);
            *known = at.min(*known);
        }
        // Whoever heard of a revision knows that all before it were there.
        let mut earliest = None;
        for at in times.values_mut().rev() {
            *at = earliest.map_or(*at, |earliest: Instant| earliest.min(*at));
            earliest = Some(*at);
        }
        Self(times)
    }

    /// No later than that was this revision there; `None` if nobody heard of it.
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
    fn the_oldest_key_of_a_queue_reigns() {
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
        let reigns = history(&steps).reigns("q/");
        let found = reigns.iter().map(|reign| {
            let Reign {
                key,
                token,
                from,
                until,
            } = reign;
            (key.as_str(), *token, *from, *until)
        });
        let expected = [("q/a", 2, 2, 7), ("q/c", 5, 7, 8), ("q/a", 9, 9, i64::MAX)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_revision_was_there_when_a_later_one_was_heard_of() {
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
