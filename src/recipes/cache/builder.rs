use std::{error::Error as StdError, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::{FutureExt, channel::mpsc};
use serde::de::DeserializeOwned;

use super::{
    Cache, CacheDriver, Inner,
    driver::{State, Work},
    snapshot::Snapshot,
    source::Origin,
    subscription::Subscriptions,
    update::Decode,
};
use crate::{
    recipes::published::Published,
    v3::{KeyRange, KeyValue, Mirror, Namespace},
};

/// The settings of a [`Cache`].
#[derive(Debug)]
#[must_use]
pub struct CacheBuilder<T> {
    namespace: Namespace<T>,
    range: KeyRange,
    mirror: Mirror<T>,
    waiting: usize,
}

impl<T: Transport> CacheBuilder<T> {
    /// The settings of a cache of these keys, in `client.v3()` or a [`Namespace`].
    pub fn new(within: impl Into<Namespace<T>>, range: impl Into<KeyRange>) -> Self {
        let (namespace, range) = (within.into(), range.into());
        Self {
            mirror: namespace.mirror(&range),
            namespace,
            range,
            waiting: 1024,
        }
    }

    /// Sets how many keys each page of a listing has. See [`RangeStream::page`](crate::v3::RangeStream::page).
    pub fn page(mut self, keys: u32) -> Self {
        self.mirror = self.mirror.page(keys);
        self
    }

    /// Sets how long the server may be silent before it is probed. See [`Watch::silence_limit`](crate::v3::Watch::silence_limit).
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.mirror = self.mirror.silence_limit(limit);
        self
    }

    /// Sets how many updates wait for a [stream of changes](Cache::changes) that is not polled, before it gets the differences
    /// instead. Defaults to 1024.
    pub fn waiting_updates(mut self, updates: usize) -> Self {
        self.waiting = updates;
        self
    }

    /// Returns the cache, with a decoder of its values, and its driver. Nothing is sent yet.
    pub fn decode<V, E>(
        self,
        decode: impl Fn(&KeyValue) -> Result<V, E> + Send + Sync + 'static,
    ) -> (Cache<V>, CacheDriver)
    where
        V: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let decode: Decode<V> = Box::new(move |kv| decode(kv).map_err(Into::into));
        let (published, publisher) = Published::new(State {
            number: 0,
            snapshot: Snapshot::new(0, []),
            keys: 0,
            failure: None,
        });
        let (advances, unchanged) = mpsc::unbounded();
        let subscriptions = Arc::new(Subscriptions::new(self.waiting));
        let source = Origin {
            namespace: self.namespace.clone(),
            range: self.range,
            reader: self.mirror.reader(),
        };
        let work = Work {
            namespace: self.namespace,
            mirror: self.mirror,
            decode,
            publisher,
            subscriptions: Arc::clone(&subscriptions),
            unchanged,
        };
        let inner = Inner {
            published,
            subscriptions,
            advances,
            source: Box::new(source),
        };
        let inner = Arc::new(inner);
        (Cache { inner }, CacheDriver(work.execute().boxed()))
    }

    /// Returns the cache, with values that are JSON, and its driver. Nothing is sent yet.
    pub fn json<V: DeserializeOwned + Send + Sync + 'static>(self) -> (Cache<V>, CacheDriver) {
        self.decode(|kv| serde_json::from_slice(&kv.value))
    }
}
