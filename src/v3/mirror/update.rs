use std::collections::BTreeMap;

use bytes::Bytes;

use super::MirrorGap;
use crate::v3::{Event, KeyValue};

/// What changed in a [`Mirror`](super::Mirror) from one revision to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorUpdate {
    /// The present revision of the copy.
    pub revision: i64,
    /// Whether these are the differences to a new listing, such as the first one, instead of the changes of one revision.
    pub is_listing: bool,
    /// Why there may be changes before this update that are not reported, if there may: the keys were listed again. `None` for
    /// the first listing of a mirror that has no [state](super::Mirror::resume) to go on from.
    pub gap: Option<MirrorGap>,
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
            gap: None,
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

/// Returns an entry of a copy, which is kept longer than the response that it is from.
pub(super) fn entry(kv: KeyValue) -> (Bytes, KeyValue) {
    let kv = kv.detached();
    (kv.key.clone(), kv)
}

/// Applies an event, and says what it changed.
pub(super) fn apply(entries: &mut BTreeMap<Bytes, KeyValue>, event: Event) -> Option<MirrorChange> {
    if event.is_delete() {
        return entries.remove(event.key()).map(MirrorChange::Removed);
    }
    let (key, new) = entry(event.kv);
    Some(match entries.insert(key, new.clone()) {
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
            // The revisions do not suffice: of another store, they may be the same.
            Some(old) if old == *new => continue,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_keeps_is_no_part_of_a_response() {
        let response = Bytes::from(vec![b'x'; 100]);
        let kv = KeyValue::new(response.slice(10..20), response.slice(30..90));
        let mut entries = BTreeMap::from([entry(kv.clone())]);
        apply(&mut entries, Event::put(kv));
        assert_eq!(entries.len(), 1);
        for (key, kv) in &entries {
            for part in [key, &kv.key, &kv.value] {
                assert!(!response.as_ptr_range().contains(&part.as_ptr()));
            }
        }
    }
}
