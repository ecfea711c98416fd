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
    update::{Decode, decoded},
};
use crate::{
    recipes::published::Published,
    v3::{KeyRange, KeyValue, Mirror, MirrorState, Namespace},
};

/// The settings of a [`Cache`].
#[derive(Debug)]
#[must_use]
pub struct CacheBuilder<T> {
    namespace: Namespace<T>,
    range: KeyRange,
    mirror: Mirror<T>,
    waiting: usize,
    state: Option<MirrorState>,
    fails_on_gap: bool,
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
            state: None,
            fails_on_gap: false,
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

    /// Goes on from the stored [state](Cache::state) of a cache or a mirror of the same range and namespace: the entries are there
    /// at once, without a server, and only what has changed since is read. [`Cache::last_heard`] tells when a server has confirmed
    /// them.
    ///
    /// If the history after the state was compacted, the store was restored, or the cluster is another one, the keys are listed:
    /// the update has the differences to the state, and says [why](super::CacheUpdate::gap). The driver ends with a state
    /// of other keys, and [`Cache::failure`] says so. The last valid value of a key whose present one cannot be decoded is not
    /// stored.
    pub fn resume(mut self, state: MirrorState) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets whether the driver ends where changes are lost, instead of listing the keys: [`Cache::failure`] tells why, an error
    /// that is [`is_compacted`](crate::Error::is_compacted) or [`is_cluster_changed`](crate::Error::is_cluster_changed).
    /// Defaults to `false`.
    pub fn fail_on_gap(mut self, fail: bool) -> Self {
        self.fails_on_gap = fail;
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
        let mut mirror = self.mirror.fail_on_gap(self.fails_on_gap);
        if let Some(state) = self.state {
            mirror = mirror.resume(state);
        }
        // What the mirror has taken over, which is nothing of other keys.
        let state = mirror.state();
        let mirrored = match &state {
            Some(state) => decoded(state, &decode),
            None => Snapshot::new(0, []),
        };
        let (published, publisher) = Published::new(State {
            number: state.is_some().into(),
            snapshot: mirrored.clone(),
            keys: mirror.len(),
            failure: None,
        });
        let (advances, unchanged) = mpsc::unbounded();
        let subscriptions = Arc::new(Subscriptions::new(self.waiting));
        let source = Origin {
            namespace: self.namespace.clone(),
            range: self.range,
            reader: mirror.reader(),
        };
        let work = Work {
            namespace: self.namespace,
            mirror,
            fails_on_gap: self.fails_on_gap,
            decode,
            publisher,
            mirrored,
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
