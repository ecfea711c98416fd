use std::{pin::pin, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{future::select, lock::OwnedMutexGuard};

use super::{LocalLock, Lost};
use crate::{
    error::Result,
    recipes::wait::settle,
    v3::{Compare, DeleteRange, KeyValue, LeaseId, Namespace, Range, Txn},
};

/// How long a request whose response was lost may still be applied, as far as has been observed: more than a server's own limit
/// of 7 s, and a client's of 10 s.
const DOUBT: Duration = Duration::from_secs(15);

/// A key of a session that is to be given up.
pub(in crate::recipes) struct Release {
    pub(in crate::recipes) key: Bytes,
    pub(in crate::recipes) lease: LeaseId,
    /// Resolves when the lease is lost, and the key with it.
    pub(in crate::recipes) lost: Lost,
    /// The revision that created the key, if it is known.
    pub(in crate::recipes) created: Option<i64>,
    /// What the key was put with, where the session may put the same key again.
    pub(in crate::recipes) value: Option<Bytes>,
    /// A put of the key may still be on its way.
    pub(in crate::recipes) in_doubt: bool,
    /// Only a late put is left to be deleted.
    pub(in crate::recipes) is_deleted: bool,
    /// Excludes other tasks of the session from the key.
    pub(in crate::recipes) lock: Option<LocalLock>,
    /// Held until the key is deleted.
    pub(in crate::recipes) guard: Option<OwnedMutexGuard<()>>,
}

impl Release {
    /// Deletes the key, and a late one.
    pub(super) async fn execute<T: Transport>(self, namespace: Namespace<T>) {
        let Self {
            key,
            lease,
            lost,
            created,
            value,
            in_doubt,
            is_deleted,
            lock,
            guard,
        } = self;
        let work = async {
            if !is_deleted {
                // A final failure leaves the key to the lease.
                let _ = match created {
                    Some(created) => delete(&namespace, &key, created).await,
                    None => delete_own(&namespace, &key, lease, value.as_ref()).await,
                };
            }
            drop(guard);
            if in_doubt {
                namespace.client().transport().sleep(DOUBT).await;
                // Another task that uses the key gives it up first.
                let _alone = match &lock {
                    Some(lock) => Some(lock.lock().await),
                    None => None,
                };
                let _ = delete_own(&namespace, &key, lease, value.as_ref()).await;
            }
        };
        select(pin!(work), lost).await;
    }
}

/// Deletes a key that was put with this lease, and with this value where one is given.
async fn delete_own<T: Transport>(
    namespace: &Namespace<T>,
    key: &Bytes,
    lease: LeaseId,
    value: Option<&Bytes>,
) -> Result<()> {
    let read = settle(namespace, &Range::new(key)).await?.output;
    let is_own = |kv: &&KeyValue| kv.lease == lease && value.is_none_or(|value| *value == kv.value);
    match read.first().filter(is_own) {
        Some(kv) => delete(namespace, key, kv.create_revision).await,
        None => Ok(()),
    }
}

/// Deletes a key if this revision created it.
pub(in crate::recipes) async fn delete<T: Transport>(
    namespace: &Namespace<T>,
    key: &Bytes,
    created: i64,
) -> Result<()> {
    // Of two requests that are applied, one finds the key.
    let delete = Txn::new()
        .when(Compare::create_revision(key).equal(created))
        .then(DeleteRange::new(key));
    settle(namespace, &delete).await.map(drop)
}
