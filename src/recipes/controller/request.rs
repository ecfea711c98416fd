use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    recipes::cache::{CacheEntry, Snapshot},
    v3::{Compare, Key, Txn},
};

/// What a [`Controller`](super::Controller) asks for: that a key is made what it is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReconcileRequest<V> {
    /// The key.
    pub key: Bytes,
    /// Its present entry, or `None`: it was deleted.
    pub entry: Option<Arc<CacheEntry<V>>>,
    /// All entries, of the same revision.
    pub snapshot: Snapshot<V>,
    /// How often the key has failed since it last succeeded.
    pub failures: u32,
    /// The proof that this controller leads, where an [election](super::ControllerBuilder::elected) decides.
    pub fence: Option<Fence>,
}

/// The proof that a [`Controller`](super::Controller) was elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    key: Bytes,
    token: i64,
}

/// What is next for a key that has been reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconciled {
    /// Nothing, before it changes or a [resync](super::ControllerBuilder::resync_interval) is due.
    AwaitChange,
    /// It is reconciled again after this time, if it does not change before. Not for a deleted key for which nothing is left to be
    /// done: it would be kept in memory.
    RequeueAfter(Duration),
}

impl<V> ReconcileRequest<V> {
    /// A request for this key, without failures or an election. For your own tests.
    pub fn new(key: impl Into<Key>, snapshot: Snapshot<V>) -> Self {
        let key = key.into().into_bytes();
        Self {
            entry: snapshot.get_shared(&key),
            key,
            snapshot,
            failures: 0,
            fence: None,
        }
    }

    /// Returns the revision that wrote the entry; 0 if it was deleted. To write only if the key is still what was reconciled,
    /// compare: `Compare::mod_revision(&request.key).equal(request.mod_revision())`.
    pub fn mod_revision(&self) -> i64 {
        self.entry.as_ref().map_or(0, |it| it.kv.mod_revision)
    }

    /// Has a transaction applied only while this controller leads: adds [`Fence::compare`]. Without an election, it stays
    /// as it is.
    pub fn guard(&self, txn: Txn) -> Txn {
        match &self.fence {
            Some(fence) => txn.when(fence.compare()),
            None => txn,
        }
    }
}

impl Fence {
    /// The proof of a leader with this key, which the revision `token` created. For your own tests.
    pub fn new(key: impl Into<Key>, token: i64) -> Self {
        Self {
            key: key.into().into_bytes(),
            token,
        }
    }

    /// Returns the key that shows that this controller leads.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Returns a number that is greater than that of each earlier leader: see [`Held::fencing_token`].
    ///
    /// [`Held::fencing_token`]: crate::recipes::Held::fencing_token
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Returns a comparison that holds while this controller leads, for a transaction in the namespace of the election's session.
    pub fn compare(&self) -> Compare {
        Compare::create_revision(&self.key).equal(self.token)
    }
}
