use std::{error::Error as StdError, sync::Arc};

use super::snapshot::{CacheEntry, Content, InvalidEntry, Snapshot};
use crate::v3::{KeyValue, MirrorChange, MirrorGap, MirrorState, MirrorUpdate};

/// What changed in a [`Cache`](super::Cache), and what it is now.
#[derive(Debug)]
#[non_exhaustive]
pub struct CacheUpdate<V> {
    /// Whether these are the differences between two states, and not the changes of one revision. The first update is
    /// one; so is the next one after history was compacted or the store was restored, or after this stream was not polled for
    /// too many updates. What came and went meanwhile is not among them.
    pub is_resync: bool,
    /// Why the keys were listed again, if they were, and this stream has been polled since. See [`MirrorUpdate::gap`].
    pub gap: Option<MirrorGap>,
    /// What changed: in the order of the writes, or of the keys if it is a resync. It may be empty.
    pub changes: Vec<CacheChange<V>>,
    /// The cache with these changes.
    pub snapshot: Snapshot<V>,
}

/// A change of a [`Cache`](super::Cache). It will have no other variants: a `match` is complete.
#[derive(Debug)]
pub enum CacheChange<V> {
    /// The key had no valid value before.
    Added(Arc<CacheEntry<V>>),
    /// The key has another valid value.
    Changed {
        /// The last valid value.
        old: Arc<CacheEntry<V>>,
        /// The present one.
        new: Arc<CacheEntry<V>>,
    },
    /// The key was deleted; this is its last valid value.
    Removed(Arc<CacheEntry<V>>),
    /// The present value of the key cannot be decoded. The last valid one, if there was one, stays.
    Invalid(Arc<InvalidEntry>),
    /// The key was deleted, and had no valid value; this is its last one.
    InvalidRemoved(Arc<InvalidEntry>),
}

/// Decodes a value.
pub(super) type Decode<V> =
    Box<dyn Fn(&KeyValue) -> Result<V, Box<dyn StdError + Send + Sync>> + Send + Sync>;

impl<V> CacheUpdate<V> {
    /// The changes of one revision, not of a resync. For your own tests.
    pub fn new(snapshot: Snapshot<V>, changes: impl IntoIterator<Item = CacheChange<V>>) -> Self {
        Self {
            is_resync: false,
            gap: None,
            changes: changes.into_iter().collect(),
            snapshot,
        }
    }
}

impl<V> Clone for CacheUpdate<V> {
    fn clone(&self) -> Self {
        Self {
            is_resync: self.is_resync,
            gap: self.gap,
            changes: self.changes.clone(),
            snapshot: self.snapshot.clone(),
        }
    }
}

impl<V> Clone for CacheChange<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Added(new) => Self::Added(Arc::clone(new)),
            Self::Changed { old, new } => Self::Changed {
                old: Arc::clone(old),
                new: Arc::clone(new),
            },
            Self::Removed(old) => Self::Removed(Arc::clone(old)),
            Self::Invalid(invalid) => Self::Invalid(Arc::clone(invalid)),
            Self::InvalidRemoved(old) => Self::InvalidRemoved(Arc::clone(old)),
        }
    }
}

/// Applies the changes of a mirror.
pub(super) fn apply<V>(
    content: &Content<V>,
    update: MirrorUpdate,
    decode: &Decode<V>,
) -> CacheUpdate<V> {
    let mut content = content.clone();
    content.revision = update.revision;
    let mut changes = Vec::with_capacity(update.changes.len());
    for change in update.changes {
        match change {
            MirrorChange::Added(new) => {
                changes.push(put(&mut content, new, decode));
            }
            MirrorChange::Changed { old, new } => {
                // A listing shows a key that was deleted and created again as changed.
                let is_created = old.create_revision != new.create_revision;
                let key = new.key.clone();
                let change = put(&mut content, new, decode);
                if is_created && matches!(change, CacheChange::Invalid(_)) {
                    changes.extend(content.values.remove(&key).map(CacheChange::Removed));
                }
                changes.push(change);
            }
            MirrorChange::Removed(old) => {
                let invalid = content.invalid.remove(&old.key);
                let valid = content.values.remove(&old.key);
                changes.extend(removed(valid, invalid));
            }
        }
    }
    CacheUpdate {
        is_resync: update.is_listing,
        gap: update.gap,
        changes,
        snapshot: Snapshot::of(content),
    }
}

/// Decodes a stored state.
pub(super) fn decoded<V>(state: &MirrorState, decode: &Decode<V>) -> Snapshot<V> {
    let mut content = Snapshot::new(state.cursor().revision(), [])
        .content()
        .clone();
    for kv in state.iter() {
        put(&mut content, kv, decode);
    }
    Snapshot::of(content)
}

fn put<V>(content: &mut Content<V>, kv: KeyValue, decode: &Decode<V>) -> CacheChange<V> {
    match decode(&kv) {
        Ok(value) => {
            content.invalid.remove(&kv.key);
            let new = Arc::new(CacheEntry::new(kv, value));
            match content.values.insert(Arc::clone(&new)) {
                Some(old) => CacheChange::Changed { old, new },
                None => CacheChange::Added(new),
            }
        }
        Err(error) => {
            let invalid = Arc::new(InvalidEntry::new(kv, error));
            content.invalid.insert(Arc::clone(&invalid));
            CacheChange::Invalid(invalid)
        }
    }
}

/// What a deletion is, of a key with these values.
fn removed<V>(
    valid: Option<Arc<CacheEntry<V>>>,
    invalid: Option<Arc<InvalidEntry>>,
) -> Option<CacheChange<V>> {
    let removed = valid.map(CacheChange::Removed);
    removed.or_else(|| invalid.map(CacheChange::InvalidRemoved))
}

/// The differences between two states.
pub(super) fn differences<V>(before: &Content<V>, now: &Snapshot<V>) -> CacheUpdate<V> {
    let content = now.content();
    let values = before.values.differences(&content.values).into_iter();
    let values = values.filter_map(|change| match change {
        (None, Some(new)) => Some(CacheChange::Added(new)),
        (Some(old), Some(new)) => Some(CacheChange::Changed { old, new }),
        (Some(old), None) => Some(CacheChange::Removed(old)),
        (None, None) => None,
    });
    let invalid = before.invalid.differences(&content.invalid).into_iter();
    let invalid = invalid.filter_map(|change| match change {
        (_, Some(new)) => Some(CacheChange::Invalid(new)),
        (Some(old), None) => {
            let key = &old.kv.key;
            let has_value = [&before.values, &content.values].map(|it| it.get(key).is_some());
            // A valid value, before or now, is among the values.
            (has_value == [false, false]).then(|| CacheChange::InvalidRemoved(Arc::clone(&old)))
        }
        (None, None) => None,
    });
    CacheUpdate {
        is_resync: true,
        gap: None,
        changes: values.chain(invalid).collect(),
        snapshot: now.clone(),
    }
}
