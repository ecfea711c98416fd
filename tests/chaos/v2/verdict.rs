//! Compares what callers know with what watchers received and with the store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use etcd_http::v2::{Action, Event, Node};
use harness::linearizability;

use super::{
    journal::{Entry, Journal, Reported},
    load::{COUNTERS, count_of},
    watchers::Watched,
};

/// How many indexes a member uses when it restarts: it publishes its name and URLs.
const OF_A_RESTART: usize = 2;

/// The result of the checks.
#[derive(Debug, Default)]
pub(crate) struct Report {
    events: usize,
    delivered: usize,
    acknowledged: usize,
    unknown: usize,
    unknown_but_done: usize,
    registers: usize,
    register_operations: usize,
    internal: usize,
    longest_silence: Duration,
    pub(crate) problems: Vec<String>,
}

/// Compares the responses, the events that watchers received, and the store.
pub(crate) fn check(
    journal: &Journal,
    watched: &[Watched],
    tree: &Node,
    start: u64,
    end: u64,
    restarts: usize,
) -> Report {
    let mut report = Report::default();
    let events = report.agree(watched, start, end);
    report.events = events.len();
    report.account(&journal.writes(), &events);
    report.replay(&events, tree);
    report.count(&events);
    report.internal = (end - start - 1) as usize - events.len();
    if report.internal > restarts * OF_A_RESTART {
        let problem = format!(
            "{} indexes have no event, with {restarts} restarts",
            report.internal
        );
        report.problems.push(problem);
    }
    let registers = journal.registers();
    report.registers = registers.len();
    report.register_operations = registers.values().map(Vec::len).sum();
    if let Err(error) = linearizability::check(&registers) {
        report.problems.push(error.to_string());
    }
    report
}

