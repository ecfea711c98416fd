use std::time::Duration;

use etcd_transport::Transport;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    error::Result,
    v3::{KeyRange, MirrorReader, MirrorState, Namespace, Range},
};

/// Where a cache is from, whatever its transport.
pub(super) trait Source: Send + Sync {
    /// The copy and its cursor.
    fn state(&self) -> Option<MirrorState>;

    /// How long ago a server confirmed the copy.
    fn age(&self) -> Option<Duration>;

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;

    /// Returns the store's revision if the range is what it was at `revision`, when it had so many keys.
    fn unchanged(&self, revision: i64, keys: usize) -> BoxFuture<'_, Result<Option<i64>>>;
}

pub(super) struct Origin<T> {
    pub(super) namespace: Namespace<T>,
    pub(super) range: KeyRange,
    pub(super) reader: MirrorReader<T>,
}

impl<T: Transport> Source for Origin<T> {
    fn age(&self) -> Option<Duration> {
        self.reader.age()
    }

    fn state(&self) -> Option<MirrorState> {
        self.reader.state()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.namespace.client().transport().sleep(duration).boxed()
    }

    fn unchanged(&self, revision: i64, keys: usize) -> BoxFuture<'_, Result<Option<i64>>> {
        let read = Range::new(&self.range)
            .min_mod_revision(revision.saturating_add(1))
            .keys_only(true)
            .limit(1);
        async move {
            let read = self.namespace.send(read).await?;
            // A put shows in a key, a delete in the number of all keys.
            let is_same = read.kvs.is_empty() && usize::try_from(read.count) == Ok(keys);
            Ok(is_same.then_some(read.header.revision))
        }
        .boxed()
    }
}
