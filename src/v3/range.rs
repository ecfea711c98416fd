use std::{borrow::Cow, fmt, ops::Bound};

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    v3::key::Key,
};

/// A single zero byte: as the end of a range "no end", as its start the first possible key.
const ZERO: &[u8] = b"\0";

/// A range of keys: a single key, a prefix, all from a key on, all between two keys, or all. Every type that converts
/// into a [`Key`] converts into a range.
///
/// Keys are compared byte by byte.
///
/// ```
/// use etcd_http::v3::KeyRange;
///
/// let one = KeyRange::from("app/config");
/// assert!(one.contains("app/config") && !one.contains("app/config/db"));
/// assert!(KeyRange::prefix("app/").contains("app/config"));
/// assert!(KeyRange::starting_at("b").contains("c"));
/// assert!(!KeyRange::between("a", "c").contains("c"));
/// assert!(KeyRange::all().contains([0xff]));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    /// Empty for a single key, `ZERO` for no end, otherwise the first key after the range.
    end: Bytes,
    origin: Origin,
}

/// What a range was made from, where that matters to whether it is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Any,
    /// An end that etcd reads otherwise. The range has no start then.
    BadEnd,
    /// An empty prefix.
    EmptyPrefix,
}

impl KeyRange {
    /// A single key.
    pub fn key(key: impl Into<Key>) -> Self {
        Self::from_wire(key.into().into_bytes(), Bytes::new())
    }

    /// All keys with this prefix. An empty prefix means all keys; a delete of it is refused, as a prefix that was computed may be
    /// empty by mistake: to delete all keys, use [`all`](Self::all).
    pub fn prefix(prefix: impl Into<Key>) -> Self {
        let prefix = prefix.into().into_bytes();
        let end = after_prefix(&prefix);
        let origin = if prefix.is_empty() {
            Origin::EmptyPrefix
        } else {
            Origin::Any
        };
        Self {
            origin,
            ..Self::from_wire(or_first(prefix), end)
        }
    }

    /// This key and all keys after it.
    #[doc(alias = "from_key")]
    pub fn starting_at(key: impl Into<Key>) -> Self {
        let start = or_first(key.into().into_bytes());
        Self::from_wire(start, Bytes::from_static(ZERO))
    }

    /// All keys from `start` up to, but not including, `end`.
    ///
    /// An end that is empty or a single zero byte, which no key is less than, is refused when the range is used: as a
    /// `range_end`, etcd reads them as "a single key" and "no end". See [`starting_at`](Self::starting_at) and
    /// [`from_raw`](Self::from_raw).
    pub fn between(start: impl Into<Key>, end: impl Into<Key>) -> Self {
        let end = end.into().into_bytes();
        if end.is_empty() || end == ZERO {
            return Self {
                start: Bytes::new(),
                end: Bytes::new(),
                origin: Origin::BadEnd,
            };
        }
        Self::from_wire(or_first(start.into().into_bytes()), end)
    }

    /// A `key` and a `range_end` as etcd's own requests have them: an empty end means a single key, one zero byte all keys
    /// from `key` on, anything else the first key after the range.
    ///
    /// ```
    /// use etcd_http::v3::KeyRange;
    ///
    /// assert_eq!(KeyRange::from_raw("a", ""), KeyRange::key("a"));
    /// assert_eq!(KeyRange::from_raw("a", "\0"), KeyRange::starting_at("a"));
    /// assert_eq!(KeyRange::from_raw("a", "c"), KeyRange::between("a", "c"));
    /// assert_eq!(KeyRange::from_raw("\0", "\0"), KeyRange::all());
    /// ```
    pub fn from_raw(key: impl Into<Key>, range_end: impl Into<Key>) -> Self {
        Self::from_wire(key.into().into_bytes(), range_end.into().into_bytes())
    }

    /// All keys.
    pub fn all() -> Self {
        Self::starting_at("")
    }

    /// Whether the range contains this key.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        let key = key.as_ref();
        match self.end_bound() {
            Bound::Included(end) => key == end,
            Bound::Excluded(end) => *self.start <= *key && key < end,
            Bound::Unbounded => *self.start <= *key,
        }
    }

    /// Returns the first key that could be in the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Returns where the range ends: with a key, before a key, or not at all.
    pub fn end_bound(&self) -> Bound<&[u8]> {
        match &*self.end {
            b"" => Bound::Included(&self.start),
            ZERO => Bound::Unbounded,
            end => Bound::Excluded(end),
        }
    }

    /// Whether the range is a single key.
    pub fn is_key(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether it is refused for its end, whatever prefix it gets.
    pub(crate) fn is_refused(&self) -> bool {
        self.origin == Origin::BadEnd
    }

    /// Whether the range has no end.
    pub(crate) fn is_endless(&self) -> bool {
        *self.end == *ZERO
    }

    /// The `key` of a request.
    pub(crate) fn wire_key(&self) -> &Bytes {
        &self.start
    }

    /// The `range_end` of a request.
    pub(crate) fn wire_end(&self) -> &Bytes {
        &self.end
    }

    /// The range of a `key` and a `range_end` as etcd has them.
    pub(crate) fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        Self {
            start: key,
            end: range_end,
            origin: Origin::Any,
        }
    }

    /// Rejects a range with an end that etcd reads otherwise, or that starts with an empty key, which etcd does not have.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        if self.is_refused() {
            let reason = "the range ends with an empty key or a single zero byte, which etcd reads as \"a single key\" \
                          and as \"no end\": for all keys from a key on, use `KeyRange::starting_at`; for a `key` and a \
                          `range_end` as etcd has them, `KeyRange::from_raw`";
            return Err(Error::invalid(operation, reason));
        }
        if self.start.is_empty() {
            let reason = "the key is empty: for all keys, use `KeyRange::all`";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    /// Rejects what [`check`](Self::check) does, and an empty prefix, for what deletes the keys of a range.
    pub(crate) fn check_delete(&self, operation: &'static str) -> Result<()> {
        self.check(operation)?;
        if self.origin == Origin::EmptyPrefix {
            let reason = "the prefix is empty, so this would delete every key: if that is meant, use `KeyRange::all()`";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRange")
            .field("start", &self.start)
            .field("end", &self.end)
            .finish()
    }
}

/// Rejects an empty key, which etcd does not have.
pub(crate) fn check_key(operation: &'static str, key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid(
            operation,
            "the key is empty, which no key of etcd is",
        ));
    }
    Ok(())
}

