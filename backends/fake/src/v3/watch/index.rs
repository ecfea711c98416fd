use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::{ranges::RangeIndex, watcher::Watch};
use crate::{cluster::exchanges::ExchangeId, v3::mvcc::Change};

/// Names a watch: its stream, and its id there.
pub(super) type WatchName = (ExchangeId, i64);

/// Finds the watches of a key, so that a change costs nothing for those of other keys.
#[derive(Debug, Default)]
pub(super) struct WatchIndex {
    singles: HashMap<Bytes, BTreeSet<WatchName>>,
    ranges: RangeIndex,
}

impl WatchIndex {
    pub(super) fn add(&mut self, name: WatchName, watch: &Watch) {
        match watch.range() {
            Some(range) => self.ranges.add(range, name),
            None => {
                let key = watch.key.clone();
                self.singles.entry(key).or_default().insert(name);
            }
        }
    }

    pub(super) fn remove(&mut self, name: WatchName, watch: &Watch) {
        if let Some(range) = watch.range() {
            self.ranges.remove(&range, name);
        } else if let Some(names) = self.singles.get_mut(&watch.key) {
            names.remove(&name);
            if names.is_empty() {
                self.singles.remove(&watch.key);
            }
        }
    }

    /// The watches that may want one of these changes, in order.
    pub(super) fn find(&self, changes: &[&Change]) -> BTreeSet<WatchName> {
        let mut found = BTreeSet::new();
        for change in changes {
            let key = &change.kv.key;
            found.extend(self.singles.get(key).into_iter().flatten());
            self.ranges.find(key, &mut found);
        }
        found
    }
}
