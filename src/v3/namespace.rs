mod operations;

use std::fmt;

use bytes::{Bytes, BytesMut};
use etcd_transport::Transport;
use futures::{StreamExt, future, stream::BoxStream};

use crate::v3::{Key, KeyRange, KeyValue, range::after_prefix};
use crate::{
    client::Client,
    error::{Error, Outcome, Result, UnexpectedResponse},
    operation::{Operation, StreamOperation},
    pipeline::retry::RetryPolicy,
};

/// A view of the keys with one prefix, which it adds and removes. See [`V3::namespace`](super::V3::namespace).
///
/// A namespace sends the same operations as the client and has the same [short forms](#short-forms). Keys get the
/// prefix in requests, including ranges, comparisons and nested transactions, and so do the names of locks and
/// elections. In responses the prefix is removed. "All keys" means all keys with the prefix. Operations without keys,
/// such as granting a lease, are sent by the client.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, Put};
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let tenant = client.v3().namespace("tenants/7/");
/// tenant.send(Put::new("color", "blue").prev_kv(true)).await?; // tenants/7/color
/// let all = tenant.kv().range(KeyRange::all()).await?;
/// assert_eq!(all.kvs[0].key, "color");
/// let changes = tenant.watch("color");
/// # drop(changes);
/// # Ok(())
/// # }
/// ```
pub struct Namespace<T> {
    client: Client<T>,
    prefix: Prefix,
}

impl<T: Transport> Namespace<T> {
    pub(super) fn new(client: &Client<T>, prefix: impl Into<Key>) -> Self {
        Self {
            client: client.clone(),
            prefix: Prefix(prefix.into().into_bytes()),
        }
    }

    /// All keys of the store.
    pub(super) fn all(client: &Client<T>) -> Self {
        Self {
            client: client.clone(),
            prefix: Prefix::none(),
        }
    }

    /// Returns the prefix.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix.0
    }

    /// Returns the namespace of the keys in this one with this prefix.
    pub fn namespace(&self, prefix: impl Into<Key>) -> Self {
        Self {
            client: self.client.clone(),
            prefix: Prefix(self.prefix.join(&prefix.into().into_bytes())),
        }
    }

    /// Sends an operation in this namespace.
    ///
    /// # Errors
    /// As for [`Client::send`]; [`Error::Unexpected`] if a response has a key outside the namespace.
    pub async fn send<O: Namespaced>(&self, operation: O) -> Result<O::Output> {
        self.keys().send(operation).await
    }

    /// Opens a stream in this namespace.
    pub fn open<O: NamespacedStream>(&self, operation: O) -> BoxStream<'static, Result<O::Item>> {
        self.keys().open(operation)
    }

    /// Returns the client that sends the operations of this namespace. Its own operations have no prefix.
    pub fn client(&self) -> &Client<T> {
        &self.client
    }

    /// The same keys, with this policy of retries.
    pub(super) fn with_retry(&self, policy: RetryPolicy) -> Self {
        Self {
            client: self.client.with_retry(policy),
            prefix: self.prefix.clone(),
        }
    }

    /// The same keys, by a client whose calls are sent while it is being closed.
    pub(crate) fn privileged(&self) -> Self {
        Self {
            client: self.client.privileged(),
            prefix: self.prefix.clone(),
        }
    }

    pub(super) fn keys(&self) -> Keys<'_, T> {
        Keys {
            client: &self.client,
            prefix: &self.prefix,
        }
    }
}

impl<T: Transport> From<&Namespace<T>> for Namespace<T> {
    fn from(namespace: &Namespace<T>) -> Self {
        namespace.clone()
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

/// A borrowed namespace, possibly of all keys: it sends the short forms.
#[derive(Debug)]
pub(super) struct Keys<'a, T> {
    client: &'a Client<T>,
    prefix: &'a Prefix,
}

/// All keys.
impl<'a, T> From<&'a Client<T>> for Keys<'a, T> {
    fn from(client: &'a Client<T>) -> Self {
        static ALL: Prefix = Prefix::none();
        Self {
            client,
            prefix: &ALL,
        }
    }
}

