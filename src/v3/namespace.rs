use std::fmt;

use bytes::{Bytes, BytesMut};
use etcd_transport::Transport;
use futures::{StreamExt, stream::BoxStream};

use super::{
    Changes, DeleteRange, DeleteRangeResponse, ExactlyOnce, ExactlyOnceResponse, KeyRange,
    KeyValue, LeaseStatus, Lock, LockResponse, Put, PutResponse, Range, RangeResponse, RangeStream,
    TimeToLive, Txn, TxnOp, TxnOpResponse, TxnResponse, Unlock, Watch, WatchSet, WatchSetItem,
    range::after_prefix,
};
use crate::{Client, Operation, Result, StreamOperation};

/// The keys with one prefix, as if there were no others: of [`V3::namespace`](super::V3::namespace).
///
/// It carries out the same operations as the client. Keys get the prefix on their way to etcd, in ranges, comparisons and
/// nested transactions too, and lose it on their way back; «all keys» are all that have it. What has no keys, such as a
/// grant, is the client's to do.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, Put, Range, Watch};
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let tenant = client.v3().namespace("tenants/7/");
/// tenant.send(Put::new("color", "blue")).await?; // tenants/7/color
/// let all = tenant.send(Range::new(KeyRange::all())).await?;
/// assert_eq!(all.kvs[0].key, "color");
/// let changes = tenant.open(Watch::new("color"));
/// # drop(changes);
/// # Ok(())
/// # }
/// ```
pub struct Namespace<T> {
    client: Client<T>,
    prefix: Prefix,
}

impl<T: Transport> Namespace<T> {
    pub(super) fn new(client: &Client<T>, prefix: impl Into<Vec<u8>>) -> Self {
        Self {
            client: client.clone(),
            prefix: Prefix(prefix.into().into()),
        }
    }

    /// What all its keys begin with.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix.0
    }

    /// The keys in it with this prefix, as if there were no others.
    pub fn namespace(&self, prefix: impl Into<Vec<u8>>) -> Self {
        Self {
            client: self.client.clone(),
            prefix: Prefix(self.prefix.key(&prefix.into().into())),
        }
    }

    /// Carries out one operation within it.
    ///
    /// # Errors
    /// As for [`Client::send`].
    pub async fn send<O: Namespaced>(&self, mut operation: O) -> Result<O::Output> {
        // An empty key is refused, and must not become the prefix.
        operation.encode()?;
        operation.enter(&self.prefix);
        let mut output = self.client.send(operation).await?;
        O::leave(&mut output, &self.prefix);
        Ok(output)
    }

    /// Starts an operation whose answers keep coming within it.
    pub fn open<O: NamespacedStream>(
        &self,
        mut operation: O,
    ) -> BoxStream<'static, Result<O::Item>> {
        operation.enter(&self.prefix);
        let prefix = self.prefix.clone();
        let items = self.client.open(operation);
        items
            .map(move |item| {
                item.map(|mut item| {
                    O::leave(&mut item, &prefix);
                    item
                })
            })
            .boxed()
    }
}

impl<T> Clone for Namespace<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            prefix: self.prefix.clone(),
        }
    }
}

impl<T> fmt::Debug for Namespace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.prefix.0).finish()
    }
}

/// An operation that has keys in it, and can be carried out within a [`Namespace`].
pub trait Namespaced: Operation {
    /// Puts its keys into the namespace.
    #[doc(hidden)]
    fn enter(&mut self, prefix: &Prefix);

    /// Takes the keys of its answer out of it.
    #[doc(hidden)]
    fn leave(output: &mut Self::Output, prefix: &Prefix);
}

/// An operation that has keys in it, whose answers keep coming, and that can be carried out within a [`Namespace`].
pub trait NamespacedStream: StreamOperation {
    /// Puts its keys into the namespace.
    #[doc(hidden)]
    fn enter(&mut self, prefix: &Prefix);

    /// Takes the keys of an answer out of it.
    #[doc(hidden)]
    fn leave(item: &mut Self::Item, prefix: &Prefix);
}

/// What the keys of a namespace begin with.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Prefix(Bytes);

impl Prefix {
    /// A key of the namespace, as etcd knows it. An empty one, which etcd refuses, stays empty.
    fn key(&self, key: &Bytes) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.0.len() + key.len());
        whole.extend_from_slice(&self.0);
        whole.extend_from_slice(key);
        whole.freeze()
    }

    fn range(&self, range: &KeyRange) -> KeyRange {
        let start = self.key(range.wire_key());
        let end = if range.is_key() {
            Bytes::new()
        } else if range.is_endless() {
            after_prefix(&self.0)
        } else {
            self.key(range.wire_end())
        };
        KeyRange::from_wire(start, end)
    }

    /// A key of etcd's, as the namespace knows it.
    fn strip(&self, key: &mut Bytes) {
        if key.starts_with(&self.0) {
            *key = key.slice(self.0.len()..);
        }
    }

    fn strip_all<'a>(&self, kvs: impl IntoIterator<Item = &'a mut KeyValue>) {
        kvs.into_iter().for_each(|kv| self.strip(&mut kv.key));
    }

    fn enter_txn(&self, txn: &mut Txn) {
        for compare in &mut txn.compare {
            compare.range = self.range(&compare.range);
        }
        for operation in txn.success.iter_mut().chain(&mut txn.failure) {
            match operation {
                TxnOp::Range(range) => range.enter(self),
                TxnOp::Put(put) => put.enter(self),
                TxnOp::DeleteRange(delete) => delete.enter(self),
                TxnOp::Txn(inner) => self.enter_txn(inner),
            }
        }
    }

    fn leave_responses(&self, responses: &mut [TxnOpResponse]) {
        for response in responses {
            match response {
                TxnOpResponse::Range(found) => Range::leave(found, self),
                TxnOpResponse::Put(put) => Put::leave(put, self),
                TxnOpResponse::DeleteRange(deleted) => DeleteRange::leave(deleted, self),
                TxnOpResponse::Txn(inner) => self.leave_responses(&mut inner.responses),
            }
        }
    }
}

