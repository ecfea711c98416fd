use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::watcher::Watch;
use crate::{cluster::exchanges::ExchangeId, v3::mvcc::Change};

/// Names a watch: its stream, and its id there.
pub(super) type WatchName = (ExchangeId, i64);

/// Finds the watches of a key, so that a change costs nothing for those of other keys.
#[derive(Debug, Default)]
pub(super) struct WatchIndex {
    singles: HashMap<Bytes, BTreeSet<WatchName>>,
    /// Those of ranges, which are all looked at.
    ranges: BTreeSet<WatchName>,
}

impl WatchIndex {
    pub(super) fn add(&mut self, name: WatchName, watch: &Watch) {
        if watch.is_single() {
            let key = watch.key.clone();
            self.singles.entry(key).or_default().insert(name);
        } else {
            self.ranges.insert(name);
        }
    }

    pub(super) fn remove(&mut self, name: WatchName, watch: &Watch) {
        if !watch.is_single() {
            self.ranges.remove(&name);
        } else if let Some(names) = self.singles.get_mut(&watch.key) {
            names.remove(&name);
            if names.is_empty() {
                self.singles.remove(&watch.key);
            }
        }
    }

    /// The watches that may want one of these changes, in order.
    pub(super) fn find(&self, changes: &[&Change]) -> BTreeSet<WatchName> {
        let mut found = self.ranges.clone();
        for change in changes {
            found.extend(self.singles.get(&change.kv.key).into_iter().flatten());
        }
        found
    }
}
