use std::{ops::Bound, sync::Arc};

use super::{Change, Revision, last_of};
use crate::v3::{message::kv::KeyValue, tree::Tree};

/// The versions of a key.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The last one, which most requests are about.
    last: (Revision, Change),
    /// Those before it. A key that never changed has none, and there are many such keys.
    earlier: Tree<Revision, Change>,
}

impl History {
    pub(super) fn new(revision: Revision, change: Change) -> Self {
        Self {
            last: (revision, change),
            earlier: Tree::default(),
        }
    }

    pub(super) fn last(&self) -> &Change {
        &self.last.1
    }

    /// The key as it was at a revision.
    pub(super) fn at(&self, revision: i64) -> Option<&Arc<KeyValue>> {
        let end = last_of(revision);
        let change = if self.last.0 <= end {
            &self.last.1
        } else {
            self.earlier.last_up_to(&end)?.1
        };
        change.live()
    }

    /// The version after another one.
    pub(super) fn after(&self, revision: Revision) -> Option<Revision> {
        let next = self.earlier.from(Bound::Excluded(&revision)).next();
        let next = next.map_or(self.last.0, |(next, _)| *next);
        (next > revision).then_some(next)
    }

    /// Adds a version, the last of all.
    pub(super) fn push(&mut self, revision: Revision, change: Change) {
        let (revision, change) = std::mem::replace(&mut self.last, (revision, change));
        self.earlier.insert(revision, change);
    }

    /// Forgets a version. Returns false for the last one, with which the key itself is to be forgotten.
    pub(super) fn forget(&mut self, revision: Revision) -> bool {
        self.earlier.remove(&revision);
        self.last.0 != revision
    }
}