/// Returns the first key after all keys with this prefix.
pub(super) fn after_prefix(prefix: &[u8]) -> Bytes {
    // 0xff has no successor: the first key after `a\xff…` is the one after `a…`.
    match prefix.iter().rposition(|&byte| byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => Bytes::from_static(ZERO),
    }
}

/// Replaces an empty start, an error to etcd, with the first possible key.
fn or_first(start: Bytes) -> Bytes {
    if start.is_empty() {
        Bytes::from_static(ZERO)
    } else {
        start
    }
}

macro_rules! from_key {
    ($($type:ty),+ $(,)?) => {$(
        impl From<$type> for KeyRange {
            fn from(key: $type) -> Self {
                Self::key(key)
            }
        }
    )+};
}

// As for `Key`. Not for any `K: Into<Key>`: a range is made from a range, too.
from_key!(
    Key,
    &Key,
    Bytes,
    &Bytes,
    String,
    &String,
    &str,
    Cow<'_, str>
);
from_key!(Vec<u8>, &Vec<u8>, &[u8], Box<[u8]>, Cow<'_, [u8]>);

impl<const N: usize> From<&[u8; N]> for KeyRange {
    fn from(key: &[u8; N]) -> Self {
        Self::key(key)
    }
}

impl<const N: usize> From<[u8; N]> for KeyRange {
    fn from(key: [u8; N]) -> Self {
        Self::key(key)
    }
}

impl From<&KeyRange> for KeyRange {
    fn from(range: &KeyRange) -> Self {
        range.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(range: &KeyRange) -> (&[u8], &[u8]) {
        (range.wire_key(), range.wire_end())
    }

    #[test]
    fn v3_31_ranges_are_written_as_etcd_reads_them() {
        for (range, key, end) in [
            (KeyRange::from("a"), &b"a"[..], &b""[..]),
            (KeyRange::from([0u8]), b"\0", b""),
            (KeyRange::prefix("ab"), b"ab", b"ac"),
            (KeyRange::prefix([b'a', 0xff]), b"a\xff", b"b"),
            (KeyRange::prefix([b'a', 0xff, 0xff]), b"a\xff\xff", b"b"),
            (KeyRange::prefix([0xff, 0xff]), b"\xff\xff", b"\0"),
            (KeyRange::prefix([0]), b"\0", b"\x01"),
            (KeyRange::prefix(""), b"\0", b"\0"),
            (KeyRange::starting_at("b"), b"b", b"\0"),
            (KeyRange::starting_at(""), b"\0", b"\0"),
            (KeyRange::between("a", "c"), b"a", b"c"),
            (KeyRange::between("", "c"), b"\0", b"c"),
            (KeyRange::all(), b"\0", b"\0"),
        ] {
            assert_eq!(wire(&range), (key, end), "{range:?}");
        }
    }

    #[test]
    fn an_end_that_means_something_else_to_etcd_is_refused() {
        for end in ["", "\0"] {
            let range = KeyRange::between("a", end);
            assert!(!range.contains("a") && !range.contains("\0") && !range.contains("b"));
            let error = range.check("test").unwrap_err();
            assert_eq!(
                error.to_string(),
                "test: the range ends with an empty key or a single zero byte, which etcd reads as \"a single key\" and \
                 as \"no end\": for all keys from a key on, use `KeyRange::starting_at`; for a `key` and a `range_end` \
                 as etcd has them, `KeyRange::from_raw`"
            );
            KeyRange::from_raw("a", end).check("test").unwrap();
        }
    }

    #[test]
    fn a_range_contains_what_etcd_would_find() {
        let keys: [&[u8]; 8] = [
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"ab",
            b"a\xff",
            b"b",
            b"\xff\xff",
        ];
        let found = |range: KeyRange| {
            let found = keys.iter().filter(|key| range.contains(key));
            found.copied().collect::<Vec<_>>()
        };
        assert_eq!(found("a".into()), [b"a"]);
        assert_eq!(found(KeyRange::prefix("a")), &keys[2..6]);
        assert_eq!(found(KeyRange::prefix(b"a\xff")), [b"a\xff"]);
        assert_eq!(found(KeyRange::prefix(b"\xff")), [b"\xff\xff"]);
        assert_eq!(found(KeyRange::starting_at("ab")), &keys[4..]);
        assert_eq!(found(KeyRange::between("a", "b")), &keys[2..6]);
        assert!(found(KeyRange::between("b", "a")).is_empty());
        assert_eq!(found(KeyRange::all()), keys);
    }

    #[test]
    fn an_empty_key_is_refused() {
        let error = KeyRange::from("").check("test").unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: the key is empty: for all keys, use `KeyRange::all`"
        );
    }
}
