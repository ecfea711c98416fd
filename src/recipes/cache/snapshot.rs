use std::{error::Error as StdError, fmt, sync::Arc};

use bytes::Bytes;

use super::map::{Keyed, Map};
use crate::v3::{Key, KeyValue};

/// All entries of a [`Cache`](super::Cache) at one revision. It never changes. A clone takes constant time.
pub struct Snapshot<V> {
    content: Arc<Content<V>>,
}

#[derive(Debug)]
pub(super) struct Content<V> {
    pub(super) revision: i64,
    pub(super) values: Map<CacheEntry<V>>,
    pub(super) invalid: Map<InvalidEntry>,
}

/// A key of a [`Cache`](super::Cache) with its decoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEntry<V> {
    /// The key, with its value as etcd has it.
    pub kv: KeyValue,
    /// The decoded value.
    pub value: V,
}

/// A key whose present value cannot be decoded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the value of {:?} at revision {} cannot be decoded: {error}", .kv.key, .kv.mod_revision)]
#[non_exhaustive]
pub struct InvalidEntry {
    /// The key, with its value as etcd has it.
    pub kv: KeyValue,
    /// The decoder's error.
    pub error: Arc<dyn StdError + Send + Sync>,
}

impl<V> Snapshot<V> {
    pub(super) fn of(content: Content<V>) -> Self {
        Self {
            content: Arc::new(content),
        }
    }

    /// A snapshot with these entries, all valid. For your own tests.
    ///
    /// ```
    /// use etcd_http::{recipes::{CacheEntry, Snapshot}, v3::KeyValue};
    ///
    /// let entry = CacheEntry::new(KeyValue::new("limits/rate", "7"), 7);
    /// let snapshot = Snapshot::new(3, [entry]);
    /// assert_eq!(snapshot.get("limits/rate").map(|entry| entry.value), Some(7));
    /// ```
    pub fn new(revision: i64, entries: impl IntoIterator<Item = CacheEntry<V>>) -> Self {
        let mut values = Map::default();
        for entry in entries {
            values.insert(Arc::new(entry));
        }
        Self::of(Content {
            revision,
            values,
            invalid: Map::default(),
        })
    }

    /// Returns the revision; 0 before the first listing.
    pub fn revision(&self) -> i64 {
        self.content.revision
    }

    /// Returns the entry of a key: with its last valid value, if the present one is [invalid](Self::invalid).
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&CacheEntry<V>> {
        self.content.values.get(key.as_ref()).map(|entry| &**entry)
    }

    /// Returns the entry of a key, for longer than the snapshot.
    pub fn get_shared(&self, key: impl AsRef<[u8]>) -> Option<Arc<CacheEntry<V>>> {
        self.content.values.get(key.as_ref()).cloned()
    }

    /// Returns all entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &CacheEntry<V>> {
        let entries = self.content.values.iter_from(b"");
        entries.map(|entry| &**entry)
    }

    /// Returns the entries from this key on, in order.
    pub fn iter_from(&self, start: impl AsRef<[u8]>) -> impl Iterator<Item = &CacheEntry<V>> {
        let entries = self.content.values.iter_from(start.as_ref());
        entries.map(|entry| &**entry)
    }

    /// Returns the entries whose keys have this prefix, in order.
    pub fn prefix(&self, prefix: impl Into<Key>) -> impl Iterator<Item = &CacheEntry<V>> {
        let prefix = prefix.into().into_bytes();
        let entries = self.content.values.iter_from(&prefix);
        let entries = entries.take_while(move |entry| entry.kv.key.starts_with(&prefix));
        entries.map(|entry| &**entry)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.content.values.len()
    }

    /// Returns whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the keys whose present value cannot be decoded, in order. A key that never had a valid value is here alone.
    pub fn invalid(&self) -> impl Iterator<Item = &InvalidEntry> {
        let invalid = self.content.invalid.iter_from(b"");
        invalid.map(|entry| &**entry)
    }

    /// Returns the present value of a key, if it cannot be decoded.
    pub fn get_invalid(&self, key: impl AsRef<[u8]>) -> Option<&InvalidEntry> {
        self.content.invalid.get(key.as_ref()).map(|it| &**it)
    }

    pub(super) fn content(&self) -> &Content<V> {
        &self.content
    }
}

impl<V> CacheEntry<V> {
    /// An entry. For your own tests.
    pub fn new(kv: KeyValue, value: V) -> Self {
        Self { kv, value }
    }
}

impl InvalidEntry {
    /// A key with a value that cannot be decoded, and why. For your own tests.
    pub fn new(kv: KeyValue, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let error = Arc::from(error.into());
        Self { kv, error }
    }
}

impl<V> Clone for Content<V> {
    fn clone(&self) -> Self {
        Self {
            revision: self.revision,
            values: self.values.clone(),
            invalid: self.invalid.clone(),
        }
    }
}

impl<V> Keyed for CacheEntry<V> {
    fn key(&self) -> &Bytes {
        &self.kv.key
    }
}

impl Keyed for InvalidEntry {
    fn key(&self) -> &Bytes {
        &self.kv.key
    }
}

impl<V> Clone for Snapshot<V> {
    fn clone(&self) -> Self {
        Self {
            content: Arc::clone(&self.content),
        }
    }
}

impl<V> fmt::Debug for Snapshot<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision())
            .field("entries", &self.len())
            .finish_non_exhaustive()
    }
}
