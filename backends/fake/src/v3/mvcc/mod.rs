//! The store of the v3 API: every version of every key since the last compaction.

mod batch;
mod check;
mod compaction;
mod hash;
mod history;
mod range;
mod txn;

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

pub(crate) use self::{
    batch::Batch,
    check::{check_delete, check_put, check_range, check_txn},
    txn::is_read_only,
};
use self::{hash::KvHash, history::History};
use super::{
    message::kv::KeyValue,
    tree::{Heads, Tree},
};

/// A version of a key: the revision that made it, and its position among the changes of that revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revision {
    pub(crate) main: i64,
    pub(crate) sub: i64,
}

/// What a revision did to a key.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// A deletion has only the key and its own revision.
    pub(crate) kv: Arc<KeyValue>,
    pub(crate) is_delete: bool,
}

/// A multi-version store. A clone shares everything with its original.
#[derive(Clone, Debug)]
pub(crate) struct Mvcc {
    revision: i64,
    /// The revision of the last compaction; −1 before the first.
    compacted: i64,
    /// The keys that there are now.
    live: Tree<Bytes, History, Heads>,
    /// The deleted keys of which there are versions.
    deleted: Tree<Bytes, History, Heads>,
    /// All versions, in the order in which they were made.
    log: Tree<Revision, Change>,
    /// The bytes of all keys and values.
    size: i64,
    /// The hashes that were computed by compactions.
    hashes: Vec<KvHash>,
}

/// Where the changes of a revision end.
fn last_of(revision: i64) -> Revision {
    Revision {
        main: revision,
        sub: i64::MAX,
    }
}

impl Change {
    /// The key, unless it is deleted.
    fn live(&self) -> Option<&Arc<KeyValue>> {
        (!self.is_delete).then_some(&self.kv)
    }

    fn size(&self) -> i64 {
        (self.kv.key.len() + self.kv.value.len()) as i64
    }
}

impl Mvcc {
    pub(crate) fn new() -> Self {
        Self {
            revision: 1,
            compacted: -1,
            live: Tree::default(),
            deleted: Tree::default(),
            log: Tree::default(),
            size: 0,
            hashes: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    pub(crate) fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Forgets what is in memory alone.
    pub(crate) fn restart(&mut self) {
        self.hashes.clear();
    }

    /// About how many bytes the versions take.
    pub(crate) fn size(&self) -> i64 {
        self.size
    }

    /// A key as it is now.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<KeyValue>> {
        Some(&self.live.get(key)?.last().kv)
    }

    /// The versions of a key.
    fn history(&self, key: &Bytes) -> Option<&History> {
        self.live.get(key).or_else(|| self.deleted.get(key))
    }

    /// A key as it was at a revision that is not compacted.
    pub(crate) fn get_at(&self, key: &Bytes, revision: i64) -> Option<&Arc<KeyValue>> {
        self.history(key)?.at(revision)
    }

    /// Sets the revisions of a store that is filled from a dump.
    pub(crate) fn set_revisions(&mut self, current: i64, compacted: i64) {
        self.revision = current;
        self.compacted = compacted;
    }

    /// Adds a change, the last of all. Those of a dump come in their order.
    pub(crate) fn record(&mut self, revision: Revision, change: Change) {
        self.size += change.size();
        self.log.insert(revision, change.clone());
        let key = &change.kv.key;
        if !change.is_delete
            && let Some(history) = self.live.get_mut(key)
        {
            history.push(revision, change);
            return;
        }
        let former = self.live.remove(key).or_else(|| self.deleted.remove(key));
        let keys = if change.is_delete {
            &mut self.deleted
        } else {
            &mut self.live
        };
        let key = key.clone();
        let history = match former {
            Some(mut history) => {
                history.push(revision, change);
                history
            }
            None => History::new(revision, change),
        };
        keys.insert(key, history);
    }

    /// Removes a version.
    fn forget(&mut self, revision: Revision) {
        let Some(change) = self.log.remove(&revision) else {
            return;
        };
        self.size -= change.size();
        let key = &change.kv.key;
        // To look for a key to change it copies the way to it, even if it is not there.
        if self.live.get(key).is_some() {
            if let Some(history) = self.live.get_mut(key) {
                history.forget(revision);
            }
        } else if let Some(history) = self.deleted.get_mut(key)
            && !history.forget(revision)
        {
            self.deleted.remove(key);
        }
    }

    /// The keys from one on, as they are now.
    pub(crate) fn live_from(&self, first: &[u8]) -> impl Iterator<Item = &Arc<KeyValue>> {
        let entries = self.live.from(Bound::Included(first));
        entries.map(|(_, history)| &history.last().kv)
    }

    /// The changes from a revision on, in order.
    pub(crate) fn changes_from(&self, main: i64) -> impl Iterator<Item = (&Revision, &Change)> {
        let start = Revision { main, sub: 0 };
        self.log.from(Bound::Included(&start))
    }
}

/// The keys that a request names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRange<'a> {
    pub(crate) key: &'a [u8],
    /// Empty for one key, a zero byte for all from `key` on.
    pub(crate) end: &'a [u8],
}

impl KeyRange<'_> {
    pub(crate) fn is_single(&self) -> bool {
        self.end.is_empty()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        if self.is_single() {
            return key == self.key;
        }
        key >= self.key && self.is_before_end(key)
    }

    fn is_open(&self) -> bool {
        self.end == [0]
    }

    fn is_before_end(&self, key: &[u8]) -> bool {
        self.is_open() || key < self.end
    }
}
