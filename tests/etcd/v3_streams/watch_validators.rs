//! The guarantees of watches, whatever happens to the cluster: the nine watch validators of etcd's own robustness
//! tests.

use std::collections::{BTreeMap, BTreeSet};

use etcd_http::v3::{Changes, Event, KeyValue};

/// The reference history: each revision with its events, from an undisturbed watch.
pub(crate) struct History(pub(crate) BTreeMap<i64, Vec<Event>>);

/// The request of a watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) from: i64,
    pub(crate) puts: bool,
    pub(crate) prev_kv: bool,
    pub(crate) prefix: &'static str,
}

impl History {
    /// Checks what a watch delivered, up to the end of history.
    pub(crate) fn check(&self, asked: Asked, delivered: &[Changes]) {
        ordered_and_bookmarkable(delivered);
        unique(delivered);
        self.reliable_atomic_and_filtered(asked, delivered);
        self.prev_kv_and_is_create(asked, delivered);
    }

    /// Nothing is missing or superfluous, and a revision is complete and in order.
    fn reliable_atomic_and_filtered(&self, asked: Asked, delivered: &[Changes]) {
        let wanted = |event: &&Event| {
            event.key().starts_with(asked.prefix.as_bytes()) && (asked.puts || event.is_delete())
        };
        let identity = |event: &Event| (event.kind, event.kv.clone());
        let expected = self.0.range(asked.from..).filter_map(|(revision, events)| {
            let events: Vec<_> = events.iter().filter(wanted).map(identity).collect();
            (!events.is_empty()).then_some((*revision, events))
        });
        let mut expected = expected.collect::<Vec<_>>().into_iter();
        for changes in delivered
            .iter()
            .filter(|changes| !changes.events.is_empty())
        {
            let events = changes.events.iter().map(identity).collect();
            assert_eq!(
                Some((changes.revision, events)),
                expected.next(),
                "{asked:?}"
            );
        }
        assert_eq!(expected.next(), None, "{asked:?}: the end is missing");
    }

    /// The previous value is that of the history, and a key is created where it did not exist.
    fn prev_kv_and_is_create(&self, asked: Asked, delivered: &[Changes]) {
        let mut state: BTreeMap<&[u8], &KeyValue> = BTreeMap::new();
        let mut before = BTreeMap::new();
        for (revision, events) in &self.0 {
            for event in events {
                before.insert(
                    (*revision, event.key().clone()),
                    state.get(&event.key()[..]).copied(),
                );
                if event.is_delete() {
                    state.remove(&event.key()[..]);
                } else {
                    state.insert(event.key(), &event.kv);
                }
            }
        }
        for event in delivered.iter().flat_map(|changes| &changes.events) {
            let before = before[&(event.kv.mod_revision, event.key().clone())];
            if asked.prev_kv {
                assert_eq!(event.prev_kv.as_ref(), before, "{event:?}");
            }
            assert_eq!(
                event.is_create(),
                !event.is_delete() && before.is_none(),
                "{event:?}"
            );
        }
    }
}

/// Revisions ascend, and nothing arrives before a reported progress.
fn ordered_and_bookmarkable(delivered: &[Changes]) {
    for pair in delivered.windows(2) {
        let [one, two] = pair else { unreachable!() };
        if two.events.is_empty() {
            assert!(
                one.revision <= two.revision,
                "progress went back: {one:?} {two:?}"
            );
        } else {
            assert!(one.revision < two.revision, "out of order: {one:?} {two:?}");
        }
    }
    let events = delivered
        .iter()
        .flat_map(|changes| changes.events.iter().map(move |event| (changes, event)));
    for (changes, event) in events {
        assert_eq!(changes.revision, event.kv.mod_revision);
    }
}

fn unique(delivered: &[Changes]) {
    let mut seen = BTreeSet::new();
    for event in delivered.iter().flat_map(|changes| &changes.events) {
        assert!(
            seen.insert((event.kv.mod_revision, event.key().clone())),
            "twice: {event:?}"
        );
    }
}
