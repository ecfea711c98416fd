use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use etcd_transport::Transport;

use super::{Attempt, Isolation};
use crate::{
    recipes::error::RecipeError,
    v3::{
        Compare, DeleteRange, Key, KeyValue, LeaseId, Namespace, Put, Range, Txn, TxnOp,
        TxnResponse, Value,
    },
};

/// A try of a transaction of [`Stm`](super::Stm): what it reads, and what it will write. A clone is the same try.
pub struct Transaction<T> {
    namespace: Namespace<T>,
    isolation: Isolation,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The revision of all reads, at the serializable levels.
    base: Option<i64>,
    reads: BTreeMap<Bytes, Option<KeyValue>>,
    /// Read along with the last conflict, at `base`.
    prefetched: BTreeMap<Bytes, Option<KeyValue>>,
    writes: BTreeMap<Bytes, Write>,
    is_outdated: Option<Bytes>,
}

enum Write {
    Put(Bytes, LeaseId),
    Delete,
}

impl<T: Transport> Transaction<T> {
    pub(super) fn new(namespace: Namespace<T>, isolation: Isolation) -> Self {
        Self {
            namespace,
            isolation,
            state: Arc::default(),
        }
    }

    /// Returns the value of a key, or `None` if it does not exist: as this transaction wrote it, or as it was read.
    ///
    /// # Errors
    /// [`RecipeError::Client`]. Return it from the work.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Option<Bytes>, RecipeError> {
        let key = key.into().into_bytes();
        if let Some(write) = self.state().writes.get(&key) {
            return Ok(match write {
                Write::Put(value, _) => Some(value.clone()),
                Write::Delete => None,
            });
        }
        Ok(self.read(key).await?.map(|kv| kv.value))
    }

    /// Returns the value of a key as something that is parsed from text, such as a number.
    ///
    /// # Errors
    /// As for [`get`](Self::get); [`RecipeError::UnexpectedValue`].
    pub async fn get_parsed<V: FromStr>(
        &self,
        key: impl Into<Key>,
    ) -> Result<Option<V>, RecipeError> {
        let key = key.into().into_bytes();
        let Some(value) = self.get(&key).await? else {
            return Ok(None);
        };
        let text = str::from_utf8(&value).ok();
        let parsed = text.and_then(|text| text.parse().ok());
        parsed.map(Some).ok_or(RecipeError::UnexpectedValue {
            key,
            expected: std::any::type_name::<V>(),
        })
    }

    /// Returns the revision that last changed a key, as it was read; 0 if it did not exist.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn mod_revision(&self, key: impl Into<Key>) -> Result<i64, RecipeError> {
        let found = self.read(key.into().into_bytes()).await?;
        Ok(found.map_or(0, |kv| kv.mod_revision))
    }

    /// Writes a key when the transaction is applied.
    pub fn put(&self, key: impl Into<Key>, value: impl Into<Value>) {
        self.put_with_lease(key, value, LeaseId::NONE);
    }

    /// Writes a key with a lease when the transaction is applied.
    pub fn put_with_lease(
        &self,
        key: impl Into<Key>,
        value: impl Into<Value>,
        lease: impl Into<LeaseId>,
    ) {
        let write = Write::Put(value.into().into_bytes(), lease.into());
        self.state().writes.insert(key.into().into_bytes(), write);
    }

    /// Deletes a key when the transaction is applied.
    pub fn delete(&self, key: impl Into<Key>) {
        let key = key.into().into_bytes();
        self.state().writes.insert(key, Write::Delete);
    }

    async fn read(&self, key: Bytes) -> Result<Option<KeyValue>, RecipeError> {
        let mut range = Range::new(&key);
        {
            let mut state = self.state();
            if let Some(found) = state.reads.get(&key) {
                return Ok(found.clone());
            }
            if let Some(found) = state.prefetched.remove(&key) {
                state.reads.insert(key, found.clone());
                return Ok(found);
            }
            match state.base {
                Some(base) if self.is_snapshot() => range = range.revision(base),
                _ => range = range.serializable(!self.is_snapshot()),
            }
        }
        let read = Box::pin(self.namespace.send(range)).await;
        let mut state = self.state();
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                if error.is_compacted() {
                    state.is_outdated = Some(key);
                }
                return Err(error.into());
            }
        };
        state.base.get_or_insert(read.header.revision);
        let found = read.into_first();
        // Of two reads at a time, all see the first.
        Ok(state.reads.entry(key).or_insert(found).clone())
    }

    /// Ends a try, and returns what it is to write.
    pub(super) fn end(&self) -> Attempt {
        let mut state = self.state();
        let mut txn = Txn::new();
        for compare in state.compares(self.isolation) {
            txn = txn.when(compare);
        }
        for (key, write) in &state.writes {
            txn = txn.then(match write {
                Write::Put(value, lease) => TxnOp::from(Put::new(key, value.clone()).lease(*lease)),
                Write::Delete => DeleteRange::new(key).into(),
            });
        }
        for key in state.keys() {
            txn = txn.otherwise(Range::new(key));
        }
        Attempt {
            txn,
            is_outdated: state.is_outdated.take(),
        }
    }

    /// Begins another try, with what was read along with a conflict. Returns the keys that others had changed.
    pub(super) fn conflict(&mut self, response: Option<&TxnResponse>) -> Vec<Bytes> {
        let state = std::mem::take(&mut *self.state());
        let mut changed = Vec::new();
        let mut prefetched = BTreeMap::new();
        let mut base = None;
        if let Some(response) = response {
            base = Some(response.header.revision);
            for (index, key) in state.keys().into_iter().enumerate() {
                let Some(found) = response.range(index) else {
                    continue;
                };
                let now = found.first();
                let revision = |kv: Option<&KeyValue>| kv.map_or(0, |kv| kv.mod_revision);
                let is_changed = match state.reads.get(&key) {
                    Some(read) => revision(now) != revision(read.as_ref()),
                    None => state.base.is_some_and(|base| revision(now) > base),
                };
                if is_changed {
                    changed.push(key.clone());
                }
                prefetched.insert(key, now.cloned());
            }
        }
        // A clone that the work has kept is of the try that is over.
        let next = State {
            base,
            prefetched,
            ..State::default()
        };
        self.state = Arc::new(Mutex::new(next));
        changed
    }

    fn is_snapshot(&self) -> bool {
        self.isolation.is_snapshot()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// All keys that were read or are to be written, in order.
    fn keys(&self) -> Vec<Bytes> {
        let written = self
            .writes
            .keys()
            .filter(|key| !self.reads.contains_key(*key));
        let mut keys: Vec<_> = self.reads.keys().chain(written).cloned().collect();
        keys.sort_unstable();
        keys
    }

    fn compares(&self, isolation: Isolation) -> Vec<Compare> {
        let mut compares = Vec::new();
        if isolation == Isolation::ReadCommitted {
            return compares;
        }
        for (key, read) in &self.reads {
            let revision = read.as_ref().map_or(0, |kv| kv.mod_revision);
            compares.push(Compare::mod_revision(key).equal(revision));
        }
        // Without a read there is no revision since when others may not have written.
        if let (Isolation::SerializableSnapshot, Some(base)) = (isolation, self.base) {
            let written = self
                .writes
                .keys()
                .filter(|key| !self.reads.contains_key(*key));
            compares
                .extend(written.map(|key| Compare::mod_revision(key).less(base.saturating_add(1))));
        }
        compares
    }
}

impl Isolation {
    /// Whether all reads are of one revision.
    fn is_snapshot(self) -> bool {
        matches!(self, Self::SerializableSnapshot | Self::Serializable)
    }
}

impl<T> Clone for Transaction<T> {
    fn clone(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            isolation: self.isolation,
            state: Arc::clone(&self.state),
        }
    }
}

impl<T> fmt::Debug for Transaction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}
