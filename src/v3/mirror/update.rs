use std::collections::BTreeMap;

use bytes::Bytes;

use crate::v3::{Event, KeyValue};

/// What changed in a [`Mirror`](super::Mirror) from one revision to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorUpdate {
    /// The present revision of the copy.
    pub revision: i64,
    /// Whether these are the differences to a new listing, such as the first one, instead of the changes of one revision.
    pub is_listing: bool,
    /// What changed: the keys of a listing in their order, those of a revision in the order of the writes. Empty if a
    /// listing found no difference.
    pub changes: Vec<MirrorChange>,
}

impl MirrorUpdate {
    /// The changes of one revision, not of a listing. For your own tests.
    pub fn new(revision: i64, changes: impl IntoIterator<Item = MirrorChange>) -> Self {
        Self {
            revision,
            is_listing: false,
            changes: changes.into_iter().collect(),
        }
    }
}

/// What happened to a key of a [`Mirror`](super::Mirror). It will have no other variants: a `match` is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorChange {
    /// It was not there before.
    Added(KeyValue),
    /// It was written again.
    Changed {
        /// What it was.
        old: KeyValue,
        /// What it is now.
        new: KeyValue,
    },
    /// It was deleted; this is what it was.
    Removed(KeyValue),
}

/// Applies an event, and says what it changed.
pub(super) fn apply(entries: &mut BTreeMap<Bytes, KeyValue>, event: Event) -> Option<MirrorChange> {
    if event.is_delete() {
        return entries.remove(event.key()).map(MirrorChange::Removed);
    }
    let new = event.kv;
    Some(match entries.insert(new.key.clone(), new.clone()) {
        Some(old) => MirrorChange::Changed { old, new },
        None => MirrorChange::Added(new),
    })
}

/// The changes that turn `before` into `now`, in the order of the keys.
pub(super) fn differences(
    mut before: BTreeMap<Bytes, KeyValue>,
    now: &BTreeMap<Bytes, KeyValue>,
) -> Vec<MirrorChange> {
    let mut changes = BTreeMap::new();
    for (key, new) in now {
        let change = match before.remove(key) {
            // A key with the same last modification is unchanged.
            Some(old) if old.mod_revision == new.mod_revision => continue,
            Some(old) => MirrorChange::Changed {
                old,
                new: new.clone(),
            },
            None => MirrorChange::Added(new.clone()),
        };
        changes.insert(key.clone(), change);
    }
    let removed = before
        .into_iter()
        .map(|(key, old)| (key, MirrorChange::Removed(old)));
    changes.extend(removed);
    changes.into_values().collect()
}