impl<'a, T: Transport> Keys<'a, T> {
    pub(super) fn client(self) -> &'a Client<T> {
        self.client
    }

    pub(super) async fn send<O: Namespaced>(self, mut operation: O) -> Result<O::Output> {
        if self.prefix.is_none() {
            return self.client.send(operation).await;
        }
        // An error shows the keys as they were given.
        operation.check()?;
        operation.enter(self.prefix);
        let mut output = self.client.send(operation).await?;
        let left = O::leave(&mut output, self.prefix);
        left.map_err(|outside| outside.into_error(self.client, O::NAME))?;
        Ok(output)
    }

    pub(super) fn open<O: NamespacedStream>(
        self,
        mut operation: O,
    ) -> BoxStream<'static, Result<O::Item>> {
        if self.prefix.is_none() {
            return self.client.open(operation);
        }
        operation.enter(self.prefix);
        let (client, prefix) = (self.client.clone(), self.prefix.clone());
        let items = self.client.open(operation);
        // The stream ends after an error.
        items
            .scan(false, move |is_over, item| {
                let item = (!*is_over).then(|| {
                    item.and_then(|mut item| match O::leave(&mut item, &prefix) {
                        Ok(()) => Ok(item),
                        Err(outside) => Err(outside.into_error(&client, O::NAME)),
                    })
                });
                *is_over = !matches!(item, Some(Ok(_)));
                future::ready(item)
            })
            .boxed()
    }
}

impl<T> Clone for Keys<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Keys<'_, T> {}

/// An operation with keys, which can be sent in a [`Namespace`].
pub trait Namespaced: Operation {
    /// Checks whether etcd could execute it.
    #[doc(hidden)]
    fn check(&self) -> Result<()>;

    /// Adds the prefix to the keys of the operation.
    #[doc(hidden)]
    fn enter(&mut self, prefix: &Prefix);

    /// Removes the prefix from the keys of the response.
    #[doc(hidden)]
    fn leave(output: &mut Self::Output, prefix: &Prefix) -> Result<(), Outside>;
}

/// A stream operation with keys, which can be opened in a [`Namespace`].
pub trait NamespacedStream: StreamOperation {
    /// Adds the prefix to the keys of the operation.
    #[doc(hidden)]
    fn enter(&mut self, prefix: &Prefix);

    /// Removes the prefix from the keys of an item.
    #[doc(hidden)]
    fn leave(item: &mut Self::Item, prefix: &Prefix) -> Result<(), Outside>;
}

/// A response has a key outside the namespace, which must not be shown.
#[doc(hidden)]
#[derive(Debug)]
pub struct Outside;

impl Outside {
    fn into_error<T: Transport>(self, client: &Client<T>, operation: &'static str) -> Error {
        let context = client.pipeline().next_context(operation);
        let what = "the response has a key outside the namespace";
        Error::Unexpected(UnexpectedResponse::of(context, what, Outcome::Unknown))
    }
}

/// The prefix of a namespace.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Prefix(Bytes);

impl Prefix {
    const fn none() -> Self {
        Self(Bytes::new())
    }

    fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a key with the prefix. An empty key, which etcd rejects, stays empty.
    fn key(&self, key: &Bytes) -> Bytes {
        if key.is_empty() {
            return Bytes::new();
        }
        self.join(key)
    }

    fn join(&self, rest: &Bytes) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.0.len() + rest.len());
        whole.extend_from_slice(&self.0);
        whole.extend_from_slice(rest);
        whole.freeze()
    }

    fn range(&self, range: &KeyRange) -> KeyRange {
        if range.is_refused() {
            return range.clone();
        }
        let start = self.key(range.wire_key());
        let end = if range.is_endless() {
            after_prefix(&self.0)
        } else {
            self.key(range.wire_end())
        };
        KeyRange::from_wire(start, end)
    }

    fn has(&self, key: &Bytes) -> bool {
        key.starts_with(&self.0)
    }

    /// Removes the prefix from a key.
    fn strip(&self, key: &mut Bytes) -> Result<(), Outside> {
        if !self.has(key) {
            return Err(Outside);
        }
        *key = key.slice(self.0.len()..);
        Ok(())
    }

    fn strip_all<'a>(
        &self,
        kvs: impl IntoIterator<Item = &'a mut KeyValue>,
    ) -> Result<(), Outside> {
        kvs.into_iter().try_for_each(|kv| self.strip(&mut kv.key))
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
    fn what_comes_back_has_lost_the_prefix_and_nothing_else_comes_back() {
        let prefix = Prefix(Bytes::from_static(b"n/"));
        let mut key = Bytes::from_static(b"n/n/a");
        prefix.strip(&mut key).unwrap();
        assert_eq!(key, "n/a");
        for outside in ["n", "m/a", "nn/a", ""] {
            assert!(prefix.strip(&mut outside.into()).is_err(), "{outside}");
        }
    }

    #[test]
    fn an_empty_key_does_not_become_the_prefix() {
        let prefix = Prefix(Bytes::from_static(b"n/"));
        assert_eq!(prefix.key(&Bytes::new()), "");
        let range = prefix.range(&KeyRange::from(""));
        assert!(range.check("test").is_err());
    }
}