impl Report {
    /// All events that any watcher received. Each must have received all that match it, once and in order.
    fn agree<'a>(
        &mut self,
        watched: &'a [Watched],
        start: u64,
        end: u64,
    ) -> BTreeMap<u64, &'a Event> {
        let mut all: BTreeMap<u64, &Event> = BTreeMap::new();
        for Watched {
            name,
            events,
            failure,
            longest_silence,
            ..
        } in watched
        {
            self.longest_silence = self.longest_silence.max(*longest_silence);
            self.delivered += events.len();
            if let Some(failure) = failure {
                self.problems.push(format!("{name} failed: {failure}"));
            }
            for event in events {
                let index = event.index();
                if index <= start || index >= end {
                    self.problems.push(format!(
                        "{name}: an event at {index}, outside {start} to {end}"
                    ));
                }
                let known = all.entry(index).or_insert(event);
                if (&known.action, &known.node.key, &known.node.value)
                    != (&event.action, &event.node.key, &event.node.value)
                {
                    self.problems
                        .push(format!("{name} saw {event:?}, and another {known:?}"));
                }
            }
        }
        for Watched {
            name, key, events, ..
        } in watched
        {
            let seen: Vec<u64> = events.iter().map(Event::index).collect();
            let due = all
                .values()
                .filter(|event| key.as_ref().is_none_or(|key| event.node.key == *key))
                .map(|event| event.index());
            let due: Vec<u64> = due.collect();
            if seen != due {
                let missing = due.iter().filter(|index| !seen.contains(index)).count();
                let (seen, due) = (seen.len(), due.len());
                self.problems.push(format!(
                    "{name} saw {seen} events of {due}; {missing} are missing"
                ));
            }
        }
        all
    }

    /// Every event comes from one call, and every response was correct.
    fn account(&mut self, writes: &[Entry], events: &BTreeMap<u64, &Event>) {
        let mut of_value: HashMap<&str, Vec<&Event>> = HashMap::new();
        let mut deletions: HashMap<&str, Vec<u64>> = HashMap::new();
        for event in events.values() {
            match &event.node.value {
                Some(value) => of_value.entry(value).or_default().push(event),
                None => deletions
                    .entry(&event.node.key)
                    .or_default()
                    .push(event.index()),
            }
        }
        for Entry {
            operation,
            key,
            value,
            reported,
        } in writes
        {
            self.acknowledged += usize::from(matches!(reported, Reported::Done(_)));
            self.unknown += usize::from(*reported == Reported::Unknown);
            let Some(value) = value else { continue };
            let found = of_value.remove(value.as_str()).unwrap_or_default();
            let indexes: Vec<u64> = found.iter().map(|event| event.index()).collect();
            let is_consistent = match reported {
                Reported::Done(index) => indexes == [*index],
                Reported::NotDone => indexes.is_empty(),
                Reported::Unknown => indexes.len() <= 1,
            };
            self.unknown_but_done +=
                usize::from(*reported == Reported::Unknown && indexes.len() == 1);
            if !is_consistent {
                self.problems.push(format!(
                    "{operation} of {key} = {value}: reported {reported:?}, done at {indexes:?}"
                ));
            }
            let in_its_place = found.iter().all(|event| {
                event.node.key == *key || event.node.key.strip_prefix(key).is_some_and(is_in_order)
            });
            if !in_its_place {
                self.problems
                    .push(format!("{operation} of {key} = {value} is elsewhere"));
            }
        }
        for (value, events) in of_value {
            self.problems
                .push(format!("no call wrote {value}: {events:?}"));
        }
        self.account_deletions(writes, &deletions);
    }

    /// A deletion has no value that identifies it: all acknowledged ones are there, and no more than were tried.
    fn account_deletions(&mut self, writes: &[Entry], deletions: &HashMap<&str, Vec<u64>>) {
        let mut tried: HashMap<&str, (HashSet<u64>, usize)> = HashMap::new();
        for Entry { key, reported, .. } in writes.iter().filter(|write| write.value.is_none()) {
            let (done, unknown) = tried.entry(key).or_default();
            match reported {
                Reported::Done(index) => {
                    if !done.insert(*index) {
                        self.problems
                            .push(format!("{key} was deleted twice at {index}"));
                    }
                }
                Reported::Unknown => *unknown += 1,
                Reported::NotDone => {}
            }
        }
        for (key, (done, unknown)) in &tried {
            let seen = deletions.get(key).cloned().unwrap_or_default();
            let missing = done.iter().any(|index| !seen.contains(index));
            if missing || seen.len() > done.len() + unknown {
                self.problems.push(format!(
                    "{key}: deleted at {done:?} and {unknown} unknown, seen {seen:?}"
                ));
            }
        }
        for key in deletions.keys().filter(|key| !tried.contains_key(*key)) {
            self.problems.push(format!("no call deleted {key}"));
        }
    }

    /// The events lead to the state of the store.
    fn replay(&mut self, events: &BTreeMap<u64, &Event>, tree: &Node) {
        let mut replayed: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
        for event in events.values() {
            let Event {
                action,
                node,
                prev_node,
                ..
            } = event;
            let before = replayed.remove(node.key.as_str());
            let reported = prev_node
                .as_ref()
                .and_then(|node| Some((node.value.as_deref()?, node.modified_index)));
            if reported != before {
                self.problems
                    .push(format!("{event:?} comes after {before:?}"));
            }
            if !matches!(
                action,
                Action::Delete | Action::Expire | Action::CompareAndDelete
            ) {
                let value = node.value.as_deref().unwrap_or_default();
                replayed.insert(&node.key, (value, node.modified_index));
            }
        }
        let mut stored = BTreeMap::new();
        files(tree, &mut stored);
        stored.remove("/chaos/start");
        stored.retain(|_, (value, _)| *value != "end");
        replayed.retain(|key, _| !COUNTERS.contains(key));
        if stored != replayed {
            let lost = stored
                .iter()
                .filter(|(key, file)| replayed.get(*key) != Some(*file));
            let lost: Vec<_> = lost.take(5).collect();
            let (stored, replayed) = (stored.len(), replayed.len());
            self.problems.push(format!(
                "{stored} files in the store, {replayed} by the events: {lost:?}"
            ));
        }
    }

    /// Each change of a counter adds one.
    fn count(&mut self, events: &BTreeMap<u64, &Event>) {
        for key in COUNTERS {
            let changes = events.values().filter(|event| event.node.key == key);
            let values = changes.map(|event| event.node.value.as_deref().map_or(0, count_of));
            let values: Vec<u64> = values.collect();
            if !values.iter().copied().eq(1..=values.len() as u64) {
                self.problems.push(format!("{key} counted {values:?}"));
            }
        }
    }
}

/// Returns whether this is the name of an in-order key.
fn is_in_order(rest: &str) -> bool {
    let name = rest.strip_prefix('/').unwrap_or_default();
    name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn files<'a>(node: &'a Node, all: &mut BTreeMap<&'a str, (&'a str, u64)>) {
    if let Some(value) = &node.value {
        all.insert(&node.key, (value, node.modified_index));
    }
    for node in &node.nodes {
        files(node, all);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            delivered,
            acknowledged,
            unknown,
            unknown_but_done,
            registers,
            register_operations,
            internal,
            longest_silence,
            ..
        } = self;
        writeln!(
            f,
            "  {acknowledged} writes acknowledged, {unknown} unknown, of which {unknown_but_done} were applied\n  \
             {events} events, {delivered} delivered, {internal} indexes of the members' own; longest silence of a \
             watcher {longest_silence:.1?}\n  {registers} registers of {register_operations} operations were linearizable"
        )
    }
}
