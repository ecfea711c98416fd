use std::sync::Arc;

use bytes::Bytes;

use super::{Change, KeyRange, Mvcc, Revision};
use crate::v3::{
    error::V3Error,
    lease::Leases,
    message::kv::{
        DeleteRangeRequest, DeleteRangeResponse, KeyValue, PutRequest, PutResponse, RangeRequest,
        RangeResponse, ResponseHeader, SharedKeyValue,
    },
};

/// Changes that become one revision.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(super) store: &'a mut Mvcc,
    pub(super) leases: &'a mut Leases,
    /// How many changes were made.
    changes: i64,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(store: &'a mut Mvcc, leases: &'a mut Leases) -> Self {
        let changes = 0;
        Self {
            store,
            leases,
            changes,
        }
    }

    /// Ends the batch; returns the revision after it.
    pub(crate) fn commit(self) -> i64 {
        if self.changes > 0 {
            self.store.revision += 1;
        }
        self.store.revision
    }

    /// The revision that reads see as the current one.
    pub(super) fn now(&self) -> i64 {
        self.store.revision + i64::from(self.changes > 0)
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, V3Error> {
        self.store.range(request, self.now())
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutResponse, V3Error> {
        if request.lease != 0 && !self.leases.contains(request.lease) {
            return Err(V3Error::LEASE_NOT_FOUND);
        }
        let old = self.store.get(&request.key).cloned();
        let (mut value, mut lease) = (request.value.clone(), request.lease);
        if request.ignore_value || request.ignore_lease {
            let old = old.as_ref().ok_or(V3Error::KEY_NOT_FOUND)?;
            if request.ignore_value {
                value = old.value.clone();
            }
            if request.ignore_lease {
                lease = old.lease;
            }
        }
        let revision = self.next();
        // All versions share one key.
        let key = old.as_ref().map_or(&request.key, |old| &old.key);
        let kv = Arc::new(KeyValue {
            key: key.clone(),
            create_revision: old
                .as_ref()
                .map_or(revision.main, |old| old.create_revision),
            mod_revision: revision.main,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value,
            lease,
        });
        let change = Change {
            kv,
            is_delete: false,
        };
        self.store.record(revision, change);
        if let Some(old) = old.as_ref().filter(|old| old.lease != 0) {
            self.leases.detach(old.lease, &old.key);
        }
        if lease != 0 {
            self.leases.attach(lease, request.key.clone());
        }
        Ok(PutResponse {
            header: Some(ResponseHeader::of_revision(revision.main)),
            prev_kv: old.filter(|_| request.prev_kv).map(SharedKeyValue),
        })
    }

    pub(crate) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let keys = KeyRange {
            key: &request.key,
            end: &request.range_end,
        };
        let found = self.store.find_now(keys, None);
        for kv in &found.kvs {
            self.delete(kv);
        }
        let deleted = i64::try_from(found.count).unwrap_or(i64::MAX);
        let prev_kvs = if request.prev_kv {
            found.kvs
        } else {
            Vec::new()
        };
        DeleteRangeResponse {
            header: Some(ResponseHeader::of_revision(self.now())),
            deleted,
            prev_kvs: prev_kvs.into_iter().map(SharedKeyValue).collect(),
        }
    }

    /// Deletes a key if it is there.
    pub(crate) fn delete_key(&mut self, key: &Bytes) {
        if let Some(kv) = self.store.get(key).cloned() {
            self.delete(&kv);
        }
    }

    fn delete(&mut self, kv: &KeyValue) {
        let revision = self.next();
        let tombstone = KeyValue {
            key: kv.key.clone(),
            mod_revision: revision.main,
            ..KeyValue::default()
        };
        let change = Change {
            kv: Arc::new(tombstone),
            is_delete: true,
        };
        self.store.record(revision, change);
        if kv.lease != 0 {
            self.leases.detach(kv.lease, &kv.key);
        }
    }

    /// The revision of the next change.
    fn next(&mut self) -> Revision {
        let sub = self.changes;
        self.changes += 1;
        let main = self.store.revision + 1;
        Revision { main, sub }
    }
}