impl Namespaced for Range {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(found: &mut RangeResponse, prefix: &Prefix) {
        prefix.strip_all(&mut found.kvs);
    }
}

impl Namespaced for Put {
    fn enter(&mut self, prefix: &Prefix) {
        self.key = prefix.key(&self.key);
    }

    fn leave(put: &mut PutResponse, prefix: &Prefix) {
        prefix.strip_all(&mut put.prev_kv);
    }
}

impl Namespaced for DeleteRange {
    fn enter(&mut self, prefix: &Prefix) {
        self.range = prefix.range(&self.range);
    }

    fn leave(deleted: &mut DeleteRangeResponse, prefix: &Prefix) {
        prefix.strip_all(&mut deleted.prev_kvs);
    }
}

impl Namespaced for Txn {
    fn enter(&mut self, prefix: &Prefix) {
        prefix.enter_txn(self);
    }

    fn leave(done: &mut TxnResponse, prefix: &Prefix) {
        prefix.leave_responses(&mut done.responses);
    }
}

impl Namespaced for ExactlyOnce {
    fn enter(&mut self, prefix: &Prefix) {
        self.marker = prefix.key(&self.marker);
        prefix.enter_txn(&mut self.txn);
    }

    fn leave(done: &mut ExactlyOnceResponse, prefix: &Prefix) {
        if let Some(responses) = &mut done.responses {
            prefix.leave_responses(responses);
        }
    }
}

impl Namespaced for Lock {
    fn enter(&mut self, prefix: &Prefix) {
        self.name = prefix.key(&self.name);
    }

    fn leave(held: &mut LockResponse, prefix: &Prefix) {
        prefix.strip(&mut held.key);
    }
}

impl Namespaced for Unlock {
    fn enter(&mut self, prefix: &Prefix) {
        self.key = prefix.key(&self.key);
    }

    fn leave(_: &mut Self::Output, _: &Prefix) {}
}

/// Of a lease's keys, those in the namespace.
impl Namespaced for TimeToLive {
    fn enter(&mut self, _: &Prefix) {}

    fn leave(lease: &mut Option<LeaseStatus>, prefix: &Prefix) {
        if let Some(lease) = lease {
            lease.keys.retain(|key| key.starts_with(&prefix.0));
            lease.keys.iter_mut().for_each(|key| prefix.strip(key));
        }
    }
}

impl NamespacedStream for Watch {
    fn enter(&mut self, prefix: &Prefix) {
        // An empty key is refused when the watch begins, and must not become the prefix.
        if !self.range.wire_key().is_empty() {
            self.range = prefix.range(&self.range);
        }
    }

    fn leave(changes: &mut Changes, prefix: &Prefix) {
        for event in &mut changes.events {
            prefix.strip(&mut event.kv.key);
            prefix.strip_all(&mut event.prev_kv);
        }
    }
}

impl NamespacedStream for WatchSet {
    fn enter(&mut self, prefix: &Prefix) {
        self.watches
            .iter_mut()
            .for_each(|watch| watch.enter(prefix));
    }

    fn leave(item: &mut WatchSetItem, prefix: &Prefix) {
        if let Ok(changes) = &mut item.changes {
            Watch::leave(changes, prefix);
        }
    }
}

impl NamespacedStream for RangeStream {
    fn enter(&mut self, prefix: &Prefix) {
        if !self.range.wire_key().is_empty() {
            self.range = prefix.range(&self.range);
        }
    }

    fn leave(found: &mut KeyValue, prefix: &Prefix) {
        prefix.strip(&mut found.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_within_the_namespace() {
        let prefix = Prefix(Bytes::from_static(b"n/"));
        for (range, key, end) in [
            (KeyRange::from("a"), &b"n/a"[..], &b""[..]),
            (KeyRange::prefix("ab"), b"n/ab", b"n/ac"),
            (KeyRange::prefix([0xff]), b"n/\xff", b"n0"),
            (KeyRange::starting_at("b"), b"n/b", b"n0"),
            (KeyRange::between("a", "c"), b"n/a", b"n/c"),
            (KeyRange::all(), b"n/\0", b"n0"),
        ] {
            let inside = prefix.range(&range);
            assert_eq!(
                (&inside.wire_key()[..], &inside.wire_end()[..]),
                (key, end),
                "{range:?}"
            );
            assert!(!inside.contains("n") && !inside.contains("n/") && !inside.contains("n0"));
        }
        let last = Prefix(Bytes::from_static(b"\xff"));
        assert!(last.range(&KeyRange::all()).is_endless());
        let none = Prefix(Bytes::new());
        assert_eq!(none.range(&KeyRange::all()), KeyRange::all());
    }

    #[test]
    fn what_comes_back_has_lost_the_prefix() {
        let prefix = Prefix(Bytes::from_static(b"n/"));
        let mut key = Bytes::from_static(b"n/n/a");
        prefix.strip(&mut key);
        assert_eq!(key, "n/a");
    }
}
