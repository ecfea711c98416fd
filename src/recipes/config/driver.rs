use std::{pin::pin, str, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt,
    channel::oneshot,
    future::{BoxFuture, join, select},
    stream::BoxStream,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    InvalidConfig,
    document::{Reason, assemble},
};
use crate::recipes::{
    cache::{CacheDriver, CacheUpdate, Snapshot},
    published::Publisher,
    traits::driver,
};

/// A future that reads the keys of a [`Config`](super::Config) and follows them: spawn it on any runtime, or poll it beside the
/// work.
///
/// It resolves when the last handle and the last stream of the settings are dropped, or if the first listing is refused.
#[must_use = "the keys are read while the driver is polled"]
pub struct ConfigDriver(pub(super) BoxFuture<'static, ()>);

driver!(ConfigDriver);

/// What is published.
#[derive(Debug)]
pub(super) struct State<V> {
    /// That of the keys; 0 before they have been read.
    pub(super) revision: i64,
    pub(super) settings: Arc<V>,
    pub(super) rejected: Option<Arc<InvalidConfig>>,
}

/// Refuses settings that their types allow.
type Check<V> = Box<dyn Fn(&V) -> Result<(), Reason> + Send + Sync>;

/// What the driver works with.
pub(super) struct Work<V> {
    /// The prefix, with its slash.
    pub(super) prefix: Bytes,
    pub(super) defaults: Arc<V>,
    pub(super) check: Check<V>,
    pub(super) updates: BoxStream<'static, CacheUpdate<Bytes>>,
    pub(super) publisher: Publisher<State<V>>,
}

/// Follows the keys until the last handle is dropped.
pub(super) async fn drive<V: Serialize + DeserializeOwned>(
    work: Work<V>,
    following: CacheDriver,
    ending: oneshot::Receiver<()>,
) {
    // The cache ends when its updates are dropped.
    let evaluate = async { drop(select(pin!(work.execute()), ending).await) };
    join(following, evaluate).await;
}

impl<V: Serialize + DeserializeOwned> Work<V> {
    async fn execute(mut self) {
        while let Some(update) = self.updates.next().await {
            let before = self.publisher.read();
            let snapshot = &update.snapshot;
            let (settings, rejected) = match self.read(snapshot) {
                // Other keys have changed, or a value is written in another way.
                Ok(new) if is_same(&new, &before.value.settings) => {
                    (Arc::clone(&before.value.settings), None)
                }
                Ok(new) => (Arc::new(new), None),
                Err(rejected) => (Arc::clone(&before.value.settings), Some(Arc::new(rejected))),
            };
            let state = State {
                revision: snapshot.revision(),
                settings,
                rejected,
            };
            self.publisher.publish(state, || {});
        }
    }

    fn read(&self, snapshot: &Snapshot<Bytes>) -> Result<V, InvalidConfig> {
        let revision = snapshot.revision();
        let invalid = |key: Option<&Bytes>, reason: Reason| {
            InvalidConfig::new(revision, key.cloned(), reason)
        };
        let mut fields = Vec::with_capacity(snapshot.len());
        for entry in snapshot.iter() {
            let key = &entry.kv.key;
            let path = key.strip_prefix(&self.prefix[..]).unwrap_or_default();
            let path = str::from_utf8(path).map_err(|error| invalid(Some(key), error.into()))?;
            fields.push((key, path, &entry.value[..]));
        }
        let all = fields.iter().map(|(_, path, value)| (*path, *value));
        let settings = assemble(&*self.defaults, all).map_err(|error| {
            // A value that does not fit among the defaults is the reason.
            let alone = fields.iter().find_map(|(key, path, value)| {
                let result = assemble(&*self.defaults, [(*path, *value)]);
                Some((*key, result.err()?))
            });
            match alone {
                Some((key, error)) => invalid(Some(key), error),
                None => invalid(None, error),
            }
        })?;
        (self.check)(&settings).map_err(|error| invalid(None, error))?;
        Ok(settings)
    }
}

fn is_same<V: Serialize>(new: &V, old: &V) -> bool {
    match (serde_json::to_value(new), serde_json::to_value(old)) {
        (Ok(new), Ok(old)) => new == old,
        _ => false,
    }
}
