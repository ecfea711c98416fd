//! The records of what a migration has written: keys of the target.

use std::collections::HashMap;

use bytes::Bytes;
use etcd_transport::Transport;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use crate::{
    recipes::error::RecipeError,
    v3::{KeyRange, KeyValue, Namespace, RangeStream},
};

/// Where the records of all migrations into a namespace are.
const PREFIX: &str = "__migration/";

/// What one transaction has written. Its key has the revision of the keys.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    put: Vec<String>,
    /// Put with a lease: it may have expired since.
    leased: Vec<String>,
    deleted: Vec<String>,
}

impl Record {
    pub(super) fn put(&mut self, key: &str, is_leased: bool) {
        let keys = if is_leased {
            &mut self.leased
        } else {
            &mut self.put
        };
        keys.push(key.to_owned());
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.deleted.push(key.to_owned());
    }

    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// What a migration of this tree did to each key last.
#[derive(Debug)]
pub(super) struct Journal {
    prefix: String,
    records: Vec<Bytes>,
    last: HashMap<String, Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    revision: i64,
    written: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Put,
    Leased,
    Deleted,
}

impl Journal {
    /// Reads the records of this tree.
    pub(super) async fn load<T: Transport>(
        target: &Namespace<T>,
        root: &str,
        attempts: Attempts,
    ) -> Result<Self, RecipeError> {
        // A path has no empty segment, so that no other tree's records begin like this.
        let prefix = format!("{PREFIX}{root}//");
        let transport = target.client().transport();
        let read = || {
            let range = RangeStream::new(KeyRange::prefix(&prefix));
            target.open(range).try_collect::<Vec<_>>()
        };
        let mut records = attempts.repeat(transport, read).await?;
        records.sort_by_key(|kv| kv.mod_revision);
        let mut journal = Self {
            prefix,
            records: Vec::new(),
            last: HashMap::new(),
        };
        for kv in records {
            let record = serde_json::from_slice(&kv.value);
            let record = record.map_err(|_| RecipeError::UnexpectedValue {
                key: kv.key.clone(),
                expected: "a record of a migration",
            })?;
            journal.add(record, kv.mod_revision);
            journal.records.push(kv.key);
        }
        Ok(journal)
    }

    /// Returns a key for a record that no other has.
    pub(super) fn new_key(&self) -> String {
        format!("{}{:032x}", self.prefix, fastrand::u128(..))
    }

    /// Adds what a transaction of this revision has written.
    pub(super) fn add(&mut self, record: Record, revision: i64) {
        for (keys, written) in [
            (record.put, Written::Put),
            (record.leased, Written::Leased),
            (record.deleted, Written::Deleted),
        ] {
            let keys = keys.into_iter();
            let last = Last { revision, written };
            self.last.extend(keys.map(|key| (key, last)));
        }
    }

    /// Whether the key is as a migration wrote it.
    pub(super) fn is_copy(&self, key: &str, kv: &KeyValue) -> bool {
        let last = self.last.get(key);
        last.is_some_and(|last| last.revision == kv.mod_revision)
    }

    /// Whether another client has deleted the key, if it does not exist: a migration wrote it, to stay.
    pub(super) fn was_to_stay(&self, key: &str) -> bool {
        let last = self.last.get(key);
        last.is_some_and(|last| last.written == Written::Put)
    }

    /// Returns the keys that a migration has written.
    pub(super) fn copies(&self) -> impl Iterator<Item = &str> {
        let copies = self.last.iter();
        let copies = copies.filter(|(_, last)| last.written != Written::Deleted);
        copies.map(|(key, _)| key.as_str())
    }

    /// Returns the keys of the records.
    pub(super) fn records(&self) -> &[Bytes] {
        &self.records
    }
}

/// Whether a key of the target's namespace is a record, of any tree.
pub(super) fn is_record(key: impl AsRef<[u8]>) -> bool {
    let key = key.as_ref();
    key.starts_with(PREFIX.as_bytes()) || PREFIX.trim_end_matches('/').as_bytes() == key
}
